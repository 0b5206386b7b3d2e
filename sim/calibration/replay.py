"""Predicted against measured: a node model on the bundles' own arrivals, beside the null models."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.bundle import BundleMeta
from scenarios.profile import Profile
from sim.calibration.by_band import errors_by_band, segments_by_band
from sim.calibration.cases import Case, Measurements, bracket, read_measurements
from sim.calibration.comparison import TIDY, band_of, load_rows, n_max_row, segment_errors, segment_rows
from sim.calibration.prediction import Predictions, bands_rest_on, null_models, predict
from sim.calibration.replay_notes import CANNOT_KNOW, notes
from sim.calibration.replay_text import (
    aligned,
    readable,
    readable_bands,
    readable_n_max,
    readable_rivals,
    readable_segment_bands,
    readable_segments,
    readable_summary,
    telling,
)
from sim.calibration.verdicts import n_max_verdicts, rivals, summary
from sim.calibration.workers import Progress
from sim.coverage import require_coverage


@dataclass(frozen=True)
class ReplayResult:
    """What `replay` returns.

    Attributes:
        bundles: descriptions of the measurements.
        fitted: identities of those that the profile was fitted to.
        profile: name of the profile.
        seed: of the predicted service times.
        at_speed: whether CPU times were those of the machine's speed when each bundle was measured.
        metrics: one row per case, load and figure, and one of N_max for each case that was searched. Columns:
            ladder, clip, preset, start and in_sample (the fit has seen it), which are the case; load, streams at
            once; band, of load ÷ N_max; repeats; metric, unit, measured, predicted; error, a signed fraction of the
            measured value, for backlog_slope and overloaded a difference; noise_floor, the same error between halves
            of the repeats, NaN where there was one repeat; as_at_one, mdc and division, what the null models
            predict, NaN where they say nothing.
        segments: one row per segment and rung outside the warm-up: case, load, band, bundle, run, stream, rung,
            segment, measured_s and predicted_s of its publication; NaN where one has no such segment.
        notes: what a reader must know, in sentences.
    """

    bundles: tuple[BundleMeta, ...]
    fitted: tuple[str, ...]
    profile: str
    seed: int
    at_speed: bool
    metrics: pd.DataFrame
    segments: pd.DataFrame
    notes: tuple[str, ...]

    @cached_property
    def segment_errors(self) -> pd.DataFrame:
        """MAPE, signed bias and correlation of single publications by load, see `comparison.segment_errors`."""
        return segment_errors(self.segments)

    def summary(self, *, in_sample: bool) -> pd.DataFrame:
        """Return errors, noise floors, null models and verdicts over all loads, see `verdicts.summary`."""
        return summary(self.metrics[self.metrics["in_sample"] == in_sample])

    def rivals(self, *, in_sample: bool) -> pd.DataFrame:
        """Return who predicts best between 0.5 and 0.8 of N_max, see `verdicts.rivals`."""
        return rivals(self.metrics[self.metrics["in_sample"] == in_sample])

    def table(self) -> pd.DataFrame:
        """Return the figures of every load as a reader wants them, all as text."""
        return readable(self.metrics)

    def table_text(self, *, details: bool = False) -> str:
        """Return the errors by band and over all loads with their notes, for a terminal; with `details` every load."""
        named = "Bundle" if len(self.bundles) == 1 else "Bundles"
        identities = ", ".join(meta.identity for meta in self.bundles)
        speed = ", at the speed of the day" * self.at_speed
        lines = [f"{named} {identities} replayed with profile {self.profile}{speed}, seed {self.seed}"]
        for title, table, left in [*(self._of_loads() if details else ()), *self._tables()]:
            lines += ["", title, "", *aligned(table, left=left)]
        lines += ["", *(f"  - {note}" for note in self.notes)]
        lines += ["", "What the model cannot know:", *(f"  - {what}" for what in CANNOT_KNOW)]
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return the result as plain data: no time, path or host, and None for what is not known."""
        return {
            "bundles": [meta.identity for meta in self.bundles],
            "profile": self.profile,
            "seed": self.seed,
            "at_speed": self.at_speed,
            "notes": list(self.notes),
            "cannot_know": list(CANNOT_KNOW),
            "held_out": records(self.summary(in_sample=False)),
            "in_sample": records(self.summary(in_sample=True)),
            "rivals": records(self.rivals(in_sample=False)),
            "by_band": records(errors_by_band(self.metrics)),
            "segments_by_band": records(segments_by_band(self.segment_errors)),
            "metrics": records(self.metrics),
            "segment_errors": records(self.segment_errors),
        }

    def __str__(self) -> str:
        return self.table_text(details=True)

    def _repr_html_(self) -> str:
        tables = "".join(
            f"<p>{html.escape(title)}</p>{table.to_html(index=False)}"
            for title, table, _ in [*self._of_loads(), *self._tables()]
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        limits = "".join(f"<li>{html.escape(what)}</li>" for what in CANNOT_KNOW)
        return f"{tables}<ul>{notes}</ul><p>What the model cannot know:</p><ul>{limits}</ul>"

    def _of_loads(self) -> Iterator[tuple[str, pd.DataFrame, int]]:
        """Yield the tables of single loads, each with its title and how many of its columns stand to the left."""
        described = len(telling(self.metrics))
        yield "Every load", self.table(), described + 4
        yield "Publication of single segments at every load", readable_segments(self.segment_errors), described + 2

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame, int]]:
        """Yield the tables over several loads, likewise."""
        yield "By share of N_max", readable_bands(errors_by_band(self.metrics)), 3
        of_segments = readable_segment_bands(segments_by_band(self.segment_errors))
        if len(of_segments):
            yield "Publication of single segments", of_segments, 2
        searched = self.metrics[self.metrics["metric"] == "n_max"]
        if len(searched):
            yield "The largest number of streams that holds", readable_n_max(searched, n_max_verdicts(searched)), 3
        by_protocol = all(meta.depth == "holdout" for meta in self.bundles if meta.identity not in self.fitted)
        sample = "Held out" if by_protocol else "Not fitted"
        held_out, best = self.summary(in_sample=False), self.rivals(in_sample=False)
        if len(held_out):
            yield f"{sample}, all loads up to 0.8 of N_max", readable_summary(held_out), 1
        if len(best):
            yield f"{sample}, 0.5 to 0.8 of N_max: who predicts best", readable_rivals(best), 1


def replay(
    folders: Path | Sequence[Path],
    profile: Profile,
    *,
    seed: int = 1,
    at_speed: bool = False,
    extrapolate: bool = False,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ReplayResult:
    """Return what the profile predicts for the loads of one or several bundles, beside what was measured.

    Only arrivals and configuration are read for a prediction (`Arrivals`), and every service time comes
    from the middle of the profile. Nothing is tuned to the bundles.

    Args:
        folders: bundles of one machine.
        profile: predicts.
        seed: of the service times.
        at_speed: whether every CPU time is multiplied by how much longer the fixed job took before the runs of a
            bundle than before those of the fit. That one number is then read from the bundle too.
        extrapolate: whether loads beyond what the profile was measured for are predicted too.
        workers: processes; 1 stays in this one. No digit depends on it.
        executor: makes the predictions instead of own processes.
        progress: told after each prediction.

    Raises:
        CalibrationError: a bundle cannot be read or is all void, they do not belong together, the profile was not
            measured for a source, a rung or the preset, or with `at_speed` it is not known how fast the machine was.
    """
    chosen = [folders] if isinstance(folders, Path) else list(folders)
    measurements = read_measurements(chosen, profile)
    for runs in measurements.by_case().values():
        require_coverage(profile, runs[0].arrivals.source, runs[0].arrivals.ladder, extrapolate=extrapolate)
    predictions = predict(
        measurements, profile, seed=seed, at_speed=at_speed, workers=workers, executor=executor, progress=progress
    )
    cases = measurements.by_case()
    shares = predictions.n_max | bands_rest_on(cases)
    bands = {
        (case, load): band_of(load, shares[case]) for case, runs in cases.items() for load in {r.load for r in runs}
    }
    metrics = pd.DataFrame(_metric_rows(measurements, predictions, bands)).reindex(columns=TIDY)
    metrics = metrics.astype({"load": "Int64", "repeats": "Int64"})
    return ReplayResult(
        tuple(bundle.meta for bundle in measurements.bundles),
        profile.measured.bundles,
        profile.name,
        seed,
        at_speed,
        metrics,
        pd.concat(_segment_parts(measurements, predictions, bands), ignore_index=True),
        tuple(notes(measurements, profile, metrics)),
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain data, None for what is not known."""
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()} for row in frame.to_dict("records")
    ]


def _metric_rows(
    measurements: Measurements, predictions: Predictions, bands: Mapping[tuple[Case, int], str]
) -> Iterator[dict[str, object]]:
    cases = measurements.by_case()
    for case, runs in cases.items():
        nulls = null_models(case, cases, predictions.singles)
        for load in sorted({run.load for run in runs}):
            keys = [key for key, run in measurements.runs.items() if run.case == case and run.load == load]
            seen = [measurements.runs[key].seen for key in keys]
            foreseen = [predictions.outcomes[key] for key in keys]
            yield from load_rows(case, load, band=bands[case, load], seen=seen, foreseen=foreseen, nulls=nulls)
        if found := bracket(runs):
            yield n_max_row(case, found, predictions.n_max[case], nulls=nulls)


def _segment_parts(
    measurements: Measurements, predictions: Predictions, bands: Mapping[tuple[Case, int], str]
) -> list[pd.DataFrame]:
    return [
        segment_rows(
            run, predictions.outcomes[bundle, number], bundle=bundle, number=number, band=bands[run.case, run.load]
        )
        for (bundle, number), run in measurements.runs.items()
    ]
