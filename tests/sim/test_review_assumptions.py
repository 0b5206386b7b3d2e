"""What a review assumes is said where it applies, and not where it does not."""

from __future__ import annotations

import pandas as pd
import platforms
import profiles
import pytest

from sim.capacity_review.assumptions import assumptions
from sim.capacity_review.candidates import of_instance
from sim.capacity_review.result import Review
from sim.capacity_review.trials import Trials

SHORT = {
    "horizon.horizon_s": 1800.0,
    "platform.transcode.instance": "c7i.4xlarge",
    "platform.transcode.node_price_usd_per_hour": None,
    "platform.transcode.nic_bps": None,
}


def told(types=("c7i.4xlarge", "c7g.4xlarge"), **changes):
    """What is assumed by a review of half an hour, or of other hours."""
    scenario = platforms.scenario(**SHORT | changes)
    found = {name: of_instance(scenario, name) for name in types}
    trials = Trials(found, profiles.profile(), seed=1, engine="fleet")
    trials.add(2)
    results = trials.results()
    rest = {"dropped": {}, "stopped": "", "purchases": pd.DataFrame(), "joint": None}
    review = Review(scenario, profiles.profile(), 1, found, screened=results, finals=results, **rest)
    return "\n".join(assumptions(review))


def test_a_fleet_at_its_least_and_at_its_most_is_told():
    wide = told(**{"workload.broadcasts.peak_concurrent": 10.0})
    assert "c7i.4xlarge: the fleet stands at min_nodes (2) for 100% of the time; its cost does not move then" in wide
    assert "reaches max_nodes" not in wide
    narrow = told(**{"platform.transcode.min_nodes": 1, "platform.transcode.max_nodes": 1})
    assert "c7g.4xlarge: the fleet reaches max_nodes (1) in some replication" in narrow


@pytest.mark.parametrize(("horizon_s", "is_told"), [(1800.0, True), (86_400.0, False)])
def test_hours_that_stand_for_a_month_are_told_unless_they_are_whole_days(horizon_s, is_told):
    few = {"workload.broadcasts.peak_concurrent": 3.0, "horizon.tick_s": 300.0}
    assert ("which flatters reservations" in told(**{"horizon.horizon_s": horizon_s} | few)) is is_told


def test_hours_of_work_are_told_as_such():
    text = told(**{"prices.hours_per_month": 220.0})
    assert "a month has 220 hours like these, and a reservation is paid for in all 730" in text
    assert "flatters" not in text


def test_pictures_are_not_compared_where_types_encode_on_different_things():
    assert "quality is not compared" not in told()
    assert "quality is not compared" in told(("c7i.4xlarge", "g4dn.xlarge"))


def test_pools_that_keep_their_type_are_told():
    old = {"name": "old", "instance": "c6i.4xlarge", "min_nodes": 1}
    text = told(**{"platform.transcode.pools": ({"name": "own", "discount": 0.1, "purchase": "spot"}, old)})
    assert "pools of another type keep it: c6i.4xlarge is part of every fleet" in text
    assert "spot 10% off the list price" in text
    assert "pools of another type" not in told()


def test_spot_without_a_storm_says_so():
    storm = {"kind": "spot_storm", "at_s": 600.0}
    assert "add one before buying on spot" in told()
    assert "before buying on spot" not in told(failures=(storm,))
