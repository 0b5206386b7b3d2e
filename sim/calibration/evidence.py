"""The evidence of one fit: bundles joined, void runs left out, loads judged case by case."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.machine import MachineFacts
from sim.calibration.joining import joined
from sim.calibration.tables import Bundle, read_bundle

BASE_STREAMS = 1
"""The load that says what a stream costs alone; somewhere it must have been run."""
CASE = ["ladder", "clip", "preset", "start"]
"""Columns of runs that tell one case of a measurement from another; loads and repeats differ within a case."""


def hardware(machine: MachineFacts) -> tuple[object, ...]:
    """Return what makes two measurements be of one machine; not what another start of its system may change."""
    return machine.cpu_model, machine.cores, machine.architecture, machine.product_name, machine.gpus


ALIKE: dict[str, Callable[[Bundle], object]] = {
    "machine": lambda bundle: hardware(bundle.meta.machine),
    "backend": lambda bundle: sorted({facts.backend for facts in bundle.meta.encoders.values()}),
    "library versions": lambda bundle: sorted(
        {tuple(sorted(facts.libraries.items())) for facts in bundle.meta.encoders.values()}
    ),
}
"""What must be the same in all bundles of one fit."""


@dataclass(frozen=True)
class Case:
    """One ladder, clip, preset and way to start, at every load that it was run at.

    Attributes:
        ladder_name, ladder: what was made of each stream.
        clip, source: what the publishers sent.
        content: what the clip shows.
        preset: of the encoder.
        start: "staggered" or "aligned".
        loads: every number of streams that was run, ascending.
        capacity_streams: the largest load that holds while every smaller one holds too; 0 if none does.
        overloaded_streams: the next load above it, which did not hold; None if nothing above it was run.
    """

    ladder_name: str
    ladder: Ladder
    clip: str
    source: Source
    content: str
    preset: str
    start: str
    loads: tuple[int, ...]
    capacity_streams: int
    overloaded_streams: int | None


@dataclass(frozen=True)
class Evidence:
    """What a fit rests on.

    Attributes:
        bundle: all bundles as one, their runs renumbered; void runs left out.
        identities: of every bundle, in the order given.
        date: of the latest.
        contended: other load disturbed one of them.
        cases: the chief, which is that of the first run, first.
        case_of: run → position of its case.
        preset: whose encoding is fitted; all other stages take every run.
    """

    bundle: Bundle
    identities: tuple[str, ...]
    date: datetime.date
    contended: bool
    cases: tuple[Case, ...]
    case_of: pd.Series[int]
    preset: str

    @property
    def chief(self) -> Case:
        """The case that defines the reference content."""
        return self.cases[0]

    def holding_runs(self) -> pd.DataFrame:
        """Return the runs of every load up to the capacity of its case."""
        runs = self.bundle.runs
        capacity = self.case_of.map(lambda case: self.cases[case].capacity_streams)
        return runs[runs["concurrent_streams"] <= runs["run"].map(capacity)]


def gather(folders: Sequence[Path], *, preset: str | None = None) -> Evidence:
    """Return the evidence of several bundles of one machine and backend.

    Args:
        folders: measurement bundles.
        preset: whose encoding is wanted; the chief's if None.

    Raises:
        CalibrationError: no bundle; one cannot be read or is all void; they differ in what must be alike; one load
            alone was run; no run of one stream; one stream alone is too much; or the preset was not measured.
    """
    if not folders:
        raise CalibrationError("no bundle to fit; name at least one folder that `headroom measure` wrote")
    bundles = [read_bundle(Path(folder)) for folder in folders]
    _check_alike(bundles)
    whole = joined(bundles)
    cases, case_of = _cases(whole)
    evidence = Evidence(
        bundle=whole,
        identities=tuple(bundle.meta.identity for bundle in bundles),
        date=max(bundle.meta.date for bundle in bundles),
        contended=any(bundle.meta.contended for bundle in bundles),
        cases=cases,
        case_of=case_of,
        preset=preset or cases[0].preset,
    )
    _check_loads(evidence)
    return evidence


def judge_loads(runs: pd.DataFrame) -> tuple[int, int | None]:
    """Return the largest load that holds with every smaller one (0: none), and the next run above it or None.

    A load holds if more than half of its runs do.
    """
    holds = holding_loads(runs)
    failing = [streams for streams in holds if not holds[streams]]
    below = [streams for streams in holds if not failing or streams < failing[0]]
    return max(below, default=0), failing[0] if failing else None


def holding_loads(runs: pd.DataFrame) -> dict[int, bool]:
    """Return, for each load with a run that is not void, whether more than half of its runs hold."""
    valid = runs[runs["verdict"] != "void"]
    holds = {}
    for streams in sorted(set(valid["concurrent_streams"].tolist())):
        verdicts = valid.loc[valid["concurrent_streams"] == streams, "verdict"]
        holds[int(streams)] = bool((verdicts == "holds").mean() > 0.5)
    return holds


def _cases(bundle: Bundle) -> tuple[tuple[Case, ...], pd.Series[int]]:
    runs = bundle.runs.sort_values("run")
    contents = {content.name: content for content in bundle.meta.content}
    cases: list[Case] = []
    case_of: dict[int, int] = {}
    for (ladder, clip, preset, start), rows in runs.groupby(CASE, sort=False):
        capacity, overloaded = judge_loads(rows)
        case_of.update(dict.fromkeys(rows["run"].tolist(), len(cases)))
        cases.append(
            Case(
                ladder_name=str(ladder),
                ladder=bundle.meta.ladders[str(ladder)],
                clip=str(clip),
                source=contents[str(clip)].source,
                content=contents[str(clip)].shows,
                preset=str(preset),
                start=str(start),
                loads=tuple(sorted({int(streams) for streams in rows["concurrent_streams"]})),
                capacity_streams=capacity,
                overloaded_streams=overloaded,
            )
        )
    return tuple(cases), pd.Series(case_of)


def _check_alike(bundles: Sequence[Bundle]) -> None:
    identities = [bundle.meta.identity for bundle in bundles]
    if len(set(identities)) < len(identities):
        raise CalibrationError(f"a bundle was named twice ({', '.join(identities)}); name each once")
    first = bundles[0]
    for other in bundles[1:]:
        for what, of in ALIKE.items():
            if of(first) != of(other):
                raise CalibrationError(
                    f"{first.folder} and {other.folder} differ in {what}: {of(first)} against {of(other)}; "
                    f"a profile belongs to one {what}, fit each by itself"
                )
    backends = sorted({facts.backend for bundle in bundles for facts in bundle.meta.encoders.values()})
    if len(backends) > 1:
        raise CalibrationError(
            f"{first.folder}: measured with several backends ({', '.join(backends)}); a profile belongs to one, "
            "measure each into its own bundle"
        )


def _check_loads(evidence: Evidence) -> None:
    folder, cases = evidence.bundle.folder, evidence.cases
    if evidence.chief.capacity_streams == 0 and BASE_STREAMS in evidence.chief.loads:
        raise CalibrationError(
            f"{folder}: no load holds: the backlog of ladder {evidence.chief.ladder_name!r} grows with one stream "
            "already; measure a smaller ladder or a faster preset, or a machine with more cores"
        )
    if all(len(case.loads) < 2 for case in cases):
        loads = ", ".join(f"N = {case.loads[0]}" for case in cases)
        raise CalibrationError(
            f"{folder}: only one load was measured ({loads}); a fit needs the cost of one "
            "stream and how it grows with load: measure again and let the search reach a second N"
        )
    if not any(BASE_STREAMS in case.loads for case in cases):
        raise CalibrationError(
            f"{folder}: no run of one stream, the smallest load is N = {min(min(case.loads) for case in cases)}; "
            "what a stream costs alone is seen at N = 1, measure that too"
        )
    # Of the reference content: every other one is a factor on it.
    alike = [case for case in cases if case.content == evidence.chief.content]
    presets = sorted({case.preset for case in alike if case.capacity_streams})
    if evidence.preset not in presets:
        raise CalibrationError(
            f"{folder}: no run that holds with preset {evidence.preset!r}; measured: {', '.join(presets)}; "
            f"measure again with --preset {evidence.preset}"
        )
