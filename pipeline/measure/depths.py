"""How deep a measurement goes: quick, default or full, as plans of series around one chief case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.choice import Choice, choose_backend
from pipeline.load.clip import DEFAULT_SOURCE
from pipeline.measure.encoder import require_measurable
from pipeline.measure.holdout import holdout_plan
from pipeline.measure.plan import AROUND_S, USUAL_STREAMS, Case, Depth, Plan, Series, Window
from pipeline.measure.probes.session import PROBES_S
from pipeline.serve import BUILT_IN_LADDER
from scenarios import load_scenario
from scenarios.errors import NotReady
from scenarios.ladder import Ladder, Rung, Source
from scenarios.protocol import held_out_protocol

CHIEF = "ladder"
"""Name of the chief case's ladder in the bundle."""
QUICK_BUDGET_S = 150.0
DEFAULT_BUDGET_S = 900.0
FULL_BUDGET_S = 3600.0
QUICK_SEGMENTS = 9
FEWEST_SEGMENTS = 8
MOST_RUNS = 6
SEGMENTS = 10
"""Measured at each load of the default and the full depth."""

RUNG_480P30 = BUILT_IN_LADDER.rungs[1]
RUNG_360P30 = Rung(name="360p30", width=640, height=360, fps=30.0, bitrate_bps=700e3)
RUNG_240P30 = Rung(name="240p30", width=426, height=240, fps=30.0, bitrate_bps=350e3)
SOURCE_480P30 = Source(width=854, height=480, fps=30.0, bitrate_bps=1.6e6)
SOURCE_360P30 = Source(width=640, height=360, fps=30.0, bitrate_bps=0.9e6)
SWEEP: tuple[tuple[Source, tuple[Rung, ...]], ...] = (
    (DEFAULT_SOURCE, BUILT_IN_LADDER.rungs),
    (DEFAULT_SOURCE, (RUNG_480P30,)),
    (SOURCE_360P30, (RUNG_360P30, RUNG_240P30)),
    (SOURCE_480P30, (RUNG_480P30, RUNG_360P30)),
    (SOURCE_360P30, (RUNG_240P30,)),
)
"""Sources and rungs that are measured around the chief case: sizes, and subsets of rungs."""
OTHER_PRESETS = {"x264": ("superfast", "veryfast")}


def planned(depth: str, *, file: Path | None, preset: str | None, content: str, encoder: str) -> tuple[Choice, Plan]:
    """Return the encoder and the plan of a measurement.

    Args:
        depth: "quick", "default", "full" or "holdout".
        file: a scenario whose source and ladder are the chief case's; None: those that are built in.
        preset: of its encoder; None: the backend's usual one.
        content: of its clip.
        encoder: as `--encoder` takes it.

    Raises:
        ScenarioError: the file is wrong.
        EncoderUnavailable: the encoder cannot run on this machine, or has no such preset.
        NotReady: segments so long that too few fit into the budget.
    """
    choice = choose_backend(encoder)
    require_measurable(choice.backend.name, BUILT_IN_LADDER)
    if preset is not None:
        choice = choice._replace(backend=LADDER_BACKENDS[choice.backend.name](preset=preset))
    backend = choice.backend
    if depth == "holdout":
        return choice, holdout_plan(held_out_protocol(), preset=backend.preset)
    source, ladder = DEFAULT_SOURCE, BUILT_IN_LADDER
    if file is not None:
        scenario = load_scenario(file)
        source, ladder = scenario.workload.source, scenario.ladder
    chief = Case(CHIEF, ladder, source, backend.preset, content)
    if depth == "quick":
        return choice, quick_plan(chief)
    plans = {"default": default_plan, "full": full_plan}
    return choice, plans[depth](chief, backend=backend.name)


def quick_plan(chief: Case, *, budget_s: float = QUICK_BUDGET_S) -> Plan:
    """Return the plan with the most loads that the budget allows, and then the most segments, up to the usual ones.

    Raises:
        NotReady: the budget does not even allow two loads.
    """
    segment_s = chief.ladder.segment_s
    for segments in range(QUICK_SEGMENTS, FEWEST_SEGMENTS - 1, -1):
        runs = int((budget_s - AROUND_S) / Window(segments, segment_s).run_s(USUAL_STREAMS))
        if runs >= MOST_RUNS - 1 or (segments == FEWEST_SEGMENTS and runs >= 2):
            series = Series(chief, repeats=1, most_runs=min(runs, MOST_RUNS))
            return Plan("quick", budget_s, (series,), segments, contention_voids=False)
    raise NotReady(
        f"{budget_s:.0f} s are too short to measure two loads of {FEWEST_SEGMENTS} segments of {segment_s:g} s; "
        "allow more, or choose shorter segments"
    )


def default_plan(chief: Case, *, backend: str) -> Plan:
    """Return the plan of a quarter of an hour: a search with the chief case, and one stream of what varies it."""
    varied = [*_around(chief), replace(chief, content="screen"), *_presets(chief, backend)[:1]]
    series = (
        Series(chief),
        *(Series(case, loads=(1,), repeats=2) for case in varied if case != chief),
        Series(replace(chief, tone=True), loads=(1,), repeats=2),
    )
    return _deep("default", DEFAULT_BUDGET_S, series)


def full_plan(chief: Case, *, backend: str) -> Plan:
    """Return the plan of at most an hour: searches over sizes and subsets of rungs, and what else moves the costs."""
    series = (
        *(Series(case) for case in (chief, *_around(chief))),
        Series(replace(chief, content="screen"), loads=(1, 2), repeats=2),
        *(Series(case, loads=(1, 2), repeats=2) for case in _presets(chief, backend)),
        Series(replace(chief, start="aligned"), loads=(2, 3), repeats=2),
        Series(replace(chief, tone=True), loads=(1,), repeats=2),
    )
    return _deep("full", FULL_BUDGET_S, series)


def _deep(depth: Depth, budget_s: float, series: tuple[Series, ...]) -> Plan:
    # The hash of what is held out stands on record before anything can be fitted to this bundle.
    sha256 = held_out_protocol().sha256
    return Plan(depth, budget_s, series, SEGMENTS, probes_s=PROBES_S, protocol_sha256=sha256)


def _around(chief: Case) -> list[Case]:
    """Return the sweep's cases but for the chief one itself."""
    ladders = [(source, Ladder(segment_s=BUILT_IN_LADDER.segment_s, rungs=rungs)) for source, rungs in SWEEP]
    return [
        Case("+".join(rung.name for rung in ladder.rungs), ladder, source, chief.preset)
        for source, ladder in ladders
        if (source, ladder) != (chief.source, chief.ladder)
    ]


def _presets(chief: Case, backend: str) -> list[Case]:
    others = OTHER_PRESETS.get(backend, ())
    return [replace(chief, preset=preset) for preset in others if preset != chief.preset]
