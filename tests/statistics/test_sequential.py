"""The rule that finds a number of replications: where it stops is worked out by hand, and it never looks ahead."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from sim.sampling import stream
from sim.statistics.sequential import Precision, attained


def stopped(rule, values, of=None):
    """Return what the rule comes to, look by look, on values that are all there."""
    for look in rule.looks():
        found = rule.judge(values[:look], None if of is None else of[:look])
        if found is not None:
            return found
    raise AssertionError("it went on beyond the most")


def plus_minus(count: int, deviation: float) -> np.ndarray:
    return 1.0 + deviation * np.where(np.arange(count) % 2, 1.0, -1.0)


def half(count: int, deviation: float) -> float:
    """Return the half-width of Student's interval of `plus_minus`, for an even count."""
    return stats.t.ppf(0.975, count - 1) * deviation * math.sqrt(count / (count - 1)) / math.sqrt(count)


def test_the_looks_are_the_least_then_every_step_and_the_most():
    assert list(Precision().looks()) == list(range(10, 61, 5))
    assert list(Precision(least=10, most=23, step=4).looks()) == [10, 14, 18, 22, 23]
    assert list(Precision(least=10, most=10).looks()) == [10]


@pytest.mark.parametrize("wanted", [10, 20, 40])
def test_it_stops_at_the_first_look_that_is_narrow_enough(wanted):
    """Planted mistake: a normal quantile in place of Student's would stop at ten where this one goes on."""
    rule = Precision(relative=0.05, step=10)
    values = plus_minus(60, 0.05 / half(wanted, 1.0) * 0.999)
    found = stopped(rule, values)
    assert (found.replications, found.end, found.reached) == (wanted, "reached", True)
    assert found.relative == pytest.approx(half(wanted, float(np.ptp(values)) / 2))
    assert stats.norm.ppf(0.975) * half(20, 1.0) / stats.t.ppf(0.975, 19) < half(20, 1.0)


def test_what_is_never_narrow_enough_ends_at_the_most_and_says_how_narrow_it_is():
    found = stopped(Precision(), plus_minus(60, 1.0))
    assert (found.replications, found.end, found.reached) == (60, "most", False)
    assert found.text("the mean") == (
        f"the mean is known to ±{100 * half(60, 1.0):.2g} %, not ±5 % as asked: 60 are the most that auto takes"
    )
    bounded = stopped(Precision().within(12), plus_minus(60, 1.0))
    assert bounded.replications == 12
    assert bounded.text("it").endswith("12 are the most that the event budget leaves")


def test_a_budget_never_goes_below_the_least_and_never_above_what_was_asked():
    assert Precision().within(3).most == 10
    assert Precision().within(10_000) == Precision()


def test_what_never_varies_is_known_after_the_least():
    found = stopped(Precision(), np.full(60, 7.0))
    assert (found.replications, found.relative) == (10, 0.0)
    assert stopped(Precision(), np.zeros(60)).reached


def test_a_mean_of_0_that_varies_has_no_share():
    found = stopped(Precision(), plus_minus(60, 1.0) - 1.0)
    assert (found.end, found.known) == ("most", False)
    assert "is not known, not ±5 % as asked" in found.text("the mean")


def test_a_difference_is_held_against_the_first():
    first = plus_minus(60, 0.2)
    change = 0.001 * plus_minus(60, 2.0)
    assert stopped(Precision(), change, first).replications == 10
    assert stopped(Precision(), change).replications == 60


def test_replications_without_a_value_do_not_count_as_values():
    """Every second one has a value: ten values are there after twenty replications."""
    values = np.where(np.arange(60) % 2, 1.0, math.nan)
    found = stopped(Precision(), values)
    assert (found.replications, found.values, found.end) == (20, 10, "reached")
    assert "by the 10 that have a value" in found.text("the mean")
    nothing = stopped(Precision(), np.full(60, math.nan))
    assert (nothing.replications, nothing.end) == (10, "no value")
    assert "has no value in any of them" in nothing.text("the mean")


def test_an_infinite_value_ends_it():
    found = stopped(Precision(), np.array([1.0, math.inf] * 30))
    assert (found.replications, found.end) == (10, "not finite")
    assert "is infinite in one of them" in found.text("the mean")
    both = stopped(Precision(), np.full(60, math.inf) - 1.0, np.full(60, math.inf))
    assert both.end == "not finite"


@pytest.mark.parametrize(
    "values", [plus_minus(60, 0.05), plus_minus(60, 1.0), np.full(60, math.nan), plus_minus(60, 1.0) - 1.0]
)
def test_it_survives_a_file(values):
    found = stopped(Precision(relative=0.01).within(30), values)
    again = attained(json.loads(json.dumps(found.document(), allow_nan=False)))
    assert again.text("it") == found.text("it")
    assert again.rule == found.rule


@pytest.mark.parametrize("wrong", [{"relative": 0.0}, {"relative": 1.0}, {"least": 1}, {"most": 5}, {"step": 0}])
def test_a_rule_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"a precision is a share|a rule needs"):
        Precision(**wrong)


def test_looking_often_costs_some_coverage_but_not_much():
    """Normal values of a tenth of their mean, 2,000 sequences: at least 92 % of the last intervals cover it."""
    covered = 0
    for number in range(2000):
        values = 1.0 + 0.1 * stream(1, number, "sequence").standard_normal(60)
        found = stopped(Precision(), values)
        seen = values[: found.replications]
        covered += abs(seen.mean() - 1.0) <= found.relative * seen.mean()
    assert 0.92 <= covered / 2000 < 0.96
