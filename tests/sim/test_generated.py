"""Generated scenarios: each is refused with a place and a reason, or runs and its books balance."""

from __future__ import annotations

import collections

import pytest
from generated import PLACES, documents, opened
from hypothesis import HealthCheck, given, settings
from profiles import profile

from scenarios.errors import CalibrationError, ScenarioError
from scenarios.scenario import Scenario
from sim import event_budget
from sim.replication import run

PROFILE = profile(spread=0.0)
MOST_EVENTS = 10_000.0
MOST_BYTES = 2e7
WIDEST = 500_000.0
"""Broadcasts × rungs × clusters of a tick."""


def narrowed(platform: Scenario) -> Scenario:
    """Return the scenario with so few clusters that a tick takes milliseconds."""
    rows = platform.workload.broadcasts.peak_concurrent * len(platform.ladder.rungs)
    clusters = min(platform.platform.cdn.clusters, max(1, int(WIDEST / rows)))
    cdn = platform.platform.cdn.model_copy(update={"clusters": clusters})
    return platform.model_copy(update={"platform": platform.platform.model_copy(update={"cdn": cdn})})


def outcome(document) -> str:
    """Return what became of a document; anything but a refusal in words, or a run, is an error that is let through."""
    try:
        platform = opened(document)
    except ScenarioError as refused:
        check_places(refused)
        return "refused by the language"
    try:
        run(narrowed(platform), PROFILE, replications=1, extrapolate=True)  # its books are checked inside
    except ScenarioError as refused:
        check_path(refused)
        return "refused for its size"
    except CalibrationError:
        return "refused by the profile or the catalogue"
    return "ran"


def check_places(refused: ScenarioError) -> None:
    """Each problem has a line and words of ours."""
    assert refused.problems
    for problem in refused.problems:
        assert problem.line is not None
        assert problem.message
        assert "pydantic" not in str(problem)
        assert "Input should" not in str(problem)


def check_path(refused: ScenarioError) -> None:
    """One problem, which names the value that rules the size."""
    (problem,) = refused.problems
    assert problem.field


@pytest.fixture
def small_budget(monkeypatch):
    monkeypatch.setattr(event_budget, "MOST_EVENTS", MOST_EVENTS)
    monkeypatch.setattr(event_budget, "MOST_BYTES", MOST_BYTES)


@pytest.mark.parametrize("examples", [500, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_any_scenario_is_refused_in_its_place_or_runs_and_balances(examples, small_budget):
    """Five hundred are always the same, so that a failure stays until it is mended; ten thousand are new each time."""
    seen = collections.Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=examples == 500,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(documents())
    def each(document):
        seen[outcome(document)] += 1

    each()
    print(dict(seen))
    assert seen["ran"] > examples / 5
    assert seen["refused by the language"] > examples / 5


def test_every_key_of_the_language_is_a_place():
    paths = {".".join(map(str, path)) for path in PLACES}
    assert {"platform.transcode.autoscaler.sync_period_s", "ladder.rungs.0.height", "workload.source.fps"} <= paths
    assert len(paths) > 100
