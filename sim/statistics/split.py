"""Noise and ignorance: how much of a metric's spread is the day's, and how much is what nobody has measured.

In the joint replications Y(w_r, d_r) the world w, a draw of the coefficients, and the day d change together. The same
days in the middle world, Y(w_mid, d_r), have the day's noise alone. The paired difference Y(w_r, d_r) − Y(w_mid, d_r)
has the world's part alone, as both share their day; what world and day do together (a costly world costs more on a
busy day) stays in it, since a measurement would take it away. Its variance is the total effect of the world (Homma &
Saltelli 1996), with the middle world in the place of a second draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from sim.sampling import Floats
from sim.statistics.intervals import CONFIDENCE, Interval, ratio_interval


class Split(NamedTuple):
    """The two parts of a spread, each with its interval.

    Attributes:
        noise: standard deviation of days in the middle world, in the metric's unit.
        ignorance: standard deviation of what the world changes on the same days, likewise.
        ignorance_share: variance of ignorance ÷ (that + variance of noise); NaN where nothing varies.
        replications: of both.
    """

    noise: Interval
    ignorance: Interval
    ignorance_share: Interval
    replications: int


def split(joint: Floats, middle: Floats, rng: np.random.Generator, confidence: float = CONFIDENCE) -> Split:
    """Return noise and ignorance of a metric.

    Assumes that the replications are independent, that the days of both are the same (equal seed and number), and that
    the noise in the middle world is that of any world: where another world is also noisier, the surplus counts as
    ignorance. Noise and ignorance add up to the joint variance where neither's mean depends on the other; else the
    joint variance has a covariance besides, which belongs to neither. The intervals of the standard deviations are the
    chi-square ones, exact for normal values only; that of the share is a paired bootstrap of both variances.

    Args:
        joint: the metric by replication, each in its own world.
        middle: the metric of the same replications, all in the middle world.
        rng: for the bootstrap.
        confidence: of each interval, in (0, 1).

    Raises:
        ValueError: they differ in length, there are fewer than two, or a value is not finite.
    """
    if joint.shape != middle.shape or joint.size < 2 or not np.isfinite([joint, middle]).all():
        raise ValueError("a split needs two or more pairs of finite values, one in each world of every replication")
    worlds = joint - middle
    noise, ignorance = (_deviation(values, confidence) for values in (middle, worlds))
    return Split(noise, ignorance, _share(worlds, middle, rng, confidence), joint.size)


def _deviation(values: Floats, confidence: float) -> Interval:
    """Return a standard deviation and its chi-square interval (Helmert 1876)."""
    freedom = values.size - 1
    deviation = float(values.std(ddof=1))
    tails = stats.chi2.ppf([(1 + confidence) / 2, (1 - confidence) / 2], freedom)
    low, high = deviation * np.sqrt(freedom / tails)
    return Interval(deviation, float(low), float(high))


def _share(worlds: Floats, days: Floats, rng: np.random.Generator, confidence: float) -> Interval:
    """Return the share of the first variance in both, as a ratio of sums of squares."""
    squares = [(values - values.mean()) ** 2 for values in (worlds, days)]
    found = ratio_interval(squares[0], squares[0] + squares[1], rng, confidence)
    return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0))
