"""What is wrong between parts of a workload that are each right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scenarios.curves import TraceCurve

if TYPE_CHECKING:
    from scenarios.scenario import Scenario

MOST_RAID_VIEWERS = 1e8
Found = tuple[tuple[str | int, ...], str, str]


def workload_findings(scenario: Scenario) -> Iterator[Found]:
    """Yield path, message and hint of everything that only shows across the keys of a workload."""
    yield from _sources(scenario)
    yield from _traces(scenario)
    yield from _stars(scenario)
    yield from _raids(scenario)


def _sources(scenario: Scenario) -> Iterator[Found]:
    for index, kind in enumerate(scenario.workload.source_mix):
        try:
            scenario.ladder.of(kind.source)
        except ValueError as error:
            yield (
                ("workload", "source_mix", index, "source"),
                str(error),
                "add a rung that it holds, or leave the source out",
            )


def _traces(scenario: Scenario) -> Iterator[Found]:
    workload, horizon = scenario.workload, scenario.horizon
    starts = workload.broadcasts.start_curve
    if isinstance(starts, TraceCurve) and starts.period_s is None:
        yield (
            ("workload", "broadcasts", "start_curve"),
            "a trace of going live must span whole days: who is live at the start went live before it",
            "cut it to whole days, so that it repeats",
        )
    curve = workload.audience.curve
    if not isinstance(curve, TraceCurve) or curve.period_s is not None:
        return
    offsets_h = [region.utc_offset_h for region in workload.regions] or [0.0]
    first_h = horizon.start_hour + min(offsets_h)
    last_h = horizon.start_hour + max(offsets_h) + horizon.horizon_s / 3600
    begins_h, ends_h = curve.covers_h
    if first_h < begins_h or last_h > ends_h:
        yield (
            ("workload", "audience", "curve"),
            f"the trace covers the hours {begins_h:g} to {ends_h:g}, counted from 0:00 of its first day, "
            f"the run {first_h:g} to {last_h:g}",
            "let it span whole days, so that it repeats, or move start_hour",
        )


def _stars(scenario: Scenario) -> Iterator[Found]:
    audience = scenario.workload.audience
    stars = audience.popularity.stars
    for moment in sorted({star.from_s for star in stars}):
        together = [star for star in stars if star.from_s <= moment < star.to_s]
        wanted = sum(star.share or (star.viewers or 0.0) / audience.peak_viewers for star in together)
        if wanted > 1:
            yield (
                ("workload", "audience", "popularity", "stars"),
                f"{', '.join(star.name for star in together)} together ask for {wanted * 100:.3g} % of the peak",
                "lower them, or raise peak_viewers",
            )
            return


def _raids(scenario: Scenario) -> Iterator[Found]:
    audience = scenario.workload.audience
    raids = audience.random_raids
    expected = sum(raid.viewers for raid in audience.raids)
    if raids is not None:
        expected += raids.per_hour * raids.mean_viewers * scenario.horizon.horizon_s / 3600
    if expected > MOST_RAID_VIEWERS:
        yield (
            ("workload", "audience", "random_raids" if raids is not None else "raids"),
            f"the raids bring {expected:.3g} viewers over the run",
            f"at most {MOST_RAID_VIEWERS:g}",
        )
