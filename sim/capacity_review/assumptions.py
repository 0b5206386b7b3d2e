"""What a review assumes beyond its scenario: what it keeps the same for types that differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scenarios.catalogue import load_catalogue
from scenarios.nodes import HOURS_PER_MONTH
from sim.accelerated import encoding_accelerator
from sim.capacity_review.buying import FEWEST_HOURS_OF_A_MONTH, discount
from sim.capacity_review.candidates import kept_types
from sim.capacity_review.screening import values_of
from sim.fleet_plan import kinds_of_nodes

if TYPE_CHECKING:
    from sim.capacity_review.result import Review

DAY_S = 86_400.0
THIS_MACHINE = "this-machine"


def assumptions(review: Review) -> Iterator[str]:
    """Yield the sentences, each only where it applies."""
    scenario = review.scenario
    spec = scenario.platform.transcode
    yield (
        f"only the type of the transcode nodes is changed: {spec.min_nodes:,} to {spec.max_nodes:,} nodes, the "
        "autoscaler and how long a node takes to start are those of the scenario for every type"
    )
    yield from _bounds(review)
    yield (
        f"assumed for every type: spot {discount(scenario, 'spot'):.0%} off the list price and taken back as the "
        f"scenario's spot nodes are, reserved for a year {discount(scenario, 'reserved'):.0%} off"
        + (f"; {THIS_MACHINE} too, if anybody sells it so" if THIS_MACHINE in review.candidates else "")
    )
    if not any(failure.kind == "spot_storm" for failure in scenario.failures):
        yield (
            "single spot nodes are taken back, never many at once: the scenario has no spot_storm among its failures; "
            "add one before buying on spot"
        )
    hours = scenario.prices.hours_per_month
    if hours < FEWEST_HOURS_OF_A_MONTH:
        yield f"a month has {hours:g} hours like these, and a reservation is paid for in all {HOURS_PER_MONTH:g}"
    elif scenario.horizon.horizon_s % DAY_S:
        yield (
            f"a month has all its hours like these {scenario.horizon.horizon_s / 3600:.3g}, which flatters "
            "reservations: simulate the whole day before reserving"
        )
    if kept := ", ".join(kept_types(scenario)):
        yield f"pools of another type keep it: {kept} is part of every fleet, and reservations are not worked out"
    yield from _encoders(review)


def _bounds(review: Review) -> Iterator[str]:
    spec = review.scenario.platform.transcode
    for name in review.candidates:
        ticks = review.result(name).ticks
        paid = ticks["nodes_booting"] + ticks["nodes_ready"]
        at_least = float((paid <= spec.min_nodes).mean())
        if at_least > 0:
            yield (
                f"{name}: the fleet stands at min_nodes ({spec.min_nodes:,}) for {at_least:.0%} of the time; its cost "
                "does not move then with what a node holds"
            )
        if values_of(review.result(name), "nodes_peak").max() >= spec.max_nodes:
            yield f"{name}: the fleet reaches max_nodes ({spec.max_nodes:,}) in some replication"


def _encoders(review: Review) -> Iterator[str]:
    """Types that encode on different things make pictures of different quality from the same ladder."""
    known = load_catalogue()
    found = {
        "the CPU" if device is None else device.title
        for candidate in review.candidates.values()
        for kind in kinds_of_nodes(candidate)
        for device in [encoding_accelerator(kind, known)]
    }
    if len(found) > 1:
        encoder, nvenc = review.profile.encoder, review.scenario.platform.transcode.nvenc_preset
        yield (
            f"every type makes the same ladder at the same bitrates, not the same picture: {encoder.backend} "
            f"{encoder.preset} on CPUs, NVENC {nvenc} on GPUs; quality is not compared"
        )
