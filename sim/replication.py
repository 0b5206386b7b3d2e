"""Many replications of one scenario, on one process or several, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

import pandas as pd

from scenarios.catalogue import load_catalogue
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import encoding_accelerator
from sim.assembly import Engine, simulate
from sim.carried import plan_range
from sim.coverage import require_coverage
from sim.event_budget import require_budget
from sim.fleet_grounds import fleet_range
from sim.fleet_plan import kinds_of_nodes
from sim.metrics import Case, measure
from sim.processes import in_order, processes
from sim.ranges import OF_FLEET, OF_NODE
from sim.records import Replication
from sim.results import RunResult
from sim.sampling import Floats
from sim.statistics.sequential import Attained, Precision
from sim.stopping import Plan, Replications, least_replications, metric_values, replicate, replications_plan

Progress = Callable[[int, int], None]
"""Called with replications done and replications in all, as far as it is known how many there will be."""


def run(
    scenario: Scenario,
    profile: Profile,
    *,
    seed: int = 1,
    replications: Replications | None = None,
    precision: Precision | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
    extrapolate: bool = False,
    force: bool = False,
    engine: Engine = "whole",
    split: bool = True,
) -> RunResult:
    """Return the answer of a scenario with its intervals.

    Each replication depends on the seed and its own number only, so neither `workers` nor their order moves a
    digit.

    Args:
        scenario: what to simulate.
        profile: coefficients; each replication takes one row of its joint draws.
        seed: the only seed.
        replications: a number; `auto`, which finds it by a rule; or None for what the scenario says.
        precision: that rule, instead of its defaults; with it, None means `auto`.
        workers: processes; 1 stays in this one.
        executor: runs the replications instead of own processes; it has to accept functions of this module.
        progress: told after each replication.
        extrapolate: go on beyond the range that the profile was measured for; the result says so.
        force: run even what is beyond the budget of events and memory (`sim.event_budget`).
        engine: `fleet` simulates the control plane alone, several times quicker: of broadcasts, nodes and their cost
            the same digits, of viewers, CDN and chat nothing.
        split: simulate each day in the middle world as well (control plane alone), so that noise and ignorance are
            told apart.

    Raises:
        ScenarioError: the run would be larger than that budget, with the fewest replications that it may take; there is
            no such metric; or both a number of replications and a rule are given.
        CalibrationError: the profile was not measured for such a source or ladder, the accelerator of the nodes cannot
            encode it, not even one broadcast may fit on a node, or the catalogue lacks a figure.
    """
    require_runnable(scenario, profile, extrapolate=extrapolate)
    plan = replications_plan([scenario], replications, precision)
    if not force:
        require_budget(scenario, least_replications(plan))
    side = Side(scenario, profile, engine, split)
    follows = scenario.platform.transcode.follows_load
    is_range = follows and fleet_range(scenario, profile, load_catalogue()) is not None

    def judged(metric: str) -> tuple[Floats, None]:
        values = side.values(metric)
        # Where a range is told, the days move its ends: the metric in proportion to what a node holds (`sim.ranges`).
        return (values * side.values(OF_NODE) if is_range and metric in OF_FLEET else values), None

    return side.result(seed, replicate_sides([side], plan, seed, workers, executor, progress, judged))


def require_runnable(scenario: Scenario, profile: Profile, *, extrapolate: bool) -> None:
    """Check that a profile can carry a scenario in every world that may be drawn.

    Raises:
        CalibrationError: see `run`.
    """
    for kind in kinds_of_nodes(scenario):
        if encoding_accelerator(kind, load_catalogue()) is None:
            require_coverage(
                profile, kind.workload.source, kind.ladder, extrapolate=extrapolate or scenario.extrapolate
            )
        _require_room(kind, profile)


class Side:
    """A scenario with its profile, and its replications so far."""

    def __init__(self, scenario: Scenario, profile: Profile, engine: Engine, split: bool) -> None:
        self._scenario, self._profile = scenario, profile
        self._engine, self._split = engine, split
        self._outcomes: list[Frames] = []

    def cells(self, seed: int, numbers: Iterable[int]) -> list[Cell]:
        """Return what makes the replications of these numbers."""
        how = self._engine, self._split
        return [(self._scenario, self._profile, seed, number, *how) for number in numbers]

    def add(self, outcome: Frames) -> None:
        """Take in the frames of the next replication."""
        self._outcomes.append(outcome)

    def values(self, metric: str) -> Floats:
        """Return a metric of every replication so far, as `sim.stopping.metric_values`."""
        return metric_values((one["values"] for one in self._outcomes), metric, self._scenario.title)

    def result(self, seed: int, precision: Attained | None) -> RunResult:
        """Return the replications so far as a result."""
        return result_of(self._scenario, self._profile, seed, self._outcomes, precision)


def result_of(
    scenario: Scenario, profile: Profile, seed: int, outcomes: Sequence[Frames], precision: Attained | None = None
) -> RunResult:
    """Return the result of replications, given the frames of each."""
    frames = {name: pd.concat([one[name] for one in outcomes], ignore_index=True) for name in outcomes[0]}
    return RunResult(scenario=scenario, profile=profile, seed=seed, precision=precision, **frames)


def replicate_sides(
    sides: Sequence[Side],
    plan: Plan,
    seed: int,
    workers: int,
    executor: Executor | None,
    progress: Progress | None,
    judged: Callable[[str], tuple[Floats, Floats | None]],
) -> Attained | None:
    """Run replications of every side on the same days until there are enough; each side has as many.

    Args:
        sides: take in what comes back.
        plan: how many, or the rule that finds it.
        seed: the only seed.
        workers: as in `run`.
        executor: likewise.
        progress: told after each replication of any side.
        judged: what the rule judges, as in `sim.stopping.replicate`.
    """
    done = 0
    with processes(min(workers, least_replications(plan)), executor) as pool:

        def more(numbers: range) -> None:
            nonlocal done
            of = [side for side in sides for _ in numbers]
            cells = [cell for side in sides for cell in side.cells(seed, numbers)]
            for side, outcome in zip(of, in_order(_cell, cells, pool), strict=True):
                side.add(outcome)
                done += 1
                if progress:
                    progress(done, len(sides) * numbers.stop)

        return replicate(plan, more, judged)


def _require_room(scenario: Scenario, profile: Profile) -> None:
    """Check that a node holds a broadcast in every world that may be drawn, so that no seed decides about an error.

    Raises:
        CalibrationError: it does not.
    """
    held = plan_range(scenario, profile, load_catalogue())
    if held is not None and held.low < 1:
        raise CalibrationError(
            f"{scenario.platform.transcode.instance}: it holds {held.low} to {held.high} broadcasts of this ladder "
            f"({held.middle} in the middle of what is not known), and a fleet of nodes that hold none has no size; "
            "choose a larger instance, a smaller ladder or a faster preset"
        )


Frames = dict[str, pd.DataFrame]
"""What a result has of one replication."""
Cell = tuple[Scenario, Profile, int, int, Engine, bool]


def _cell(cell: Cell) -> Frames:
    scenario, profile, seed, number, engine, split = cell
    how: dict[str, Any] = {"seed": seed, "replication": number}
    found = frames_of(simulate(scenario, profile, load_catalogue(), engine=engine, **how), scenario)
    if split:
        middle = simulate(scenario, profile, load_catalogue(), engine="fleet", in_middle_world=True, **how)
        found["middle"] = measure(Case(middle, scenario, load_catalogue()))
    return found


def frames_of(replication: Replication, scenario: Scenario) -> Frames:
    """Return the frames that a result has of one replication: its metrics, and its records with its number."""
    frames = {
        "values": (values := measure(Case(replication, scenario, load_catalogue()))),
        "ticks": replication.ticks,
        "broadcasts": replication.broadcasts,
        "nodes": replication.nodes,
        "events": replication.events,
        "middle": values.iloc[:0],
    }
    for name, frame in frames.items():
        if name not in ("values", "middle"):
            frame.insert(0, "replication", replication.replication)
    return frames
