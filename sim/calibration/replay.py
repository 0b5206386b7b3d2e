"""Predicted against measured: a node model on the bundle's own arrivals, beside the null models."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.profile import Profile
from sim.calibration.arrivals import Arrivals, arrivals_of, replicated, stagger_s
from sim.calibration.comparison import (
    TIDY,
    band_of,
    load_rows,
    measured_n_max,
    n_max_row,
    readable,
    segment_rows,
)
from sim.calibration.evidence import hardware
from sim.calibration.null_models import NullModels
from sim.calibration.outcome import measured, predicted
from sim.calibration.tables import Bundle, read_bundle, valid_runs
from sim.coverage import extrapolation, require_coverage


@dataclass(frozen=True)
class ReplayResult:
    """What `replay` returns.

    Attributes:
        bundle: identity of the measurement. profile: name of the profile. seed: of the predicted service
        times. metrics: one row per load and figure, and one of N_max without a load. Columns: load, streams
        at once; band, of load ÷ measured N_max; in_sample, the fit has seen it; metric, unit, measured,
        predicted; error, a signed fraction of the measured value, for backlog_slope and overloaded a
        difference; noise_floor, the same error between halves of the repeats, NaN where there was one
        repeat; as_at_one, mdc and division, what the null models predict, NaN where they say nothing.
        segments: one row per segment and rung outside the warm-up: run, load, stream, rung, segment,
        measured_s and predicted_s of its publication; NaN where one has no such segment. notes: what a
        reader must know, in sentences.
    """

    bundle: str
    profile: str
    seed: int
    metrics: pd.DataFrame
    segments: pd.DataFrame
    notes: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Return the figures as a reader wants them, all as text."""
        return readable(self.metrics)

    def table_text(self) -> str:
        """Return the table with its notes, for a terminal."""
        title = f"Bundle {self.bundle} replayed with profile {self.profile}, seed {self.seed}"
        return "\n".join([title, "", *_aligned(self.table()), "", *(f"  - {note}" for note in self.notes)])

    def document(self) -> dict[str, Any]:
        """Return the result as plain data: no time, path or host, and None for what is not known."""
        rows = self.metrics.astype(object).where(self.metrics.notna(), None)
        return {
            "bundle": self.bundle,
            "profile": self.profile,
            "seed": self.seed,
            "notes": list(self.notes),
            "metrics": rows.to_dict("records"),
        }

    def __str__(self) -> str:
        return self.table_text()

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        return f"{self.table().to_html(index=False)}<ul>{notes}</ul>"


def replay(folder: Path, profile: Profile, *, seed: int = 1, extrapolate: bool = False) -> ReplayResult:
    """Return what the profile predicts for the loads of a bundle, beside what was measured.

    Only arrivals and configuration are read for a prediction (`Arrivals`), and every service time comes
    from the middle of the profile. Nothing is tuned to the bundle.

    Raises:
        CalibrationError: the bundle cannot be read or is all void, or the profile lacks its source or a rung.
    """
    bundle = read_bundle(folder)
    require_coverage(profile, bundle.source, bundle.ladder, extrapolate=extrapolate)
    runs = valid_runs(bundle).sort_values(["concurrent_streams", "repeat", "run"]).set_index("run")
    repeat = dict(zip(runs.index.tolist(), runs["repeat"].tolist(), strict=True))
    values = profile.middle()
    arrivals = {run: arrivals_of(bundle, run) for run in repeat}
    seen = {run: measured(bundle, run) for run in arrivals}
    foreseen = {run: predicted(load, values=values, seed=seed + repeat[run]) for run, load in arrivals.items()}
    loads = {run: len(load.streams) for run, load in arrivals.items()}
    single = [seen[run] for run, streams in loads.items() if streams == 1]
    nulls = NullModels(values, bundle.source, bundle.ladder, bundle.meta.machine.cores, single)
    n_max = measured_n_max(runs)
    rows: list[dict[str, object]] = []
    for load in sorted(set(loads.values())):
        of_load = [run for run, streams in loads.items() if streams == load]
        rows += load_rows(
            load,
            band=band_of(load, n_max or nulls.capacity_streams),
            seen=[seen[run] for run in of_load],
            foreseen=[foreseen[run] for run in of_load],
            nulls=nulls,
        )
    holds = _load_holds(list(arrivals.values()), values=values, seed=seed)
    rows.append(n_max_row(n_max, predicted_n_max(holds, naive=nulls.capacity_streams), nulls=nulls))
    in_sample = bundle.meta.identity in profile.measured.bundles
    metrics = pd.DataFrame(rows).assign(in_sample=in_sample).reindex(columns=TIDY).astype({"load": "Int64"})
    return ReplayResult(
        bundle.meta.identity,
        profile.name,
        seed,
        metrics,
        segment_rows(seen, foreseen, loads=loads),
        tuple(_notes(bundle, profile, metrics, in_sample=in_sample)),
    )


def predicted_n_max(holds: Callable[[int], bool], *, naive: int) -> int:
    """Return the largest number of streams that holds; the search starts where division says it is.

    Strides double, away from the guess, until the answer is bracketed; then it is bisected.

    Args:
        holds: whether a load holds; asked at most once for each.
        naive: cores ÷ CPU per stream. More than twice as many cannot hold, and are not tried.
    """
    guess = max(naive, 1)
    largest, failing = (guess, 2 * guess + 1) if holds(guess) else (0, guess)
    stride = 1
    while failing - largest > 1:
        middle = (largest + failing) // 2
        near = min(largest + stride, middle) if largest >= guess else max(failing - stride, middle)
        if holds(near):
            largest = near
        else:
            failing = near
        stride *= 2
    return largest


def _load_holds(arrivals: list[Arrivals], *, values: Mapping[str, float], seed: int) -> Callable[[int], bool]:
    """Return whether the model holds a load made of copies of the smallest run's first stream."""
    pattern, stagger = min(arrivals, key=lambda load: len(load.streams)), stagger_s(arrivals)

    def holds(streams: int) -> bool:
        load = replicated(pattern, streams, stagger_s=stagger)
        return predicted(load, values=values, seed=seed).holds

    return holds


def _notes(bundle: Bundle, profile: Profile, metrics: pd.DataFrame, *, in_sample: bool) -> list[str]:
    notes = list(extrapolation(profile, bundle.source, bundle.ladder))
    if in_sample:
        notes.append("in-sample: the profile was fitted to this bundle, so these errors say how well it fits, no more")
    if metrics["noise_floor"].isna().all():
        notes.append("noise floor: not measured: one repeat of every load")
    n_max = metrics.loc[metrics["metric"] == "n_max", "measured"]
    if n_max.isna().all():
        notes.append("N_max was not measured: no load held below one that did not")
    if hardware(bundle.meta.machine) != hardware(profile.machine):
        notes.append(
            f"the profile is of another machine ({profile.machine.cpu_model}, {profile.machine.cores} cores) "
            f"than the bundle ({bundle.meta.machine.cpu_model}, {bundle.meta.machine.cores} cores)"
        )
    if bundle.meta.contended:
        notes.append("contended: other load disturbed the measurement")
    void = int((bundle.runs["verdict"] == "void").sum())
    if void:
        notes.append(f"{void} of {len(bundle.runs)} runs are void and stand nowhere in this table")
    notes.append("above 0.8 of N_max only the backlog is compared: latency there is the length of the test")
    return notes


def _aligned(table: pd.DataFrame) -> list[str]:
    cells = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(len(row[position]) for row in cells) for position in range(table.shape[1])]
    numbers = list(table.columns).index("measured")
    return [
        "  ".join(
            cell.ljust(width) if position < numbers else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
