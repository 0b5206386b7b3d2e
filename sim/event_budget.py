"""How large a run will be, from its scenario alone and before it starts: events, and bytes of records.

A platform of a million short broadcasts over a year is a legitimate question and days of computing. Who asks it by a
slip of a unit wants to be told at once; who means it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import signal

from scenarios.errors import Problem, ScenarioError
from scenarios.law import mean_s
from scenarios.scenario import Finding, Scenario
from sim.components.live_rate import live_rate

MOST_EVENTS = 1e9
"""Of all replications; some 20 to 60 minutes of one core."""
MOST_BYTES = 8e9
"""Of what the records of all replications take; a laptop has as much."""

BYTES_PER_BROADCAST, BYTES_PER_TICK, BYTES_PER_CELL = 100.0, 320.0, 24.0
"""Of a row of the records, and of a cell of the rate of going live over the horizon."""
MOST_CELLS = 1e6
"""Of the horizon, beyond which the mean day stands for every day, and for the events of a run."""


class Part(NamedTuple):
    """One source of events.

    Attributes:
        name: what happens, in the plural.
        events: how often, in one replication.
        path: the value of the scenario that rules it.
    """

    name: str
    events: float
    path: tuple[str | int, ...]


class Budget(NamedTuple):
    """What one replication asks for.

    Attributes:
        parts: its events by source.
        record_bytes: memory of its records.
    """

    parts: tuple[Part, ...]
    record_bytes: float

    @property
    def events(self) -> float:
        """All events."""
        return math.fsum(part.events for part in self.parts)


def estimate(scenario: Scenario) -> Budget:
    """Return what one replication asks for, from the expected number of broadcasts.

    A broadcast going live is an event and its end another, and one more where the auth service makes most wait. Of
    nodes it is only known that each broadcast needs at most one: as many boot as the expected number of live
    broadcasts rises by. Who waits for a place or comes back after a loss adds events that are not foreseen here, so
    that an overloaded platform has up to twice as many.
    """
    horizon, platform = scenario.horizon, scenario.platform
    demand = _demand(scenario)
    ticks = horizon.horizon_s / horizon.tick_s
    size = ("workload", "broadcasts", "peak_concurrent")
    parts = [
        Part("broadcasts going live", demand.arrivals, size),
        Part("ends of broadcasts", max(0.0, demand.arrivals + demand.before - demand.after), size),
        Part("ticks", ticks, ("horizon", "tick_s")),
    ]
    if demand.busiest_per_s > platform.ingest.auth_limit_per_s:
        parts.append(Part("answers of the auth service", demand.arrivals, size))
    period_s = getattr(platform.transcode.autoscaler, "sync_period_s", None)
    if period_s is not None:
        path = ("platform", "transcode", "autoscaler", "sync_period_s")
        parts.append(Part("syncs of the autoscaler", horizon.horizon_s / period_s, path))
        parts.append(Part("nodes booted", demand.rise, size))
    parts += _of_nodes(scenario)
    record_bytes = (demand.arrivals + demand.before) * BYTES_PER_BROADCAST + ticks * BYTES_PER_TICK
    return Budget(tuple(parts), record_bytes + demand.cells * BYTES_PER_CELL)


def _of_nodes(scenario: Scenario) -> Iterator[Part]:
    """Yield what nodes do by themselves: a retry, a scan or a life of a microsecond is a slip of a unit as well."""
    transcode, horizon_s = scenario.platform.transcode, scenario.horizon.horizon_s
    path: tuple[str | int, ...] = ("platform", "transcode")
    limited = any(pool.launch_failure or pool.taken_back or pool.available_max is not None for pool in transcode.pools)
    if limited or scenario.failures:
        yield Part("orders of nodes made again", horizon_s / transcode.launch_retry_s, (*path, "launch_retry_s"))
    scan_s = getattr(getattr(transcode.autoscaler, "provisioner", None), "scan_s", None)
    if scan_s is not None:
        scans = 2 * horizon_s / scan_s
        yield Part("scans of the provisioner", scans, (*path, "autoscaler", "provisioner", "scan_s"))
    starting_s = sum(mean_s(law) for law in (transcode.scheduling, transcode.boot, transcode.image_pull))
    for number, pool in enumerate(transcode.pools):
        how = pool.taken_back
        if how is None:
            continue
        nodes = max(pool.min_nodes, transcode.min_nodes / len(transcode.pools))
        lives = nodes * horizon_s * how.rate_per_s
        if how.max_life_s is not None:
            lives = max(lives, nodes * horizon_s / (how.max_life_s + starting_s))
        yield Part("nodes taken back", lives, (*path, "pools", number, "interruptions"))


def beyond_budget(scenario: Scenario, replications: int) -> Finding | None:
    """Return why a run should not start unless it is forced; None where it may."""
    budget = estimate(scenario)
    events, record_bytes = budget.events * replications, budget.record_bytes * replications
    if events <= MOST_EVENTS and record_bytes <= MOST_BYTES:
        return None
    largest = max(budget.parts, key=lambda part: part.events)
    told = ", ".join(
        f"{part.events * replications:.2g} {part.name}"
        for part in sorted(budget.parts, key=lambda part: -part.events)
        if part.events >= budget.events / 100
    )
    return Finding(
        largest.path,
        f"{replications} replications are about {events:.2g} events ({told}) and {record_bytes / 1e9:.2g} GB of "
        f"records; {MOST_EVENTS:.0e} events and {MOST_BYTES / 1e9:.0f} GB run unasked",
        "look for a slip of a unit here or in horizon.horizon_s; a run that is meant is forced by --force (force=True)",
    )


def replications_within_budget(scenario: Scenario) -> int:
    """Return how many replications may run unasked; 0 where not even one may."""
    budget = estimate(scenario)
    return math.floor(min(MOST_EVENTS / budget.events, MOST_BYTES / budget.record_bytes))


def require_budget(scenario: Scenario, replications: int) -> None:
    """Check that a run is not larger than what may start unasked.

    Raises:
        ScenarioError: it is; with the estimate.
    """
    finding = beyond_budget(scenario, replications)
    if finding is not None:
        path = ".".join(map(str, finding.path))
        raise ScenarioError([Problem(scenario.title, None, None, path, finding.message, finding.hint)])


class _Demand(NamedTuple):
    """Expected numbers of one replication: broadcasts, how many of them are live, by how many those rise in all."""

    arrivals: float
    before: float
    after: float
    rise: float
    busiest_per_s: float
    cells: float


def _demand(scenario: Scenario) -> _Demand:
    workload, horizon = scenario.workload, scenario.horizon
    rate = live_rate(workload.broadcasts, regions=workload.regions, events=workload.events)
    cells = horizon.horizon_s / rate.cell_s
    if cells > MOST_CELLS:
        mean_per_s, swing = float(rate.per_s.mean()), float(np.ptp(rate.concurrent))
        live = rate.at(horizon.start_hour)
        periods = cells / rate.per_s.size
        return _Demand(mean_per_s * horizon.horizon_s, live, live, swing * periods, float(rate.per_s.max()), cells)
    per_s = rate.of_run(horizon.start_hour, np.arange(math.ceil(cells), dtype=float))
    arrivals = float(per_s.mean()) * horizon.horizon_s
    earlier = rate.of_run(horizon.start_hour, np.arange(-rate.age_s.size, 0, dtype=float))
    started = np.concatenate([earlier, per_s]) * rate.cell_s
    counts = signal.fftconvolve(started, rate.survival)[earlier.size - 1 : started.size]
    rise = float(np.maximum(0.0, np.diff(counts)).sum())
    return _Demand(arrivals, float(counts[0]), float(counts[-1]), rise, float(per_s.max()), cells)
