"""Many replications of one scenario, on one process or several, with the same result."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

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
from sim.fleet_plan import kinds_of_nodes
from sim.metrics import Case, measure
from sim.records import Replication
from sim.results import RunResult

Progress = Callable[[int, int], None]
"""Called with replications done and replications in all."""


def run(
    scenario: Scenario,
    profile: Profile,
    *,
    seed: int = 1,
    replications: int | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
    extrapolate: bool = False,
    force: bool = False,
    engine: Engine = "whole",
) -> RunResult:
    """Return the answer of a scenario with its intervals.

    Each replication depends on the seed and its own number only, so neither `workers` nor their order moves a
    digit.

    Args:
        scenario: what to simulate.
        profile: coefficients; each replication takes one row of its joint draws.
        seed: the only seed.
        replications: the scenario's own number if None.
        workers: processes; 1 stays in this one.
        executor: runs the replications instead of own processes; it has to accept functions of this module.
        progress: told after each replication.
        extrapolate: go on beyond the range that the profile was measured for; the result says so.
        force: run even what is beyond the budget of events and memory (`sim.event_budget`).
        engine: `fleet` simulates the control plane alone, several times quicker: of broadcasts, nodes and their cost
            the same digits, of viewers, CDN and chat nothing.

    Raises:
        ScenarioError: the run would be larger than that budget.
        CalibrationError: the profile was not measured for such a source or ladder, the accelerator of the nodes cannot
            encode it, not even one broadcast may fit on a node, or the catalogue lacks a figure.
    """
    for kind in kinds_of_nodes(scenario):
        if encoding_accelerator(kind, load_catalogue()) is None:
            require_coverage(profile, kind.workload.source, kind.ladder, extrapolate=extrapolate)
        _require_room(kind, profile)
    count = replications or scenario.replications
    if not force:
        require_budget(scenario, count)
    cells = [(scenario, profile, seed, number, engine) for number in range(count)]
    outcomes = []
    for done, outcome in enumerate(_outcomes(cells, workers, executor), start=1):
        outcomes.append(outcome)
        if progress:
            progress(done, count)
    frames = {name: pd.concat([one[name] for one in outcomes], ignore_index=True) for name in outcomes[0]}
    return RunResult(scenario=scenario, profile=profile, seed=seed, **frames)


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


Cell = tuple[Scenario, Profile, int, int, Engine]


def _outcomes(cells: list[Cell], workers: int, executor: Executor | None) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield the frames of every cell in the order of the cells."""
    if executor is not None:
        yield from executor.map(_cell, cells)
    elif workers == 1:
        yield from map(_cell, cells)
    else:
        # spawn: a fork would copy the threads of whoever calls, such as a notebook.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(cells)), mp_context=context) as pool:
            yield from pool.map(_cell, cells)


def _cell(cell: Cell) -> dict[str, pd.DataFrame]:
    scenario, profile, seed, number, engine = cell
    known = load_catalogue()
    return frames_of(simulate(scenario, profile, known, seed=seed, replication=number, engine=engine), scenario)


def frames_of(replication: Replication, scenario: Scenario) -> dict[str, pd.DataFrame]:
    """Return the frames that a result has of one replication: its metrics, and its records with its number."""
    frames = {
        "values": measure(Case(replication, scenario, load_catalogue())),
        "ticks": replication.ticks,
        "broadcasts": replication.broadcasts,
        "nodes": replication.nodes,
        "events": replication.events,
    }
    for name, frame in frames.items():
        if name != "values":
            frame.insert(0, "replication", replication.replication)
    return frames
