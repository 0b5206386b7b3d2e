"""Tiny measurements: streams that cost next to nothing, a few seconds each."""

from __future__ import annotations

from dataclasses import replace

from pipeline.ladders.choice import choose_backend
from pipeline.measure.plan import Case, Plan, Series
from scenarios.ladder import Ladder, Rung, Source

SOURCE = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)
LADDER = Ladder(
    segment_s=1.0,
    rungs=(
        Rung(name="180p30", width=320, height=180, fps=30.0, bitrate_bps=300e3),
        Rung(name="90p15", width=160, height=90, fps=15.0, bitrate_bps=100e3),
    ),
)
CASE = Case("ladder", LADDER, SOURCE, "ultrafast")


def small_plan(
    *, loads: tuple[int, ...] = (1, 2), repeats: int = 1, segments: int = 4, case: Case = CASE, **of_plan: object
) -> Plan:
    """Return a plan of given loads; the tests' machine may be shared, which marks runs and does not void them."""
    series = (Series(case, loads=loads, repeats=repeats),)
    plan = Plan("quick", 60.0, series, segments, contention_voids=False)
    return replace(plan, **of_plan)


def choice(encoder: str = "x264"):
    """Return the encoder as `measure` is given it."""
    return choose_backend(encoder)
