"""Intervals of a mean, a share, a quantile and a ratio, from independent observations.

Every interval names its nominal confidence and what it assumes. An end that so few observations cannot bound is
infinite, never a guess; a sample in which nothing varies has an interval of no width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

from sim.sampling import Floats

CONFIDENCE = 0.95
RESAMPLES = 9999
"""Of a bootstrap."""
MOST_AT_ONCE = 1_000_000
"""Numbers that a bootstrap holds in memory."""
ROUNDING = 1e-12
"""Relative to the larger of two numbers: below it their difference is that of rounding."""


class Interval(NamedTuple):
    """An estimate between two ends, both included; an end that is not bounded is infinite."""

    value: float
    low: float
    high: float


def half_width(values: Floats, confidence: float = CONFIDENCE) -> float:
    """Return half the width of Student's t interval of the mean (Student 1908); infinite for fewer than two values."""
    if values.size < 2:
        return math.inf
    spread = float(stats.t.ppf((1 + confidence) / 2, values.size - 1)) * float(values.std(ddof=1))
    return spread / math.sqrt(values.size)


def mean_interval(values: Floats, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean and Student's t interval of it (Student 1908).

    Exact for normal values, and near it for means of many events each, such as a day's; what skewness costs at ten
    values is measured by `benchmarks.coverage`.

    Args:
        values: independent and finite; fewer than two bound no end, none at all have NaN as their mean.
        confidence: in (0, 1).
    """
    mean = float(values.mean()) if values.size else math.nan
    half = half_width(values, confidence)
    return Interval(mean, mean - half, mean + half) if values.size else Interval(math.nan, -math.inf, math.inf)


def proportion_interval(successes: float, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """Return a share and its exact interval (Clopper & Pearson 1934), which covers at least as often as it says.

    Args:
        successes: 0 to `trials`; no whole number where several share one, which goes into the same quantiles.
        trials: independent; 0 of them bound nothing beyond 0 and 1, and have NaN as their share.
        confidence: in (0, 1).

    Raises:
        ValueError: there are more successes than trials, or fewer than none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: a share needs 0 up to as many as there are trials")
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(stats.beta.isf(tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return Interval(successes / trials if trials else math.nan, low, high)


def quantile_interval(values: Floats, share: float, confidence: float = CONFIDENCE) -> Interval:
    """Return a quantile and its interval between two order statistics, whatever the law (David & Nagaraja 2003, 7.1).

    The number of values up to the quantile is binomial. Each end is the innermost order statistic that leaves at most
    half of what the confidence leaves beyond it, so the interval covers at least as often as it says.

    Args:
        values: independent draws of one law, at least one. Waits of one run are not independent: take one number of
            each replication.
        share: of the law up to the quantile, in (0, 1).
        confidence: in (0, 1).

    Returns:
        The quantile of the values (linear between order statistics); an end that so few of them cannot bound is
        infinite: 2 of them bound nothing, and 6 just bound a median.

    Raises:
        ValueError: there is no value.
    """
    if not values.size:
        raise ValueError("a quantile needs at least one value")
    tail, count = (1 - confidence) / 2, values.size
    ranked = np.concatenate([[-math.inf], np.sort(values), [math.inf]])
    below = stats.binom.cdf(np.arange(count + 1), count, share)  # P(at most k values lie up to the quantile)
    low = int(np.searchsorted(below, tail, side="right"))  # as many k have P(at most k) within the tail
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return Interval(float(np.quantile(values, share)), float(ranked[low]), float(ranked[high]))


def ratio_interval(
    numerators: Floats, denominators: Floats, rng: np.random.Generator, confidence: float = CONFIDENCE
) -> Interval:
    """Return Σ numerators ÷ Σ denominators and its interval by a paired bootstrap, BCa (Efron 1987).

    A bootstrap of few pairs is too narrow: it resamples a spread that is (n−1)/n of the law's, and knows no t. Its
    nominal confidence is therefore raised to where a normal mean would get Student's interval (Hesterberg 2015,
    "expanded percentiles").

    Args:
        numerators: of each replication.
        denominators: likewise, none of them negative. Pairs of two zeros say nothing of the ratio and are left out.
        rng: for the resamples; the same generator state gives the same ends.
        confidence: in (0, 1).

    Returns:
        The ratio, NaN with infinite ends where nothing stands below the line. A ratio that is the same in all pairs
        has no width. Fewer than five others have too few different resamples to bound an end at 95 %.

    Raises:
        ValueError: the arrays differ in length, or a denominator is negative, or 0 below another numerator.
    """
    if numerators.shape != denominators.shape or (denominators < 0).any():
        raise ValueError("a ratio needs one denominator for each numerator, none of them negative")
    if ((denominators == 0) & (numerators != 0)).any():
        raise ValueError("a numerator stands above a denominator of 0: the ratio of such resamples does not exist")
    above, below = numerators[denominators > 0], denominators[denominators > 0]
    value = float(above.sum() / below.sum()) if below.size else math.nan
    if below.size > 1 and (np.abs(above - value * below) <= ROUNDING * np.abs(above)).all():
        return Interval(value, value, value)
    level = _expanded(confidence, below.size)
    if (1 - level) / 2 < float(below.size) ** -below.size:  # the probability of the rarest resample
        return Interval(value, -math.inf, math.inf)
    found = stats.bootstrap(
        (above, below),
        lambda of, by, axis: of.sum(axis=axis) / by.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, MOST_AT_ONCE // below.size),
        confidence_level=level,
        random_state=rng,
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))


def _expanded(confidence: float, count: int) -> float:
    """Return the nominal confidence at which percentiles of resampled normal means are Student's interval."""
    if count < 2:
        return 1.0
    ends = stats.t.ppf((1 + confidence) / 2, count - 1) * math.sqrt(count / (count - 1))
    return float(2 * stats.norm.cdf(ends) - 1)
