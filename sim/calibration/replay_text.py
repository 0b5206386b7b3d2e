"""A replay as text and tables for readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from sim.calibration.comparison import CASE
from sim.calibration.figures import FIGURES
from sim.calibration.null_models import NULL_MODELS

NULL_TITLES = ["as at N = 1", "M/D/c", "cores ÷ CPU"]


def readable(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the tidy figures as a reader wants them: latencies in ms, errors in percent, all text.

    A figure that is neither measured nor predicted, such as P99 of too few segments, has no row. What is the same in
    every row of a case's description has no column.
    """
    told = telling(metrics)
    rows = []
    for row in metrics.dropna(subset=["measured", "predicted"], how="all").to_dict("records"):
        unit, scale = ("ms", 1e3) if row["unit"] == "s" else (row["unit"], 1.0)
        figures = [number(row[name] * scale) for name in ("measured", "predicted", *NULL_MODELS)]
        relative = row["metric"] == "n_max" or FIGURES[row["metric"]].relative
        errors = [percent(row[name]) if relative else number(row[name]) for name in ("error", "noise_floor")]
        load = "" if pd.isna(row["load"]) else str(row["load"])
        described = [_told(row, name) for name in told]
        rows.append((*described, load, row["band"], row["metric"], unit, *figures[:2], *errors, *figures[2:]))
    titles = ["N", "of N_max", "figure", "unit", "measured", "predicted", "error", "noise floor"]
    return pd.DataFrame(rows, columns=[*_titles(told), *titles, *NULL_TITLES])


def readable_segments(errors: pd.DataFrame) -> pd.DataFrame:
    """Return how well single publications are predicted as a reader wants it, all text."""
    told = telling(errors)
    rows = [
        (
            *(_told(row, name) for name in told),
            str(row["load"]),
            row["band"],
            str(row["segments"]),
            *(percent(row[name]) for name in ("mape", "bias")),
            "–" if np.isnan(row["correlation"]) else f"{row['correlation']:.2f}",
        )
        for row in errors.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=[*_titles(told), "N", "of N_max", "segments", "MAPE", "bias", "correlation"])


def readable_summary(summary: pd.DataFrame, *, judged: bool) -> pd.DataFrame:
    """Return the errors over all loads as a reader wants them, all text; with targets and verdicts if `judged`."""
    rows = [
        (
            row["metric"],
            str(row["cases"]),
            *(percent(row[name], signed=False) for name in ("error", "worst", "noise_floor", "target")),
            "no target" if pd.isna(row["verdict"]) else row["verdict"],
            *(percent(row[name], signed=False) for name in NULL_MODELS),
        )
        for row in summary.to_dict("records")
    ]
    titles = ["figure", "loads", "median error", "worst", "noise floor", "target", "verdict"]
    table = pd.DataFrame(rows, columns=[*titles, *NULL_TITLES])
    return table if judged else table.drop(columns=["target", "verdict"])


def readable_rivals(rivals: pd.DataFrame) -> pd.DataFrame:
    """Return who predicts best near capacity as a reader wants it, all text."""
    rows = [
        (
            row["metric"],
            str(row["loads"]),
            *(percent(row[name], signed=False) for name in ("model", *NULL_MODELS)),
            dict(zip(NULL_MODELS, NULL_TITLES, strict=True)).get(row["adopted"], row["adopted"]),
        )
        for row in rivals.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["figure", "loads", "model", *NULL_TITLES, "adopted"])


def aligned(table: pd.DataFrame, *, left: int) -> Iterator[str]:
    """Yield the lines of a table of text, its first `left` columns to the left and the rest to the right."""
    cells = [list(table.columns), *table.to_numpy().tolist()]
    widths = [max(len(row[position]) for row in cells) for position in range(table.shape[1])]
    for row in cells:
        placed = (
            cell.ljust(width) if position < left else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(placed).rstrip()


def telling(rows: pd.DataFrame) -> list[str]:
    """Return the columns of a case's description that are not the same in every row."""
    return [name for name in CASE if rows[name].nunique() > 1]


def number(value: float) -> str:
    """Return three significant digits, or a dash for NaN."""
    return "–" if np.isnan(value) else f"{value:.3g}"


def percent(value: float, *, signed: bool = True) -> str:
    """Return a fraction in percent, or a dash for NaN."""
    return "–" if np.isnan(value) else f"{value:{'+' if signed else ''}.1%}"


def _told(row: dict[str, object], name: str) -> str:
    return ("fit" if row[name] else "held out") if name == "in_sample" else str(row[name])


def _titles(told: Sequence[str]) -> list[str]:
    return ["seen by" if name == "in_sample" else name for name in told]
