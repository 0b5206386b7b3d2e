"""Rows of predicted against measured, each beside its noise floor and the null models."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from sim.calibration.evidence import holding_loads
from sim.calibration.null_models import NULL_MODELS, NullModels
from sim.calibration.outcome import FIGURES, Outcome, noise_floor

BANDS = ((0.5, "up to 0.5"), (0.8, "0.5 to 0.8"))
ABOVE = "above 0.8"
ABOVE_METRICS = ("backlog_slope", "overloaded")
"""All that is compared near and beyond capacity: latency there is the length of the test."""
TIDY = [
    "load",
    "band",
    "in_sample",
    "metric",
    "unit",
    "measured",
    "predicted",
    "error",
    "noise_floor",
    *NULL_MODELS,
]


def band_of(load: int, n_max: int) -> str:
    """Return the band of a load by its share of N_max."""
    return next((name for limit, name in BANDS if load / n_max <= limit), ABOVE)


def load_rows(
    load: int, *, band: str, seen: Sequence[Outcome], foreseen: Sequence[Outcome], nulls: NullModels
) -> Iterator[dict[str, object]]:
    """Yield a row for each figure of a load that is compared in its band."""
    for name in ABOVE_METRICS if band == ABOVE else FIGURES:
        figure = FIGURES[name]
        measured, predicted = figure.of(seen), figure.of(foreseen)
        yield {
            "load": load,
            "band": band,
            "metric": name,
            "unit": figure.unit,
            "measured": measured,
            "predicted": predicted,
            "error": (predicted - measured) / (measured if figure.relative else 1.0),
            "noise_floor": noise_floor(figure, seen),
            **nulls.of(name, load),
        }


def n_max_row(measured: int | None, predicted: int, *, nulls: NullModels) -> dict[str, object]:
    """Return the row of the largest load that holds; None: the search did not bracket it."""
    return {
        "load": None,
        "band": "",
        "metric": "n_max",
        "unit": "streams",
        "measured": math.nan if measured is None else float(measured),
        "predicted": float(predicted),
        "error": math.nan if measured is None else (predicted - measured) / measured,
        "noise_floor": math.nan,
        "as_at_one": math.nan,
        "mdc": math.nan,
        "division": float(nulls.capacity_streams),
    }


def measured_n_max(runs: pd.DataFrame) -> int | None:
    """Return the largest load that holds with every smaller one; None unless the next one run did not."""
    holds = holding_loads(runs)
    failing = [streams for streams in holds if not holds[streams]]
    below = [streams for streams in holds if failing and streams < failing[0]]
    return max(below) if below else None


def segment_rows(
    seen: Mapping[int, Outcome], foreseen: Mapping[int, Outcome], *, loads: Mapping[int, int]
) -> pd.DataFrame:
    """Return one row per segment and rung of every run: measured and predicted publication.

    Args:
        seen: measured outcome by run.
        foreseen: predicted outcome by run.
        loads: streams at once by run.
    """
    parts = []
    for run, outcome in seen.items():
        pair = pd.DataFrame({"measured_s": outcome.publish_s, "predicted_s": foreseen[run].publish_s})
        parts.append(pair.reset_index().assign(run=run, load=loads[run]))
    columns = ["run", "load", "stream", "rung", "segment", "measured_s", "predicted_s"]
    return pd.concat(parts, ignore_index=True)[columns]


def readable(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the tidy figures as a reader wants them: latencies in ms, errors in percent, all text.

    A figure that is neither measured nor predicted, such as P99 of too few segments, has no row.
    """
    rows = []
    for row in metrics.dropna(subset=["measured", "predicted"], how="all").to_dict("records"):
        unit, scale = ("ms", 1e3) if row["unit"] == "s" else (row["unit"], 1.0)
        figures = [_number(row[name] * scale) for name in ("measured", "predicted", *NULL_MODELS)]
        relative = row["metric"] == "n_max" or FIGURES[row["metric"]].relative
        errors = [_percent(row[name]) if relative else _number(row[name]) for name in ("error", "noise_floor")]
        load = "" if pd.isna(row["load"]) else str(row["load"])
        rows.append((load, row["band"], row["metric"], unit, *figures[:2], *errors, *figures[2:]))
    titles = ["N", "of N_max", "figure", "unit", "measured", "predicted", "error", "noise floor"]
    return pd.DataFrame(rows, columns=[*titles, "as at N = 1", "M/D/c", "cores ÷ CPU"])


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3g}"


def _percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:+.1%}"
