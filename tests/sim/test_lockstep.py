"""Platforms side by side: each gives the digits it gives alone, before an audience that is advanced once."""

from __future__ import annotations

import pandas as pd
import platforms
import profiles
import pytest

from scenarios.catalogue import load_catalogue
from sim.assembly import simulate
from sim.components.audience import Audience, SharedAudience
from sim.lockstep import simulate_side_by_side
from sim.metrics import METRICS
from sim.replication import frames_of, run

LOSS = {"kind": "zone_loss", "name": "zone a lost", "at_s": 3000.0, "zones": ("a",), "duration_s": 1200.0}
ZONES = {"platform.transcode.zones": ("a", "b"), "failures": (LOSS,)}


def several():
    """A platform that loses a zone, the same with a queue that is shorter, and one with other clusters."""
    return [
        platforms.scenario(**ZONES),
        platforms.scenario(**ZONES, **{"platform.transcode.queue_deadline_s": 0.0}),
        platforms.scenario(**ZONES, **{"platform.cdn.clusters": 9, "platform.transcode.planning_utilisation": 0.4}),
    ]


@pytest.mark.parametrize("engine", ["whole", "fleet"])
def test_side_by_side_is_as_alone(engine):
    scenarios, how = several(), {"seed": 3, "replication": 1, "engine": engine}
    together = simulate_side_by_side(scenarios, profiles.profile(), load_catalogue(), **how)
    for scenario, beside in zip(scenarios, together, strict=True):
        alone = simulate(scenario, profiles.profile(), load_catalogue(), **how)
        expected = frames_of(alone, scenario)
        for name, frame in frames_of(beside, scenario).items():
            pd.testing.assert_frame_equal(frame, expected[name], check_exact=True)
    assert len({tuple(run.ticks["nodes_ready"]) for run in together}) > 1


def test_the_audience_is_advanced_once_a_tick(monkeypatch):
    steps = []
    step = Audience.step
    monkeypatch.setattr(Audience, "step", lambda self, at_s: steps.append(at_s) or step(self, at_s))
    scenarios = several()
    simulate_side_by_side(scenarios, profiles.profile(), load_catalogue(), seed=1, replication=0)
    assert steps == [30.0 * number for number in range(1, 241)]


def test_an_audience_does_not_go_back():
    class Still:
        wanted = (None, None)

        def step(self, at_s):
            return self.wanted

    shared = SharedAudience(Still())
    shared.step(60.0)
    with pytest.raises(ValueError, match="cannot go back to 30"):
        shared.step(30.0)


def test_other_demand_is_no_side_of_it():
    scenarios = [platforms.scenario(), platforms.scenario(**{"workload.audience.peak_viewers": 10.0})]
    with pytest.raises(ValueError, match="one workload"):
        simulate_side_by_side(scenarios, profiles.profile(), load_catalogue(), seed=1, replication=0)


def test_the_fleet_alone_says_of_the_fleet_what_the_whole_says():
    scenario = several()[0]
    whole, fleet = (
        frames_of(
            simulate(scenario, profiles.profile(), load_catalogue(), seed=2, replication=0, engine=engine), scenario
        )
        for engine in ("whole", "fleet")
    )
    said = fleet["values"].set_index("metric")["value"]
    expected = whole["values"].set_index("metric")["value"]
    pd.testing.assert_series_equal(said, expected[said.index], check_exact=True)
    assert set(expected.index) - set(said.index) == {name for name in expected.index if METRICS[name].of_viewers}
    pd.testing.assert_frame_equal(fleet["nodes"], whole["nodes"], check_exact=True)
    assert expected["viewer_hours_lost"] > 0
    shared = [column for column in fleet["ticks"] if column in whole["ticks"]]
    assert "viewers_wanted" not in shared
    pd.testing.assert_frame_equal(fleet["ticks"], whole["ticks"][shared][list(fleet["ticks"])], check_exact=True)


def test_viewers_that_nobody_simulated_are_unknown_and_not_none():
    found = run(several()[0], profiles.profile(), replications=1, engine="fleet", split=False)
    assert found.failures()["broadcasts"].item() > 0
    assert found.failures()["viewers"].isna().all()
    assert found.document()["failures"][0]["viewers"] is None
