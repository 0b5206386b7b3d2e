"""The benchmark of Twitch's day at a small share of its size: that its scenario is what it says, and that it runs."""

from __future__ import annotations

import pytest

from benchmarks.twitch_day import slope
from benchmarks.twitch_day_of_size import SCENARIO, cost, of_size
from scenarios import load_scenario


def test_the_scenario_is_the_day_it_is_called():
    scenario = load_scenario(SCENARIO)
    assert scenario.workload.broadcasts.peak_concurrent == 120_000
    assert scenario.workload.audience.peak_viewers == 6_500_000
    cdn = scenario.platform.cdn
    assert cdn.clusters * cdn.edges_per_cluster == 450
    assert scenario.horizon.horizon_s == 86_400


def test_a_share_of_the_size_keeps_what_a_node_holds():
    scenario = load_scenario(SCENARIO)
    eighth = of_size(scenario, 0.125)
    assert eighth.workload.audience.peak_viewers == 812_500
    assert eighth.ladder == scenario.ladder
    assert eighth.platform.transcode.max_nodes == scenario.platform.transcode.max_nodes / 8


def test_it_runs():
    found = cost(0.001, 1800.0)
    assert found["concurrent_peak"] == pytest.approx(120, rel=0.25)
    assert found["viewers_peak"] == pytest.approx(6500, rel=0.1)
    assert found["nodes"] == pytest.approx(42, rel=0.3)


def test_the_slope_is_that_of_a_power():
    assert slope([1.0, 2.0, 4.0, 8.0], [3.0, 3 * 2**1.1, 3 * 4**1.1, 3 * 8**1.1]) == pytest.approx(1.1)
