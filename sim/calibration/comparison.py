"""Rows of predicted against measured, each beside its noise floor and the null models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sim.calibration.cases import Bracket, Case, MeasuredRun
from sim.calibration.figures import FIGURES, noise_floor
from sim.calibration.null_models import NULL_MODELS, NullModels
from sim.calibration.outcome import Outcome

BANDS = ((0.5, "up to 0.5"), (0.8, "0.5 to 0.8"))
ABOVE = "above 0.8"
ABOVE_METRICS = ("backlog_slope", "overloaded")
"""All that is compared near and beyond capacity: latency there is the length of the test."""
CASE = list(Case._fields)
TIDY = [
    *CASE,
    "load",
    "band",
    "repeats",
    "metric",
    "unit",
    "measured",
    "predicted",
    "error",
    "noise_floor",
    *NULL_MODELS,
]
SEGMENTS = [*CASE, "load", "band", "bundle", "run", "stream", "rung", "segment", "measured_s", "predicted_s"]
FEWEST_FOR_CORRELATION = 3


def band_of(load: int, n_max: int) -> str:
    """Return the band of a load by its share of N_max."""
    return next((name for limit, name in BANDS if load <= limit * n_max + 1e-9), ABOVE)


def load_rows(
    case: Case, load: int, *, band: str, seen: Sequence[Outcome], foreseen: Sequence[Outcome], nulls: NullModels
) -> Iterator[dict[str, object]]:
    """Yield a row for each figure of a load that is compared in its band."""
    for name in ABOVE_METRICS if band == ABOVE else FIGURES:
        figure = FIGURES[name]
        measured, predicted = figure.of(seen), figure.of(foreseen)
        yield case._asdict() | {
            "load": load,
            "band": band,
            "repeats": len(seen),
            "metric": name,
            "unit": figure.unit,
            "measured": measured,
            "predicted": predicted,
            "error": figure.error(predicted=predicted, measured=measured),
            "noise_floor": noise_floor(figure, seen),
            **nulls.of(name, load),
        }


def n_max_row(case: Case, found: Bracket, predicted: int, *, nulls: NullModels) -> dict[str, object]:
    """Return the row of the largest load that holds.

    Its noise floor is what the search left open: the loads between the largest that held and the next one run.
    """
    return case._asdict() | {
        "load": None,
        "band": "",
        "repeats": None,
        "metric": "n_max",
        "unit": "streams",
        "measured": float(found.n_max),
        "predicted": float(predicted),
        "error": (predicted - found.n_max) / found.n_max,
        "noise_floor": (found.failing - 1 - found.n_max) / found.n_max,
        "as_at_one": math.nan,
        "mdc": math.nan,
        "division": float(nulls.capacity_streams),
    }


def segment_rows(run: MeasuredRun, foreseen: Outcome, *, bundle: str, number: int, band: str) -> pd.DataFrame:
    """Return one row per segment and rung of a run: measured and predicted publication, NaN where one has none."""
    pair = pd.DataFrame({"measured_s": run.seen.publish_s, "predicted_s": foreseen.publish_s}).reset_index()
    named: dict[str, object] = {**run.case._asdict(), "load": run.load, "band": band, "bundle": bundle, "run": number}
    return pair.assign(**named)[SEGMENTS]


def segment_errors(segments: pd.DataFrame) -> pd.DataFrame:
    """Return, for each load up to 0.8 of N_max, how well single publications are predicted.

    Columns: those of the case, load, band; segments, that have both moments; mape, the mean of |error|; bias, the
    mean of the signed error, both fractions of the measured publication; correlation, Pearson's, over the segments,
    rungs and runs of the load, NaN where one side does not vary.
    """
    both = segments[segments["band"] != ABOVE].dropna(subset=["measured_s", "predicted_s"])
    both = both[both["measured_s"] > 0]
    rows = []
    for of_load, pairs in both.groupby([*CASE, "load", "band"]):
        error = pairs["predicted_s"] / pairs["measured_s"] - 1.0
        rows.append((*of_load, len(pairs), error.abs().mean(), error.mean(), _correlation(pairs)))
    return pd.DataFrame(rows, columns=[*CASE, "load", "band", "segments", "mape", "bias", "correlation"])


def _correlation(pairs: pd.DataFrame) -> float:
    measured, predicted = pairs["measured_s"].to_numpy(float), pairs["predicted_s"].to_numpy(float)
    if measured.size < FEWEST_FOR_CORRELATION or not np.ptp(measured) or not np.ptp(predicted):
        return math.nan
    return float(np.corrcoef(measured, predicted)[0, 1])
