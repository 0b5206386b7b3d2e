"""The number of reserved nodes is the cheapest there is, and the month costs what the bills add up to."""

from __future__ import annotations

import numpy as np
import pytest
from platforms import scenario
from profiles import profile
from scipy import stats

from sim import run
from sim.capacity_review.purchases import Tariff, best_purchase, month_usd, paid_nodes
from sim.sampling import stream

HOURS = 730.0


def tariff(discount, share=1.0, price=0.5):
    return Tariff(price, discount, HOURS, share)


def bills(paid, of, reserved):
    """USD per month added up node by node and tick by tick, in a loop."""
    months = []
    for ticks in paid:
        hour_of_tick = of.share_of_month * of.hours_per_month / len(ticks)
        month = reserved * of.usd_per_hour * (1 - of.discount) * of.hours_per_month
        for nodes in ticks:
            month += max(nodes - reserved, 0) * of.usd_per_hour * hour_of_tick
        months.append(month)
    return np.array(months)


@pytest.mark.parametrize("discount", [0.0, 0.2, 0.35, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("share", [1.0, 0.375])
def test_no_other_number_of_nodes_is_cheaper(discount, share):
    paid = stream(1, 0, "paid").integers(0, 30, size=(4, 25)).astype(float)
    of = tariff(discount, share)
    found = best_purchase(paid, of)
    every = [bills(paid, of, reserved).mean() for reserved in range(34)]
    assert found.usd_per_month.mean() == pytest.approx(min(every))
    cheapest = np.flatnonzero(np.isclose(every, min(every), rtol=1e-12))
    assert found.reserved_nodes == cheapest[0]
    np.testing.assert_allclose(found.usd_per_month, bills(paid, of, found.reserved_nodes))
    np.testing.assert_allclose(found.on_demand_usd_per_month, bills(paid, of, 0))


@pytest.mark.parametrize("discount", [0.3, 0.64])
def test_poisson_demand_has_the_newsvendors_quantile(discount):
    """Least k with P(demand ≤ k) ≥ discount; the mistake of taking 1 − discount instead is told apart."""
    paid = stream(2, 0, "poisson").poisson(40.0, size=(10, 20_000)).astype(float)
    reserved = best_purchase(paid, tariff(discount)).reserved_nodes
    assert reserved == stats.poisson.ppf(discount, 40.0)
    assert reserved != stats.poisson.ppf(1 - discount, 40.0)


def test_a_flat_fleet_is_reserved_whole_if_there_is_any_discount():
    paid = np.full((2, 10), 7.0)
    whole = best_purchase(paid, tariff(0.4))
    assert whole.reserved_nodes == 7
    np.testing.assert_allclose(whole.usd_per_month, 7 * 0.5 * 0.6 * HOURS)
    assert best_purchase(paid, tariff(0.0)).reserved_nodes == 0


def test_an_evening_every_day_is_not_reserved_for_unless_the_discount_is_deep():
    """9 of 24 hours: a reservation pays beyond a discount of 15 ÷ 24."""
    paid = np.full((1, 10), 7.0)
    assert best_purchase(paid, tariff(0.62, 9 / 24)).reserved_nodes == 0
    assert best_purchase(paid, tariff(0.63, 9 / 24)).reserved_nodes == 7
    assert best_purchase(paid, tariff(0.62)).reserved_nodes == 7
    np.testing.assert_allclose(month_usd(paid, tariff(0.62, 9 / 24), 0), 7 * 0.5 * HOURS * 9 / 24)


def test_one_number_is_bought_for_all_days():
    """Half of the days need 10 nodes and half need 20: the upper ten are paid for half of the time."""
    paid = np.repeat([[10.0], [20.0]], 8, axis=1)
    assert best_purchase(paid, tariff(0.49)).reserved_nodes == 10
    both = best_purchase(paid, tariff(0.51))
    assert both.reserved_nodes == 20
    np.testing.assert_allclose(both.usd_per_month, 20 * 0.5 * 0.49 * HOURS)  # the quiet days pay for it too


def test_nodes_that_nobody_needs_cost_nothing():
    none = best_purchase(np.zeros((2, 4)), tariff(0.5))
    assert none.reserved_nodes == 0
    assert none.usd_per_month.tolist() == none.on_demand_usd_per_month.tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def simulated():
    return run(scenario(**{"horizon.horizon_s": 3600.0, "horizon.tick_s": 10.0}), profile(), seed=4, replications=3)


def test_the_ticks_of_a_run_give_its_month_on_demand(simulated):
    paid = paid_nodes(simulated.ticks)
    assert paid.shape == (3, 360)
    at_peak = simulated.values.query("metric == 'nodes_peak'").sort_values("replication")["value"]
    assert paid.max(axis=1).tolist() == at_peak.tolist()
    on_demand = month_usd(paid, Tariff(0.085, 0.4, simulated.scenario.prices.hours_per_month), 0)
    exact = simulated.values.query("metric == 'transcode_usd_per_month'").sort_values("replication")["value"]
    np.testing.assert_allclose(on_demand, exact, rtol=0.01)


def test_replications_of_other_lengths_are_refused(simulated):
    with pytest.raises(ValueError, match="have the same ticks"):
        paid_nodes(simulated.ticks.iloc[:-1])


def test_shares_out_of_range_are_refused():
    for wrong in (tariff(1.1), tariff(-0.1), tariff(0.3, 0.0), tariff(0.3, 1.5)):
        with pytest.raises(ValueError, match="a discount lies in"):
            best_purchase(np.ones((1, 1)), wrong)
