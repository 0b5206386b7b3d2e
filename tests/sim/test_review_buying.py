"""Other ways to buy change how nodes are paid for and taken back, and nothing else of a platform."""

from __future__ import annotations

import platforms
import profiles
import pytest

from scenarios.catalogue import load_catalogue
from scenarios.errors import ScenarioError
from scenarios.slo import Slo
from sim.capacity_review.buying import discount, own_way, purchase_rows, ways_to_buy
from sim.capacity_review.candidates import candidates, of_instance
from sim.capacity_review.trials import Trials

POOLS = "platform.transcode.pools"
TYPES = ("g4dn.xlarge", "c7i.4xlarge")
OLD = {"name": "old", "instance": "c6i.4xlarge", "purchase": "spot", "discount": 0.5, "min_nodes": 3}


def platform(*pools):
    own = {"platform.transcode.node_price_usd_per_hour": None, "platform.transcode.nic_bps": None}
    return platforms.scenario(**own, **{"platform.transcode.instance": "g4dn.xlarge", POOLS: pools})


def pools_of(scenario):
    return scenario.platform.transcode.pools


def test_the_scenarios_own_spot_figures_hold_for_a_fleet_all_on_spot():
    sure = {"name": "sure", "min_nodes": 2, "weight": 1.0}
    spot = {"name": "spot", "purchase": "spot", "weight": 3.0, "discount": 0.7, "min_nodes": 1}
    ways = ways_to_buy(platform(sure, spot | {"interruptions": {"per_hour": 0.5}}))
    assert [*ways] == ["as written (on demand + spot)", "on demand", "spot"]
    (bought,) = pools_of(ways["spot"])
    assert (bought.discount, bought.min_nodes, bought.weight) == (0.7, 3, 4.0)
    assert bought.taken_back.per_hour == 0.5
    (bought,) = pools_of(ways["on demand"])
    assert (bought.purchase, bought.discount, bought.min_nodes, bought.taken_back) == ("on_demand", 0.0, 3, None)


def test_a_fleet_without_pools_has_its_own_way_and_spot():
    ways = ways_to_buy(platform())
    assert [*ways] == ["on demand", "spot"]
    assert pools_of(ways["spot"])[0].discount == discount(platform(), "spot") == 0.64


def test_nodes_encode_where_the_scenario_says_however_they_are_bought():
    ways = ways_to_buy(platform({"name": "own", "encode_on": "cpu"}, {"name": "fast", "weight": 2.0}))
    for scenario in ways.values():
        assert [(pool.name, pool.encode_on, pool.weight) for pool in pools_of(scenario)] == [
            ("own", "cpu", 1.0),
            ("fast", None, 2.0),
        ]
    assert {pool.purchase for pool in pools_of(ways["spot"])} == {"spot"}


def test_a_pool_of_another_type_stays_in_every_way():
    scenario = of_instance(platform({"name": "own"}, OLD), "c7i.4xlarge")
    ways = ways_to_buy(scenario)
    assert own_way(scenario) == "on demand"
    assert [*ways] == ["on demand", "spot"]
    assert discount(scenario, "spot") == 0.64  # the other 0.5 is of another type
    for bought in ways.values():
        assert pools_of(bought)[-1] == pools_of(scenario)[-1]
    assert pools_of(ways["spot"])[0].instance is None


def test_a_price_in_dollars_of_another_type_is_no_price_of_all():
    scenario = platform({"name": "own"}, OLD | {"price_usd_per_hour": 0.2})
    assert [*candidates(scenario, TYPES, profiles.profile(), load_catalogue())] == [*TYPES]


def test_pools_none_of_which_follows_are_refused():
    """Every candidate would be the same fleet."""
    with pytest.raises(ScenarioError, match=r"pools\.old: every pool names a type of its own.*leave out instance"):
        candidates(platform(OLD), TYPES, profiles.profile(), load_catalogue())


@pytest.mark.parametrize(("others", "reserves"), [((), True), ((OLD,), False)])
def test_reservations_are_worked_out_where_all_nodes_have_one_price(others, reserves):
    scenario = platform({"name": "own"}, *others)
    trials = Trials(ways_to_buy(scenario), profiles.profile(), seed=1, engine="fleet")
    trials.add(2)
    rows = purchase_rows("g4dn.xlarge", trials.results(), Slo(refused_fraction=0.5), own=scenario)
    assert any(row["way"] == "reserved + on demand" for row in rows) is reserves
