"""Intervals against scipy, published ranks and exact coverage; degenerate samples by what can be said of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.sampling import stream
from sim.statistics.intervals import (
    mean_interval,
    proportion_interval,
    quantile_interval,
    ratio_interval,
)


def draws(name: str) -> np.random.Generator:
    return stream(1, 0, name)


def test_the_mean_is_students_as_scipy_has_it():
    values = draws("mean").gamma(2.0, size=12)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert mean_interval(values, 0.9)[1:] == pytest.approx(tuple(expected), rel=1e-12)


def test_too_few_values_bound_no_mean():
    assert mean_interval(np.array([3.0])) == (3.0, -math.inf, math.inf)
    assert mean_interval(np.array([]))[1:] == (-math.inf, math.inf)
    assert mean_interval(np.full(10, 3.0)) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (950, 1000)])
def test_a_share_is_clopper_and_pearsons_as_scipy_has_it(successes, trials):
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert proportion_interval(successes, trials)[1:] == pytest.approx(tuple(expected), rel=1e-10)


def test_a_share_of_nothing_may_be_anything():
    assert proportion_interval(0, 0)[1:] == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        proportion_interval(3, 2)


def test_a_half_success_lies_between_its_whole_neighbours():
    low, half, high = (proportion_interval(successes, 20) for successes in (7, 7.5, 8))
    assert all(one < middle < other for one, middle, other in zip(low, half, high, strict=True))


def test_a_quantile_lies_between_the_published_ranks():
    """Of 1,000 values the 95th percentile lies between the 936th and the 964th; a median needs six values."""
    assert quantile_interval(np.arange(1.0, 1001.0), 0.95)[1:] == (936.0, 964.0)
    assert quantile_interval(np.arange(1.0, 21.0), 0.5)[1:] == (6.0, 15.0)
    assert quantile_interval(np.arange(1.0, 7.0), 0.5)[1:] == (1.0, 6.0)
    assert quantile_interval(np.arange(1.0, 6.0), 0.5)[1:] == (-math.inf, math.inf)
    assert quantile_interval(np.arange(1.0, 31.0), 0.95).high == math.inf


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("count", [6, 10, 40, 100])
def test_the_ranks_of_a_quantile_cover_at_least_and_the_next_ones_inside_do_not(count, share):
    """The exact coverage of ranks l … u is P(l ≤ B < u), B the binomial number of values up to the quantile."""
    values = np.arange(1.0, count + 1)
    low, high = (float(np.clip(end, 0, count + 1)) for end in quantile_interval(values, share)[1:])
    below = stats.binom(count, share)
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    assert below.sf(high - 1) <= 0.025 < below.sf(high - 2)


def test_a_ratio_is_that_of_the_sums_and_wider_than_a_bare_bootstrap():
    rng = draws("ratio")
    below = rng.gamma(4.0, size=10)
    above = below * rng.uniform(0.8, 1.2, size=10)
    found = ratio_interval(above, below, draws("resamples"))
    assert found.value == pytest.approx(above.sum() / below.sum())
    bare = stats.bootstrap(
        (above, below),
        lambda of, by, axis: of.sum(axis=axis) / by.sum(axis=axis),
        paired=True,
        random_state=draws("resamples"),
    ).confidence_interval
    assert found.low < bare.low < found.value < bare.high < found.high
    assert found == ratio_interval(above, below, draws("resamples"))


@pytest.mark.parametrize("count", [10, 20])
def test_a_ratio_of_equal_denominators_is_near_students_mean(count):
    """Planted mistake: without its expansion the interval of ten is a fifth narrower than Student's."""
    values = stats.norm.ppf((np.arange(count) + 0.5) / count) + 10.0
    found = ratio_interval(values, np.ones(count), draws("resamples"))
    student = mean_interval(values)
    assert (found.high - found.low) / (student.high - student.low) == pytest.approx(1.0, abs=0.06)
    bare = stats.bootstrap((values,), np.mean, random_state=draws("resamples")).confidence_interval
    assert (bare.high - bare.low) / (student.high - student.low) < 0.94


def test_a_ratio_that_never_varies_has_no_width():
    below = draws("below").gamma(4.0, size=10)
    assert ratio_interval(0.3 * below, below, draws("none")) == pytest.approx((0.3, 0.3, 0.3), rel=1e-12)
    assert ratio_interval(0.0 * below, below, draws("none")) == (0.0, 0.0, 0.0)
    assert ratio_interval(np.array([1.0, 2.0]), np.array([2.0, 4.0]), draws("none")) == (0.5, 0.5, 0.5)


def test_what_few_pairs_cannot_bound_is_not_bounded():
    assert ratio_interval(np.array([1.0]), np.array([2.0]), draws("none")) == (0.5, -math.inf, math.inf)
    four = ratio_interval(np.arange(1.0, 5.0), np.ones(4), draws("none"))
    assert four == (2.5, -math.inf, math.inf)
    assert math.isfinite(ratio_interval(np.arange(1.0, 6.0), np.ones(5), draws("none")).low)
    nothing = ratio_interval(np.zeros(8), np.zeros(8), draws("none"))
    assert math.isnan(nothing.value)
    assert nothing[1:] == (-math.inf, math.inf)


def test_pairs_of_zeros_say_nothing_of_a_ratio():
    rng = draws("pairs")
    below = rng.gamma(4.0, size=8)
    above = below * rng.uniform(0.5, 1.0, size=8)
    padded = [np.concatenate([part, np.zeros(5)]) for part in (above, below)]
    assert ratio_interval(*padded, draws("resamples")) == ratio_interval(above, below, draws("resamples"))


@pytest.mark.parametrize(("above", "below"), [([1.0, 1.0], [1.0]), ([1.0, 1.0], [1.0, -1.0]), ([1.0, 1.0], [1.0, 0.0])])
def test_a_ratio_that_does_not_exist_is_refused(above, below):
    with pytest.raises(ValueError, match="denominator"):
        ratio_interval(np.array(above), np.array(below), draws("none"))


def test_one_pair_unlike_the_others_still_has_finite_ends():
    outlier = ratio_interval(np.array([0.0] * 9 + [1.0]), np.ones(10), draws("resamples"))
    assert outlier.low == 0.0
    assert outlier.value < outlier.high < 1.0
