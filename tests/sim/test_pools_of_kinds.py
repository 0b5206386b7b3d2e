"""Pools of several kinds of nodes: what is told of them is of all of them, not of the main instance."""

from __future__ import annotations

import math

import pytest
from platforms import scenario
from profiles import profile

from scenarios.catalogue import load_catalogue
from sim.answer import answer
from sim.assembly import simulate
from sim.assumed_grounds import node_price_text
from sim.carried import plan_range
from sim.fleet_grounds import fleet_range, shares_of_kinds
from sim.fleet_plan import largest_fleet, of_pool, pools_of
from sim.metrics import Case, measure
from sim.replication import run

KNOWN = load_catalogue()
HERE_AND_L4 = ({"name": "kept", "min_nodes": 40}, {"name": "more", "instance": "g6.xlarge", "weight": 1.0})


def platform(*pools, **changes):
    short = {"horizon.horizon_s": 900.0, "platform.transcode.max_nodes": 100, "platform.transcode.pools": pools}
    return scenario(**short | changes)


def held(plan):
    return plan.low, plan.middle, plan.high


def test_a_pool_of_another_type_has_its_own_price_and_network():
    mixed = platform(*HERE_AND_L4)
    here, other = (of_pool(mixed, pool).platform.transcode for pool in pools_of(mixed))
    assert (here.node_price_usd_per_hour, here.nic_bps) == (0.085, 1e9)
    assert (other.node_price_usd_per_hour, other.nic_bps) == (None, None)


def test_a_price_of_a_pool_has_no_discount_and_that_of_its_type_has():
    mixed = platform(
        {"name": "named", "price_usd_per_hour": 0.2, "discount": 0.5, "min_nodes": 2},
        {"name": "less", "discount": 0.5, "min_nodes": 2},
    )
    nodes = simulate(mixed, profile(), KNOWN, seed=1, replication=0).nodes
    prices = nodes.groupby("pool", observed=True)["price_usd_per_hour"].first()
    assert prices.to_dict() == pytest.approx({"named": 0.2, "less": 0.0425})
    result = run(mixed, profile(), replications=2)
    assert node_price_text(mixed) == "an assumed 0.2 (named), an assumed 0.085 less 50% (less) USD per node-hour"
    grounds = "\n".join(result.rests_on())
    assert "assumed: 0.2 USD per hour for a this-machine node of pool named\n" in grounds
    assert "0.085 USD per hour for a this-machine node of pool less, less an assumed 50%" in grounds


def test_the_largest_fleet_is_shared_out_as_a_fleet_is():
    pools = pools_of(platform({"name": "a", "min_nodes": 10}, {"name": "b", "weight": 3.0, "available_max": 20}))
    assert largest_fleet(pools, ("x", "y"), 50) == [20, 30]
    assert largest_fleet(pools, ("x", "y"), 100) == [60, 40]


def test_places_are_those_of_all_kinds():
    mixed = platform(*HERE_AND_L4)  # 40 and half of the other 60: 70 and 30
    one = simulate(mixed, profile(), KNOWN, seed=1, replication=0)
    alone = {
        name: simulate(platform(pool), profile(), KNOWN, seed=1, replication=0).places_per_node
        for name, pool in zip(("here", "l4"), HERE_AND_L4, strict=True)
    }
    assert one.most_places == pytest.approx(70 * alone["here"] + 30 * alone["l4"])
    assert one.places_per_node == pytest.approx(one.most_places / 100)
    assert one.places_per_node != pytest.approx(alone["here"], rel=0.05)
    values = measure(Case(one, mixed, KNOWN)).set_index("metric")["value"]
    assert values["broadcasts_per_node"] == one.places_per_node


def test_the_range_of_a_mixed_fleet_is_that_of_its_kinds_in_their_shares():
    mixed = platform(*HERE_AND_L4)
    (_, share), (l4, other) = shares_of_kinds(mixed)
    assert (share, other) == pytest.approx((0.7, 0.3))
    of_l4, together = plan_range(l4, profile(), KNOWN), fleet_range(mixed, profile(), KNOWN)
    assert of_l4.high - of_l4.low > 3
    assert together.high - together.low == pytest.approx(0.3 * (of_l4.high - of_l4.low), abs=2.0)
    assert fleet_range(platform(HERE_AND_L4[0]), profile(), KNOWN) is None
    assert held(fleet_range(platform(HERE_AND_L4[1]), profile(), KNOWN)) == held(of_l4)


def test_an_answer_names_every_kind_and_what_it_rests_on():
    result = run(platform(*HERE_AND_L4), profile(), replications=2)
    grounds = "\n".join(result.rests_on())
    assert "g6.xlarge, 30% of the largest fleet: a node holds" in grounds
    assert "all kinds of nodes together" in grounds
    assert "for g6.xlarge of pool more" in grounds
    assert "this-machine and g6.xlarge" in answer(result)[0]
    low, high = result.ranges["broadcasts_per_node"]
    drawn = result.values[result.values["metric"] == "broadcasts_per_node"]["value"]
    assert low <= drawn.min() <= drawn.max() <= high
    assert len(set(result.rests_on())) == len(result.rests_on())


def test_a_fleet_that_cannot_be_had_has_no_headroom():
    none = platform({"name": "none", "available_max": 0})
    one = simulate(none, profile(), KNOWN, seed=1, replication=0)
    values = measure(Case(one, none, KNOWN)).set_index("metric")["value"]
    assert math.isnan(values["headroom"])
    assert math.isnan(values["places_used_p95"])
    assert values["unstable_after_s"] == 30.0
