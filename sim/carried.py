"""What a node rests on beyond the measured profile: how it is drawn, and what the reader is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scenarios.accelerator import Encoding, NvencGpu
from scenarios.catalogue import Catalogue, InstanceType
from scenarios.coefficient import Coefficient
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import encoding_accelerator, engine_coefficients, engine_values
from sim.capacity import node_plan, of_each_source
from sim.engines import Position, of_coefficient
from sim.node_plan import RESOURCE_NAMES
from sim.sampling import stream


@dataclass(frozen=True)
class PlanRange:
    """How many broadcasts a node holds between the ends of everything that was not measured on it.

    Attributes:
        low: at the costly end of every range, and 97.5 % of the profile's draws hold as many.
        middle: in the middle of every range.
        high: at the cheap end of every range, and 2.5 % of the profile's draws hold as many.
        binding: the resource that saturates first in the middle; `binds` also holds those of the ends.
        binds: every resource that binds somewhere in the range.
    """

    low: int
    middle: int
    high: int
    binding: str
    binds: tuple[str, ...]


def drawn(seed: int, replication: int) -> Position:
    """Return the positions of one replication: a stream for each name, so that types share what they have in common."""
    return lambda name: float(stream(seed, replication, name).random())


def in_the_middle(name: str) -> float:
    """Return the middle, whatever is asked for."""
    return 0.5


def carried_values(scenario: Scenario, catalogue: Catalogue, position: Position) -> dict[str, float]:
    """Return every coefficient that no profile measured, by key, at positions."""
    if scenario.workload.source_mix:
        found: dict[str, float] = {}
        for kind in of_each_source(scenario):
            found |= carried_values(kind, catalogue, position)
        return found
    families = {name: _agreement(catalogue.instances[name], catalogue) for name in _carried_types(scenario, catalogue)}
    agreements = {c.key: of_coefficient(c).at(position(f"CPU of {c.of}")) for c in families.values()}
    return agreements | engine_values(scenario, catalogue, position)


def carried_coefficients(scenario: Scenario, catalogue: Catalogue) -> tuple[Coefficient, ...]:
    """Return the coefficients of the transcode nodes that were carried over; none on the measured machine."""
    instance = catalogue.instances[scenario.platform.transcode.instance]
    if instance.is_this_machine:
        return ()
    return (_agreement(instance, catalogue), *engine_coefficients(scenario, catalogue))


def plan_range(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> PlanRange | None:
    """Return the range of broadcasts a transcode node holds; None on the measured machine, which has no such range."""
    if catalogue.instances[scenario.platform.transcode.instance].is_this_machine:
        return None
    anchor = scenario.anchor_coremark_per_vcpu
    rows = [profile.row(index) for index in range(len(profile.draws.rows))]

    def plans(position: float, anchor_coremark: float, draws: list[dict[str, float]]) -> tuple[list[int], str]:
        carried = carried_values(scenario, catalogue, lambda _: position)
        found = [node_plan(scenario, profile, catalogue, row | carried, anchor_coremark) for row in draws]
        return [plan.broadcasts for plan in found], found[0].binding

    worst, at_worst = plans(0.0, anchor.high, rows)
    middle, binding = plans(0.5, (anchor.low + anchor.high) / 2, [profile.middle()])
    best, at_best = plans(1.0, anchor.low, rows)
    return PlanRange(
        int(np.quantile(worst, 0.025, method="lower")),
        middle[0],
        int(np.quantile(best, 0.975, method="higher")),
        binding,
        tuple(dict.fromkeys((binding, at_worst, at_best))),
    )


def carried_grounds(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> Iterator[str]:
    """Yield what was carried over to the transcode nodes, by what rule, how wide; nothing on the measured machine."""
    spec = scenario.platform.transcode
    instance = catalogue.instances[spec.instance]
    if instance.is_this_machine:
        return
    anchor = scenario.anchor_coremark_per_vcpu
    found = encoding_accelerator(scenario, catalogue)
    yield (
        ("" if found is None else "receiving, muxing and the rest that is left to the CPU: ")
        + f"carried over to {spec.instance} by CoreMark per vCPU ({instance.coremark_per_vcpu:,.0f}{_kind(instance)}), "
        f"assuming {anchor.low:,.0f} to {anchor.high:,.0f} for the measured machine; memory per stream as measured; "
        + _usable_cores(profile, instance)
    )
    if found is not None and instance.accelerator is not None:
        yield from _accelerator_grounds(scenario, found, instance.accelerator.count)
    for coefficient in carried_coefficients(scenario, catalogue):
        yield coefficient_text(coefficient)


def _accelerator_grounds(scenario: Scenario, found: Encoding, count: int) -> Iterator[str]:
    preset = scenario.platform.transcode.nvenc_preset
    how = (
        f"NVENC preset {preset}, low latency; each encoded rung decodes the source for itself"
        if isinstance(found, NvencGpu)
        else "by published densities; a picture between two published ones lies on the line by pixels per second, a "
        "smaller one takes as much as the smallest"
    )
    yield (
        f"encoding on {count} × {found.title}, {how}. Nobody has measured it here, nor the CPU of its driver, which is "
        "left out; encode_on: cpu encodes on the CPU instead"
    )


def range_ground(held: PlanRange) -> str:
    """Return what the range of broadcasts a node holds means for the answer."""
    binds = " or ".join(RESOURCE_NAMES[resource] for resource in held.binds)
    return (
        f"a node holds {held.low} to {held.high} broadcasts, {held.middle} in the middle of all the ranges above; what "
        f"binds ({binds}) was measured on no such node, so its fleet and cost are told as ranges, not as one number"
    )


def coefficient_text(coefficient: Coefficient) -> str:
    """Return a coefficient in a line: middle, how wide, and what it rests on."""
    middle, provenance = coefficient.middle, coefficient.provenance
    wide = (
        f" ({coefficient.low / middle - 1:+.0%} … {coefficient.high / middle - 1:+.0%})"
        if coefficient.low < coefficient.high
        else ""
    )
    unit = "" if coefficient.unit == "1" else f" {coefficient.unit}"
    return f"{coefficient.key}: {middle:.3g}{unit}{wide}; {provenance.kind}, {provenance.date}: {provenance.source}"


def _carried_types(scenario: Scenario, catalogue: Catalogue) -> list[str]:
    names = (scenario.platform.transcode.instance, scenario.platform.ingest.instance)
    return [name for name in dict.fromkeys(names) if not catalogue.instances[name].is_this_machine]


def _agreement(instance: InstanceType, catalogue: Catalogue) -> Coefficient:
    if instance.cpu is None or instance.coremark_per_vcpu is None:
        raise CalibrationError(
            f"{instance.name}: the catalogue has no CoreMark or no CPU family for it, so a profile cannot be carried "
            "over; measure on that type, or add the figures with their source under scenarios/instances"
        )
    return catalogue.cpu_agreement[instance.cpu]


def _usable_cores(profile: Profile, instance: InstanceType) -> str:
    if not profile.nodes or instance.vcpus is None:
        return "the usable share of cores as measured"
    return (
        f"the usable share of cores as measured, times what the node model has at {instance.vcpus} cores ÷ at "
        f"{profile.machine.cores}"
        + (f" (at {profile.nodes[-1].cores}, its largest)" if instance.vcpus > profile.nodes[-1].cores else "")
    )


def _kind(instance: InstanceType) -> str:
    return "" if instance.vcpu_kind is None else f", a vCPU is a {instance.vcpu_kind}"
