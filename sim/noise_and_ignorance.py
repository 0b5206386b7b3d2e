"""Each interval in its two parts: noise, which more days would narrow, and ignorance, which a measurement would.

Every replication is a day in a world of its own. The same days, simulated once more in the middle world, have the noise
alone; what the world changes on a day is ignorance (`sim.statistics.split`). The middle is simulated by the control
plane alone, so metrics of viewers have no parts.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from sim.format import interval_text
from sim.sampling import Floats, stream
from sim.statistics.intervals import ROUNDING
from sim.statistics.split import Split, split

COLUMNS = ["metric", "noise", "ignorance"]
COLUMNS_OF_TABLE = ("± noise", "± ignorance")
"""Titles of the parts in a table."""


def parts(values: pd.DataFrame, middle: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return how far noise and ignorance each may move the mean, one row a metric that both worlds have.

    Args:
        values: metrics by replication, each in its own world; as `RunResult.values`.
        middle: of the same days in the middle world; empty where they were not simulated.
        confidence: in (0, 1).

    Returns:
        Columns metric; noise: half-width of Student's interval of the mean over these days, in the middle world;
        ignorance: t × the standard deviation of what the world changes, of which more days take nothing away. No row
        for a metric that is not finite on some day.
    """
    if middle.empty:
        return pd.DataFrame(columns=COLUMNS)
    rows = []
    for metric, of in _pairs(values, middle).groupby("metric", sort=False):
        own, mid = (of[f"value_{world}"].to_numpy(float) for world in ("own", "middle"))
        if own.size < 2 or not np.isfinite([own, mid]).all():
            continue
        width = float(stats.t.ppf((1 + confidence) / 2, own.size - 1))
        of_days, of_worlds = (width * _deviation(one, float(np.abs(own).max())) for one in (mid, own - mid))
        rows.append((metric, of_days / math.sqrt(own.size), of_worlds))
    return pd.DataFrame(rows, columns=COLUMNS)


def split_of(values: pd.DataFrame, middle: pd.DataFrame, metric: str, seed: int) -> Split | None:
    """Return noise and ignorance of one metric with their intervals; None where it has no parts."""
    pairs = _pairs(values, middle) if not middle.empty else pd.DataFrame(columns=["metric"])
    of = pairs[pairs["metric"] == metric]
    if len(of) < 2 or not np.isfinite(of[["value_own", "value_middle"]].to_numpy(float)).all():
        return None
    own, mid = (of[f"value_{world}"].to_numpy(float) for world in ("own", "middle"))
    return split(own, mid, stream(seed, 0, "bootstrap"))


def sentence(meaning: str, found: Split | None) -> str:
    """Return which part of the spread of a metric is ignorance, in a sentence; empty where nothing is spread."""
    if found is None or math.isnan(found.ignorance_share.value):
        return ""
    share, low, high = found.ignorance_share
    ends = "" if not math.isfinite(low) else f" ({low:.0%} … {high:.0%})"
    less = "a measurement narrows it, more days do not" if share > 0.5 else "more days narrow it, a measurement hardly"
    return f"Of the variance of '{meaning}' {share:.0%}{ends} is ignorance and the rest noise of the days: {less}"


def half_widths(noise: float, ignorance: float, unit: str, scale_of: float) -> tuple[str, str]:
    """Return both half-widths as text, in the unit that the metric's own value is told in."""
    _, told = interval_text(scale_of, noise, ignorance, unit)
    one, other = told.split(" … ")
    return one, other


def _deviation(values: Floats, scale: float) -> float:
    """Return the standard deviation, 0 where that is rounding alone."""
    found = float(values.std(ddof=1))
    return found if found > ROUNDING * scale else 0.0


def _pairs(values: pd.DataFrame, middle: pd.DataFrame) -> pd.DataFrame:
    keys = ["metric", "replication"]
    return values[[*keys, "value"]].merge(middle[[*keys, "value"]], on=keys, suffixes=("_own", "_middle"))
