"""The decision has the probability, the front and the value of information that closed forms give."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scenarios import CalibrationError
from sim.capacity_review.cost_draws import Months, cost_draws
from sim.capacity_review.decision import (
    chances_of_cheapest,
    choice_now,
    pareto,
    shares_of_cheapest,
)
from sim.sampling import stream
from sim.statistics.intervals import proportion_interval


def frame(**columns):
    return pd.DataFrame(columns)


def normal_costs(difference, sd, draws=40_000, seed=1):
    """Two candidates whose difference is normal: b costs `difference` more in the mean, with this deviation."""
    rng = stream(seed, 0, "normal costs")
    level, noise = rng.normal(1000.0, 50.0, draws), rng.normal(0.0, sd, draws)
    return frame(a=level, b=level + difference + noise)


def unit_loss(difference, sd):
    """E max(0, -X) of X ~ N(difference, sd²): what perfect information is worth (Raiffa and Schlaifer, 1961)."""
    z = difference / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


def test_cost_is_in_proportion_to_one_over_places():
    places = frame(a=[4.0, 5.0, 8.0], b=[1.0, 2.0, 4.0], c=[1.0, 1.0, 1.0])
    costs = cost_draws(places, {"b": months(100.0), "a": months(400.0)})
    assert costs.to_dict("list") == {"b": [100.0, 50.0, 25.0], "a": [100.0, 80.0, 50.0]}
    with pytest.raises(CalibrationError, match="no joint draws of d"):
        cost_draws(places, {"a": months(1.0), "d": months(1.0)})


def months(usd, paid=(1.0, 1.0), places=1.0, **bounds):
    """One day of a fleet whose node holds one broadcast."""
    return Months(np.array([usd]), np.array([places]), np.array([paid]), **bounds)


def test_a_fleet_of_fixed_size_costs_the_same_in_every_draw():
    """And so the cheaper of two is the cheapest with certainty, however little is known of their nodes."""
    places = frame(a=[2.0, 5.0, 20.0], b=[20.0, 5.0, 2.0])
    held = {"places": 5.0, "paid": (7.0, 7.0), "min_nodes": 7, "max_nodes": 100}
    costs = cost_draws(places, {"a": months(90.0, **held), "b": months(100.0, **held)})
    assert costs.to_dict("list") == {"a": [90.0] * 3, "b": [100.0] * 3}
    assert chances_of_cheapest(costs, ["a", "b"])["a"].value == 1.0


def test_a_fleet_stays_within_its_bounds_in_every_draw():
    """Half the day at 10 nodes, between 4 and 15: 5, 10 and 20 would be needed."""
    of = months(14.0, paid=(4.0, 10.0), places=4.0, min_nodes=4, max_nodes=15)
    costs = cost_draws(frame(a=[8.0, 4.0, 2.0, 40.0]), {"a": of})
    assert costs["a"].to_list() == pytest.approx([4 + 5, 4 + 10, 4 + 15, 4 + 4])


def test_fewer_nodes_than_the_least_are_what_could_be_had():
    of = months(3.0, paid=(1.0, 2.0), places=4.0, min_nodes=4, max_nodes=15)
    assert cost_draws(frame(a=[1.0, 8.0]), {"a": of})["a"].to_list() == [3.0, 3.0]


def test_normal_costs_are_cheapest_with_the_probability_of_the_normal_law():
    costs = normal_costs(30.0, 40.0)
    chances = chances_of_cheapest(costs, ["a", "b"])
    exact = stats.norm.cdf(30.0 / 40.0)
    assert chances["a"].low < exact < chances["a"].high
    assert not chances["a"].low < stats.norm.cdf(30.0 / 50.0) < chances["a"].high  # another deviation is told apart
    assert sum(chance.value for chance in chances.values()) == pytest.approx(1.0)


def test_equal_types_share_and_the_dearer_of_two_never_wins():
    places = frame(one=[3.0, 7.0, 5.0], same=[3.0, 7.0, 5.0], dear=[3.0, 7.0, 5.0], twice=[6.0, 14.0, 10.0])
    usd_places = {"one": 0.3, "same": 0.1 * 3, "dear": 0.31, "twice": 0.6}
    costs = cost_draws(places, {name: months(usd) for name, usd in usd_places.items()})
    chances = chances_of_cheapest(costs, ["one", "same", "dear", "twice"])
    assert [chance.value for chance in chances.values()] == pytest.approx([1 / 3, 1 / 3, 0.0, 1 / 3])
    assert chances_of_cheapest(costs, ["one", "dear"])["one"].value == 1.0
    assert chances_of_cheapest(costs, ["dear"])["dear"].value == 1.0
    assert chances_of_cheapest(costs, []) == {}


def test_a_deterministic_fleet_is_certain():
    costs = frame(a=np.full(1000, 90.0), b=np.full(1000, 100.0))
    assert chances_of_cheapest(costs, ["a", "b"])["a"] == proportion_interval(1000, 1000)
    assert choice_now(costs, ["b", "a"]) == ("a", 90.0, 0.0, 0.0)


def test_each_draw_has_one_winner_in_all():
    costs = frame(a=[1.0, 2.0, 3.0], b=[1.0, 3.0, 2.0], c=[1.0, 2.0, 9.0])
    expected = [[1 / 3, 1 / 3, 1 / 3], [0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(shares_of_cheapest(costs).to_numpy(), expected)


@pytest.mark.parametrize("difference", [0.0, 30.0, -60.0])
def test_perfect_information_is_worth_the_unit_normal_loss(difference):
    choice = choice_now(normal_costs(difference, 40.0), ["a", "b"])
    exact = unit_loss(abs(difference), 40.0)
    assert choice.candidate in {0.0: "ab", 30.0: "a", -60.0: "b"}[difference]
    worth, error = choice.perfect_information_usd_per_month, choice.standard_error_usd_per_month
    assert abs(worth - exact) < 4 * error
    assert abs(worth - unit_loss(abs(difference), 44.0)) > 4 * error  # a deviation 10 % larger is told apart


def test_perfect_information_on_uniform_costs():
    """Two independent uniform costs on [0, 1]: the mean is 1/2, the mean of the lesser 1/3."""
    rng = stream(2, 0, "uniform costs")
    choice = choice_now(frame(a=rng.random(40_000), b=rng.random(40_000)), ["a", "b"])
    assert choice.usd_per_month == pytest.approx(0.5, abs=0.01)
    assert abs(choice.perfect_information_usd_per_month - 1 / 6) < 4 * choice.standard_error_usd_per_month
    assert choice.standard_error_usd_per_month < 0.002


def test_the_choice_keeps_to_those_in_the_race():
    costs = frame(a=[1.0, 1.0], b=[2.0, 4.0], c=[4.0, 3.0])
    assert choice_now(costs, ["b", "c"])[:3] == ("b", 3.0, 0.5)
    assert math.isnan(choice_now(costs.head(1), ["b", "c"]).standard_error_usd_per_month)


def front(points):
    return pareto(*({name: point[axis] for name, point in points.items()} for axis in (0, 1)))


def test_the_front_holds_what_is_not_dominated():
    points = {"dear safe": (9, 0), "cheap risky": (1, 9), "between": (5, 4), "worse": (6, 5), "as dear": (5, 7)}
    assert front(points) == ("cheap risky", "between", "dear safe")
    assert front({"one": (1, 1), "same": (1, 1), "worse": (1, 2)}) == ("one", "same")
    assert front({"alone": (3, math.inf)}) == ("alone",)
    assert front({}) == ()


def test_the_front_is_that_of_all_pairs_at_random():
    rng = stream(3, 0, "points")
    for _ in range(50):
        cost, risk = rng.integers(0, 6, size=(2, 12)).tolist()
        left = set(front({str(i): (cost[i], risk[i]) for i in range(12)}))
        for i in range(12):
            beaten = any(cost[j] <= cost[i] and risk[j] <= risk[i] and (cost[j], risk[j]) != (cost[i], risk[i])
                         for j in range(12))  # fmt: skip
            assert (str(i) in left) is not beaten


def test_a_front_without_numbers_is_refused():
    with pytest.raises(ValueError, match=r"not a number: \['a'\]"):
        front({"a": (1, math.nan), "b": (2, 2)})
    with pytest.raises(ValueError, match=r"different candidates: \['b'\]"):
        pareto({"a": 1.0}, {"a": 1.0, "b": 1.0})
