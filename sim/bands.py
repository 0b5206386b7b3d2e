"""Means over replications along the day, and where a single day lies: what a plot draws, as plain arrays."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sim.results import RunResult
from sim.sampling import Floats

MOST_POINTS = 300
"""Of a line; more cannot be seen on a page."""


class Band(NamedTuple):
    """A line over the day, and the range of single days around it.

    Attributes:
        hour: local time of the middle of each bin, in hours; runs on past 24.
        mean: over replications; NaN where no replication has a value.
        low: where 95 % of days begin; NaN with fewer than two replications.
        high: where they end.
    """

    hour: Floats
    mean: Floats
    low: Floats
    high: Floats

    def scaled(self, factor: float) -> Band:
        """Return the same band in another unit."""
        return Band(self.hour, self.mean * factor, self.low * factor, self.high * factor)


def ticks_per_bin(result: RunResult) -> int:
    """Return how many ticks are averaged into one point of a line."""
    ticks = int(result.ticks.groupby("replication").size().max())
    return math.ceil(ticks / MOST_POINTS)


def bin_minutes(result: RunResult) -> float:
    """Return the time one point of a line stands for, in minutes."""
    return ticks_per_bin(result) * result.scenario.horizon.tick_s / 60.0


def level(result: RunResult, *columns: str) -> Band:
    """Return the sum of columns of the ticks, averaged over each bin."""
    return _band(result, _binned(result, result.ticks[list(columns)].sum(axis=1)) / _binned(result, 1.0))


def ratio(result: RunResult, above: str, below: str) -> Band:
    """Return the sum of one column ÷ that of another within each bin; NaN where the other is 0."""
    denominator = _binned(result, result.ticks[below])
    band = _band(result, _binned(result, result.ticks[above]) / denominator.where(denominator > 0))
    return band._replace(high=np.minimum(band.high, 1.0))


def range_of_days(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, low and high of each row, NaN left out: 95 % of days, as in `sim.metrics.summarise`.

    Args:
        values: shape (points, replications).
    """
    known = (~np.isnan(values)).sum(axis=1)
    mean = np.where(known, np.nansum(values, axis=1), np.nan) / np.maximum(known, 1)
    squares = np.nansum((values - mean[:, None]) ** 2, axis=1)
    freedom = np.where(known > 1, known - 1, np.nan)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(squares / freedom * (1.0 + 1.0 / np.maximum(known, 1)))
    return mean, np.maximum(mean - half, 0.0), mean + half


def _binned(result: RunResult, values: pd.Series[float] | float) -> pd.DataFrame:
    """Return sums within each bin, one column per replication."""
    replication = result.ticks["replication"]
    position = result.ticks.groupby("replication").cumcount() // ticks_per_bin(result)
    frame = pd.DataFrame({"replication": replication, "bin": position, "value": values})
    return frame.pivot_table(index="bin", columns="replication", values="value", aggfunc="sum")


def _band(result: RunResult, values: pd.DataFrame) -> Band:
    middle = values.index.to_numpy(float) + 0.5
    hour = result.scenario.horizon.start_hour + middle * bin_minutes(result) / 60.0
    return Band(hour, *range_of_days(values.to_numpy(float)))
