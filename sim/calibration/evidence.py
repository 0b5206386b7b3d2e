"""The evidence of one fit: bundles joined, void runs left out, loads judged, thin ones refused."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.machine import MachineFacts
from sim.calibration.tables import Bundle, read_bundle, valid_runs

BASE_STREAMS = 1
"""The load at which costs per frame are taken; their growth is measured against it."""


def hardware(machine: MachineFacts) -> tuple[object, ...]:
    """Return what makes two measurements be of one machine; not what another start of its system may change."""
    return machine.cpu_model, machine.cores, machine.architecture, machine.product_name, machine.gpus


ALIKE: dict[str, Callable[[Bundle], object]] = {
    "machine": lambda bundle: hardware(bundle.meta.machine),
    "encoder": lambda bundle: bundle.meta.encoder,
    "ladder": lambda bundle: bundle.ladder,
    "source": lambda bundle: bundle.source,
    "warm-up": lambda bundle: bundle.meta.warm_up_segments,
}
"""What must be the same in all bundles of one fit."""


@dataclass(frozen=True)
class Evidence:
    """What a fit rests on.

    Attributes:
        bundle: all bundles as one, their runs renumbered; void runs left out.
        identities: of every bundle, in the order given.
        date: of the latest.
        contended: other load disturbed one of them.
        loads: every number of streams that was run, ascending.
        capacity_streams: the largest load that holds while every smaller one holds too.
        overloaded_streams: the next load above it, which did not hold; None if nothing above it was run.
    """

    bundle: Bundle
    identities: tuple[str, ...]
    date: datetime.date
    contended: bool
    loads: tuple[int, ...]
    capacity_streams: int
    overloaded_streams: int | None

    def runs_at(self, streams: int) -> pd.DataFrame:
        """Return the runs of one load."""
        return self.bundle.runs[self.bundle.runs["concurrent_streams"] == streams]

    def holding_runs(self) -> pd.DataFrame:
        """Return the runs of every load up to the capacity."""
        return self.bundle.runs[self.bundle.runs["concurrent_streams"] <= self.capacity_streams]


def gather(folders: Sequence[Path]) -> Evidence:
    """Return the evidence of several bundles of one machine, encoder, ladder and source.

    Raises:
        CalibrationError: no bundle; one cannot be read or is all void; they differ in what must be alike;
        fewer than
            two loads; no run of one stream; or one stream alone is too much.
    """
    if not folders:
        raise CalibrationError("no bundle to fit; name at least one folder that `headroom measure` wrote")
    bundles = [read_bundle(Path(folder)) for folder in folders]
    _check_alike(bundles)
    joined = _join(bundles)
    capacity, overloaded = judge_loads(joined)
    return Evidence(
        bundle=joined,
        identities=tuple(bundle.meta.identity for bundle in bundles),
        date=max(bundle.meta.date for bundle in bundles),
        contended=any(bundle.meta.contended for bundle in bundles),
        loads=tuple(sorted({int(streams) for streams in joined.runs["concurrent_streams"]})),
        capacity_streams=capacity,
        overloaded_streams=overloaded,
    )


def judge_loads(bundle: Bundle) -> tuple[int, int | None]:
    """Return the largest load that holds with every smaller one, and the next one run above it or None.

    A load holds if more than half of its runs do.

    Raises:
        CalibrationError: fewer than two loads, none of one stream, or one stream does not hold.
    """
    holds = holding_loads(bundle.runs)
    loads = list(holds)
    if holds.get(BASE_STREAMS) is False:
        raise CalibrationError(
            f"{bundle.folder}: no load holds: the backlog grows with one stream already; measure a smaller "
            "ladder or a faster preset, or a machine with more cores"
        )
    if len(loads) < 2:
        raise CalibrationError(
            f"{bundle.folder}: only one load was measured (N = {loads[0]}); a fit needs the cost of one "
            "stream and how it grows with load: measure again and let the search reach a second N"
        )
    if loads[0] != BASE_STREAMS:
        raise CalibrationError(
            f"{bundle.folder}: no run of one stream, the smallest load is N = {loads[0]}; "
            "costs per frame are taken at N = 1, measure that too"
        )
    failing = [streams for streams in loads if not holds[streams]]
    if not failing:
        return loads[-1], None
    return max(streams for streams in loads if streams < failing[0]), failing[0]


def holding_loads(runs: pd.DataFrame) -> dict[int, bool]:
    """Return, for each load with a run that is not void, whether more than half of its runs hold."""
    valid = runs[runs["verdict"] != "void"]
    holds = {}
    for streams in sorted(set(valid["concurrent_streams"].tolist())):
        verdicts = valid.loc[valid["concurrent_streams"] == streams, "verdict"]
        holds[int(streams)] = bool((verdicts == "holds").mean() > 0.5)
    return holds


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


def _join(bundles: Sequence[Bundle]) -> Bundle:
    """Return the valid runs of all bundles as one, numbered so that no two runs share a number."""
    shift = max(int(bundle.runs["run"].max()) for bundle in bundles) + 1
    tables: dict[str, list[pd.DataFrame]] = {}
    for position, bundle in enumerate(bundles):
        kept = set(valid_runs(bundle)["run"])
        for name in ("runs", "streams", "frames", "rungs", "segments"):
            rows = getattr(bundle, name)
            rows = rows[rows["run"].isin(kept)]
            tables.setdefault(name, []).append(rows.assign(run=rows["run"] + position * shift))
    joined = {name: parts[0] if len(parts) == 1 else pd.concat(parts) for name, parts in tables.items()}
    renumbered = {name: rows.reset_index(drop=True) for name, rows in joined.items()}
    return Bundle(folder=bundles[0].folder, meta=bundles[0].meta, **renumbered)
