"""Errors by sample and load band: the short form of a replay."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sim.calibration.comparison import ABOVE, ABOVE_METRICS, BANDS
from sim.calibration.figures import FIGURES
from sim.calibration.verdicts import judged_loads

COLUMNS = ["in_sample", "band", "metric", "unit", "loads", "error", "worst", "bias", "noise_floor"]
SEGMENT_COLUMNS = ["in_sample", "band", "loads", "segments", "mape", "bias", "correlation"]


def errors_by_band(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of each figure by sample (in-sample or held out) and band, over the judged loads of a band.

    Columns: in_sample, band, metric, unit, loads; error, the median of the absolute errors, and worst, the largest;
    bias, the median of the signed ones; noise_floor, the median. Above 0.8 of N_max there are only the backlog's, over
    all loads: differences of its slope, and of `overloaded` the share of loads that were judged otherwise.
    """
    rows = []
    for in_sample, of_sample in metrics[metrics["metric"] != "n_max"].groupby("in_sample"):
        judged = judged_loads(of_sample)
        above = of_sample[of_sample["band"] == ABOVE]
        for band, of_band in [*((name, judged[judged["band"] == name]) for _, name in BANDS), (ABOVE, above)]:
            rows += [{"in_sample": in_sample, "band": band, **row} for row in _rows(of_band, above=band == ABOVE)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(of_band: pd.DataFrame, *, above: bool) -> Iterator[dict[str, object]]:
    for name, figure in FIGURES.items():
        rows = of_band[(of_band["metric"] == name) & of_band["error"].notna()]
        if rows.empty or above != (name in ABOVE_METRICS):
            continue
        errors = rows["error"].astype(float)
        yield {
            "metric": name,
            "unit": figure.unit,
            "loads": len(rows),
            "error": float(errors.abs().mean() if name == "overloaded" else errors.abs().median()),
            "worst": float(errors.abs().max()),
            "bias": float(errors.median()),
            "noise_floor": float(rows["noise_floor"].median()),
        }


def segments_by_band(errors: pd.DataFrame) -> pd.DataFrame:
    """Return how well single publications are predicted by sample and band: the medians over its loads.

    Args:
        errors: by load, of `comparison.segment_errors`.
    """
    rows = [
        (*key, len(loads), loads["segments"].sum(), *(loads[name].median() for name in ("mape", "bias", "correlation")))
        for key, loads in errors.groupby(["in_sample", "band"], sort=False)
    ]
    return pd.DataFrame(rows, columns=SEGMENT_COLUMNS).sort_values(["in_sample", "band"], ascending=[True, False])
