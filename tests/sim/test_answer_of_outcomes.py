"""What happened to broadcasts and to the fleet is told in sentences that have the table's figures."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from platforms import scenario
from profiles import profile

from sim import run
from sim.answer import answer
from sim.blast_radius import recovery_s

LOSS = {"kind": "node_loss", "name": "rack", "at_s": 900.0, "share": 0.5}
DEPLOY = {"kind": "rolling_deploy", "name": "new image", "at_s": 600.0, "drain_deadline_s": 60.0}
HALF_AN_HOUR = {"horizon.horizon_s": 1800.0}


def told(**changes):
    result = run(scenario(**HALF_AN_HOUR, **changes), profile(), replications=2)
    return " ".join(answer(result)), result.table().set_index("what")["mean"]


def test_a_loss_is_told_with_what_it_hits_and_when_they_are_back():
    text, shown = told(failures=[LOSS])
    assert f"Interrupted: {shown['broadcasts that lost their node']}" in text
    assert f"Viewers of those miss {shown['missed by viewers of interrupted or moved broadcasts']}" in text
    assert re.search(r"'rack', 0.25 h after the start, is about \d+ nodes with \d+ broadcasts .* s later 99 %", text)
    assert "less than the 195 s that a node takes to start on average" in text
    assert "Never back" not in text


def test_a_deploy_has_no_one_moment_after_which_they_are_back():
    text, _ = told(failures=[DEPLOY])
    assert re.search(r"'new image', 0.167 h after the start, is about [^;.]* viewers\.", text)


def test_who_goes_without_a_ladder_is_told_and_a_fleet_that_refuses_is_not_called_enough():
    small = {"platform.transcode.max_nodes": 5}
    text, shown = told(**small, **{"platform.transcode.admission": {"kind": "source_only"}})
    assert f"{shown['broadcasts that went on without a ladder']} (" in text
    assert "go on without a ladder" in text
    lost, _ = told(**{"platform.transcode.autoscaler": {"kind": "fixed"}, "platform.transcode.min_nodes": 5})
    assert "find no more than 5 nodes of the measured machine" in lost
    assert "which are too few or come too late" in lost


@pytest.mark.parametrize(("horizon_s", "all_day"), [(1800.0, False), (86_400.0, True)])
def test_a_month_of_other_than_whole_days_is_told_as_such(horizon_s, all_day):
    short = scenario(**{"horizon.horizon_s": horizon_s, "horizon.tick_s": 600.0, "workload.audience.peak_viewers": 9.0})
    text = " ".join(answer(run(short, profile(), replications=2)))
    assert ("A month of the transcode nodes costs" in text) == all_day
    assert ("if all its hours were like these 0.5, costs" in text) != all_day


def test_a_deploy_is_over_after_its_last_wave_and_any_other_failure_after_its_first():
    ticks = pd.DataFrame(
        {"t_s": [30.0 * tick for tick in range(1, 11)], "broadcasts_away": [0, 9, 0, 0, 0, 9, 9, 0, 0, 0]}
    )
    assert recovery_s(ticks, 30.0, 100, "zone_loss") == 90.0 - 30.0
    assert recovery_s(ticks, 30.0, 100, "rolling_deploy") == 240.0 - 30.0
    with pytest.raises(AssertionError):  # planted: the first wave taken for all of them
        assert recovery_s(ticks, 30.0, 100, "rolling_deploy") == 60.0
