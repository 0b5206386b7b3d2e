"""The benchmark of coverage in small: intervals cover as they say, and each mistake it is there to find is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.coverage import FEW, MANY, SHARE, Outcome, figures, one_run, path, table
from sim.statistics.intervals import Interval, mean_interval, proportion_interval, quantile_interval
from sim.theory.two_phase_queue import balanced_queue

RUNS, CUSTOMERS = 200, 3000
QUEUE = balanced_queue(2, 0.6, 1.0)


@pytest.fixture(scope="module")
def rows():
    return table(one_run(run, queue=QUEUE, customers=CUSTOMERS, seed=1) for run in range(RUNS))


def told(rows, start):
    (name,) = [name for name in rows if name.startswith(start)]
    return rows[name]


@pytest.mark.parametrize("start", ["mean wait, Student's t, 10", "mean wait, Student's t, 20", "p95 wait", "share of"])
def test_a_nominal_95_percent_covers_as_often(rows, start):
    """Of so few runs 99.9 % of honest intervals cover between 180 and 199."""
    low, high = stats.binom.ppf([0.0005, 0.9995], RUNS, 0.95) / RUNS
    assert low <= told(rows, start)["coverage"] <= high
    assert told(rows, start)["mean"] == pytest.approx(told(rows, start)["exact"], rel=0.03)


def test_stopping_early_costs_a_little(rows):
    sequential = told(rows, "mean wait, sequential")
    assert sequential["coverage_high"] > 0.92
    assert FEW <= sequential["replications_least"] <= sequential["replications_most"] <= 60


@pytest.mark.parametrize("start", ["null: mean", "null: p95"])
def test_customers_of_one_path_are_not_independent(rows, start):
    assert told(rows, start)["coverage_high"] < 0.85


def test_the_variance_of_the_mean_halves_with_twice_the_replications(rows):
    few, many = (told(rows, f"mean wait, Student's t, {count}")["variance"] for count in (FEW, MANY))
    assert few / many == pytest.approx(2.0, rel=0.5)


def covered(interval_of, replications: int, *, empty: bool = False, customers: int = CUSTOMERS) -> Interval:
    """Return how often an interval of the mean wait covers it, over the same runs."""
    hits = 0
    for run in range(RUNS):
        paths = [path(QUEUE, customers, 1, run, number, empty) for number in range(replications)]
        means = np.array([figures(*one).mean_s for one in paths])
        hits += Outcome(interval_of(means), QUEUE.wait_s, replications).covers
    return proportion_interval(hits, RUNS)


def normal_interval(values: np.ndarray) -> Interval:
    half = stats.norm.ppf(0.975) * values.std(ddof=1) / math.sqrt(values.size)
    return Interval(values.mean(), values.mean() - half, values.mean() + half)


def test_planted_a_normal_quantile_for_three_replications_is_found():
    assert covered(mean_interval, 3).high > 0.95
    assert covered(normal_interval, 3).high < 0.9


def test_planted_a_start_from_empty_is_found():
    assert covered(mean_interval, MANY, customers=40).high > 0.9
    assert covered(mean_interval, MANY, customers=40, empty=True).high < 0.8


def test_planted_order_statistics_over_the_pooled_customers_are_found():
    hits = 0
    for run in range(RUNS // 2):
        pooled = np.concatenate([path(QUEUE, CUSTOMERS, 1, run, number, False)[0] for number in range(FEW)])
        interval = quantile_interval(pooled, SHARE)
        hits += interval.low <= QUEUE.wait_quantile_s(SHARE) <= interval.high
    assert proportion_interval(hits, RUNS // 2).high < 0.9
