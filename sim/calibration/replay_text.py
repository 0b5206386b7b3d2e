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
            percent(row["mape"], signed=False),
            percent(row["bias"]),
            "–" if np.isnan(row["correlation"]) else f"{row['correlation']:.2f}",
        )
        for row in errors.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=[*_titles(told), "N", "of N_max", "segments", "MAPE", "bias", "correlation"])


def readable_bands(errors: pd.DataFrame) -> pd.DataFrame:
    """Return the errors by sample and band as a reader wants them, all text."""
    rows = []
    for row in errors.to_dict("records"):
        name = row["metric"]
        relative = FIGURES[name].relative or name == "overloaded"
        show = percent if relative else number
        told = [
            percent(row["error"], signed=False) if relative else number(row["error"]),
            percent(row["worst"], signed=False) if relative else number(row["worst"]),
            show(row["bias"]),
            percent(row["noise_floor"], signed=False) if relative else number(row["noise_floor"]),
        ]
        rows.append((_told(row, "in_sample"), row["band"], name, str(row["loads"]), *told))
    titles = ["fitted", "of N_max", "figure", "loads", "median error", "worst", "bias", "noise floor"]
    return pd.DataFrame(rows, columns=titles)


def readable_segment_bands(errors: pd.DataFrame) -> pd.DataFrame:
    """Return how well single publications are predicted by sample and band, all text."""
    rows = [
        (
            _told(row, "in_sample"),
            row["band"],
            str(row["loads"]),
            str(row["segments"]),
            percent(row["mape"], signed=False),
            percent(row["bias"]),
            "–" if np.isnan(row["correlation"]) else f"{row['correlation']:.2f}",
        )
        for row in errors.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["fitted", "of N_max", "loads", "segments", "MAPE", "bias", "correlation"])


def readable_n_max(metrics: pd.DataFrame, verdicts: Sequence[str]) -> pd.DataFrame:
    """Return the rows of N_max as a reader wants them, all text."""
    rows = [
        (
            row["ladder"],
            row["clip"],
            _told(row, "in_sample"),
            *(f"{row[name]:.0f}" for name in ("measured", "predicted", "division")),
            percent(row["error"]),
            "–" if row["in_sample"] else judged,
        )
        for row, judged in zip(metrics.to_dict("records"), verdicts, strict=True)
    ]
    titles = ["ladder", "clip", "fitted", "measured", "predicted", NULL_TITLES[-1], "error", "verdict"]
    return pd.DataFrame(rows, columns=titles)


def readable_summary(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the errors over all loads beside targets, noise floors and null models, all text."""
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
    return pd.DataFrame(rows, columns=[*titles, *NULL_TITLES])


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
    return ("yes" if row[name] else "no") if name == "in_sample" else str(row[name])


def _titles(told: Sequence[str]) -> list[str]:
    return ["fitted" if name == "in_sample" else name for name in told]
