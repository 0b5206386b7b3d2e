"""The size of a run, foreseen from the scenario: against what SimPy counts, and refused above the budget."""

from __future__ import annotations

import sys

import pytest
from platforms import EVENING, scenario
from profiles import profile

import headroom
import sim.assembly
from scenarios.catalogue import load_catalogue
from scenarios.errors import ScenarioError
from sim import event_budget
from sim.assembly import simulate
from sim.clock import Clock
from sim.comparison import compare
from sim.event_budget import beyond_budget, estimate, require_budget
from sim.replication import run

PLATFORMS = {
    "evening": {},
    "a day of many": {"horizon.horizon_s": 86400.0, "workload.broadcasts.peak_concurrent": 300.0},
    "morning": {"horizon.start_hour": 2.0, "horizon.horizon_s": 10_000.0},
    "three days": {"horizon.horizon_s": 3 * 86400.0, "horizon.tick_s": 300.0},
    "short broadcasts": {"workload.broadcasts.duration": {"kind": "constant", "mean_s": 45.0}},
    "fine ticks": {"horizon.tick_s": 1.0},
    "fine syncs": {"platform.transcode.autoscaler": {"kind": "queue", "sync_period_s": 1.0}},
    "an event": {
        "workload.events": [{"name": "final", "at_s": 600.0, "ramp_s": 600.0, "uplift": 5.0, "on": "both"}],
    },
    "spot nodes and a lost zone": {
        "platform.transcode.zones": ["a", "b"],
        "platform.transcode.pools": [{"name": "spot", "purchase": "spot", "interruptions": {"per_hour": 1.0}}],
        "failures": [{"kind": "zone_loss", "at_s": 1800.0, "zones": ["a"], "duration_s": 600.0}],
    },
    "fixed fleet": {"platform.transcode.autoscaler": {"kind": "fixed"}, "platform.transcode.min_nodes": 30},
    "auth makes wait": {
        "workload.broadcasts.peak_concurrent": 600.0,
        "workload.audience.curve": {"kind": "hourly", "levels": EVENING},
        "platform.ingest.auth_limit_per_s": 0.1,
        "platform.ingest.auth_wait_limit_s": 1e5,
    },
}


def events(platform, monkeypatch) -> int:
    """Return how many events a replication has."""
    steps = []

    class Counting(Clock):
        def step(self) -> None:
            steps.append(1)
            super().step()

    monkeypatch.setattr(sim.assembly, "Clock", Counting)
    simulate(platform, profile(), load_catalogue(), seed=3, replication=0)
    return len(steps)


@pytest.mark.parametrize("changes", PLATFORMS.values(), ids=PLATFORMS.keys())
def test_the_estimate_is_what_simpy_counts_within_a_factor_of_one_and_a_half(changes, monkeypatch):
    platform = scenario(**changes)
    assert 1 / 1.5 < events(platform, monkeypatch) / estimate(platform).events < 1.5


def test_a_planted_mistake_is_seen(monkeypatch):
    """The ends of broadcasts forgotten."""
    platform = scenario(**PLATFORMS["short broadcasts"])
    parts = [part for part in estimate(platform).parts if part.name != "ends of broadcasts"]
    assert events(platform, monkeypatch) / sum(part.events for part in parts) > 1.5


def test_records_are_as_large_as_foreseen():
    platform = scenario(**PLATFORMS["a day of many"])
    one = simulate(platform, profile(), load_catalogue(), seed=3, replication=0)
    real = sum(frame.memory_usage(index=False).sum() for frame in (one.ticks, one.broadcasts, one.nodes))
    assert 0.5 < estimate(platform).record_bytes / real < 2


TOO_LARGE = {
    "broadcasts": (
        {"workload.broadcasts.peak_concurrent": 1e9},
        ("workload", "broadcasts", "peak_concurrent"),
        "broadcasts going live",
    ),
    "ticks": ({"horizon.tick_s": 1e-6}, ("horizon", "tick_s"), "ticks"),
    "syncs": (
        {"platform.transcode.autoscaler": {"kind": "queue", "sync_period_s": 1e-6}},
        ("platform", "transcode", "autoscaler", "sync_period_s"),
        "syncs of the autoscaler",
    ),
}


@pytest.mark.parametrize(("changes", "path", "named"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_a_run_beyond_the_budget_is_refused_with_its_size_and_the_value_that_rules_it(changes, path, named):
    finding = beyond_budget(scenario(**changes), 3)
    assert finding.path == path
    assert named in finding.message
    assert "--force" in finding.hint
    with pytest.raises(ScenarioError, match="force=True"):
        run(scenario(**changes), profile())
    with pytest.raises(ScenarioError, match="force=True"):
        compare(scenario(), scenario(**changes), profile())


def test_who_forces_it_runs(monkeypatch):
    monkeypatch.setattr(event_budget, "MOST_EVENTS", 100.0)
    small = scenario(**{"horizon.horizon_s": 600.0, "replications": 2})
    with pytest.raises(ScenarioError, match=r"2 replications are about .* 1e\+02 events"):
        run(small, profile())
    assert run(small, profile(), force=True).replications == 2
    assert compare(small, small, profile(), force=True).first.replications == 2


@pytest.mark.parametrize("verb", ["run", "compare"])
def test_the_command_says_where_and_goes_on_when_forced(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.yaml").write_text(
        "extends: baseline\nset:\n  horizon.horizon_s: 10 min\n  workload.broadcasts.peak_concurrent: 20\n"
    )
    (tmp_path / "second.yaml").write_text("extends: first.yaml\nset:\n  horizon.tick_s: 5 s\n")
    files = ("second.yaml",) if verb == "run" else ("first.yaml", "second.yaml")

    def command(*flags: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["headroom", verb, *files, "--replications", "2", *flags])
        with pytest.raises(SystemExit) as done:
            headroom.main()
        return done.value.code, *capsys.readouterr()

    monkeypatch.setattr(event_budget, "MOST_EVENTS", 300.0)
    code, out, told = command()
    assert (code, out) == (2, "")
    assert told.startswith("second.yaml:3:19: horizon.tick_s: 2 replications are about ")
    assert told.endswith("is forced by --force (force=True)\n")
    code, out, told = command("--force", "--json")
    assert (code, told) == (0, "")
    assert out.startswith("{")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        (
            {"launch_retry_s": 1e-6, "pools": ({"name": "p", "available_max": 1},)},
            "platform.transcode.launch_retry_s",
        ),
        (
            {
                "boot": {"kind": "constant", "mean_s": 0.0},
                "pools": ({"name": "p", "purchase": "preemptible", "interruptions": {"max_life_s": 1e-6}},),
            },
            "platform.transcode.pools.0.interruptions",
        ),
    ],
)
def test_what_nodes_do_by_themselves_is_in_the_budget(changes, path):
    hasty = scenario(**{f"platform.transcode.{key}": value for key, value in changes.items()})
    with pytest.raises(ScenarioError) as refused:
        require_budget(hasty, 3)
    assert refused.value.problems[0].field == path
