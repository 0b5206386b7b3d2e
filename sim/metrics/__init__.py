"""Metrics: pure functions from the records of one replication to one number each.

A metric is a row of a table: its component, unit, meaning and function. A value that does not exist in a run, such as a
hit ratio without a request, is NaN and stays out of the interval; what a platform has nothing of has no row.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy import stats

from sim.metrics.case import Case, Metric
from sim.metrics.cost import COST
from sim.metrics.outcomes import OUTCOMES
from sim.metrics.scaling import SCALING
from sim.metrics.serving import SERVING

METRICS: dict[str, Metric] = SERVING | OUTCOMES | SCALING | COST

__all__ = ["METRICS", "Case", "Metric", "measure", "summarise"]


def measure(case: Case) -> pd.DataFrame:
    """Return every metric of one replication that applies: component, metric, unit, value, one row each."""
    rows = [
        (case.run.replication, metric.component, name, metric.unit, metric.value(case))
        for name, metric in METRICS.items()
        if (case.run.is_watched or not metric.of_viewers) and metric.applies(case)
    ]
    return pd.DataFrame(rows, columns=["replication", "component", "metric", "unit", "value"])


def summarise(values: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Summarise each metric over replications, in the order of `METRICS`.

    Two intervals, both Student's t over independent replications. That of the mean narrows with more
    replications. That of a day is where the next single day lies, in a world drawn from the profile: the noise of
    the day and the ignorance of the profile, which replications do not shrink. Both are cut off where
    nothing can be: no fraction is above 1, and none of what was never seen negative is.

    Returns:
        Columns component, metric, unit, mean, low, high (of the mean), day_low, day_high, replications.
    """
    rows = []
    for (component, name, unit), group in values.groupby(["component", "metric", "unit"], sort=False):
        known = group["value"].dropna().to_numpy()
        mean = float(known.mean()) if known.size else math.nan
        half = day = math.nan
        if known.size > 1 and math.isfinite(mean):
            spread = stats.t.ppf((1 + confidence) / 2, known.size - 1) * known.std(ddof=1)
            half = float(spread / math.sqrt(known.size))
            day = float(spread * math.sqrt(1 + 1 / known.size))
        ends = np.array([mean - half, mean + half, mean - day, mean + day])
        least = 0.0 if not known.size or known.min() >= 0 else -math.inf
        possible = np.clip(ends, least, 1.0 if unit == "1" else math.inf)
        rows.append((component, name, unit, mean, *possible.tolist(), known.size))
    columns = ["component", "metric", "unit", "mean", "low", "high", "day_low", "day_high", "replications"]
    return pd.DataFrame(rows, columns=columns)
