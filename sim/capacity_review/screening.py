"""Who goes on to the finals: all but those that miss the promise, and those that are surely dearer than the third best.

The control plane is simulated alone, which gives the same digits of nodes, waits, refusals and cost as the whole. What
viewers miss is judged in the finals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scenarios.errors import Problem, ScenarioError
from scenarios.slo import Slo
from sim.format import interval_text
from sim.ranges import COST
from sim.records import REFUSED
from sim.results import RunResult
from sim.sampling import Floats
from sim.slo_attainment import Attainment, attainment
from sim.statistics.intervals import half_width

REPLICATIONS = 20
FINALISTS = 3
DROPPED_WRONGLY = 0.05
"""Chance, over all types together, that one is dropped although it is not dearer than the third best (Bonferroni)."""

REMEDIES = {
    "refused: auth limit": "raise platform.ingest.auth_limit_per_s",
    "refused: ingest full": "raise platform.ingest.nodes",
    "refused: queue full": "raise platform.transcode.queue_limit",
}
"""By how a broadcast was refused."""
LATE = "nodes come too late or are not to be had: keep more spare (autoscaler), or wait longer (queue_deadline_s)"
"""Where no row says more."""
OTHER_REMEDIES = {
    "start_wait_p95_s": "a first segment takes ladder.segment_s and the start of its encoders",
    "interrupted_per_1000_h": "buy less on spot, or let drained nodes keep their broadcasts (drain)",
    "recovery_s": "what is lost comes back as fast as nodes start and publishers retry",
}
"""By an objective that may fail although nobody is refused."""


class Screened(NamedTuple):
    """What the screening leaves.

    Attributes:
        finalists: who goes on, the cheapest first.
        dropped: who does not, and why.
    """

    finalists: tuple[str, ...]
    dropped: dict[str, str]


def screen(results: Mapping[str, RunResult], slo: Slo) -> Screened:
    """Return who goes on to the finals.

    Args:
        results: of every candidate, on the same days.
        slo: the promise.

    Raises:
        ScenarioError: no candidate can keep the promise; with the best attainable, and what binds.
    """
    promises = {name: attainment(result.values, slo) for name, result in results.items()}
    able = [name for name, promise in promises.items() if not promise.is_out_of_reach]
    if not able:
        raise ScenarioError([_nobody(results, promises)])
    costs = {name: values_of(results[name], COST) for name in able}
    ranked = sorted(able, key=lambda name: float(costs[name].mean()))
    dropped = {name: _misses(promises[name]) for name in results if name not in able}
    bar = ranked[FINALISTS - 1] if len(ranked) > FINALISTS else ""
    for name in ranked[FINALISTS:]:
        if why := _dearer(costs[name] - costs[bar], bar, len(ranked) - FINALISTS):
            dropped[name] = why
    return Screened(tuple(name for name in ranked if name not in dropped), dropped)


def values_of(result: RunResult, metric: str) -> Floats:
    """Return a metric by replication, in their order."""
    rows = result.values[result.values["metric"] == metric].sort_values("replication")
    return np.asarray(rows["value"], float)


def _misses(promise: Attainment) -> str:
    why = f"; {promise.missed[0].text}" if promise.missed else ""
    return f"keeps the promise on {promise.text}, {promise.wanted:.0%} wanted{why}"


def _dearer(difference: Floats, than: str, tests: int) -> str:
    """Return by how much a candidate is dearer; empty where the days do not tell."""
    half = half_width(difference, 1.0 - DROPPED_WRONGLY / tests)
    mean = float(difference.mean())
    if mean - half <= 0:
        return ""
    more, between = interval_text(mean, mean - half, mean + half, "USD/month")
    return f"dearer than {than}, the third best, by {more} ({between})"


def _nobody(results: Mapping[str, RunResult], promises: Mapping[str, Attainment]) -> Problem:
    each = "".join(f"\n  {name}: {_misses(promise)}" for name, promise in promises.items())
    best = max(promises, key=lambda name: (promises[name].share.value, -float(values_of(results[name], COST).mean())))
    promise = promises[best]
    fails = "; ".join(missed.text for missed in promise.missed[:2])
    scenario = results[best].scenario
    return Problem(
        scenario.title,
        None,
        None,
        "slo",
        f"no type keeps it on {promise.wanted:.0%} of days; the nearest is {best}, on {promise.text}: {fails}",
        f"{what_binds(results[best], promise.missed[0].metric)}; or promise less{each}",
    )


def what_binds(result: RunResult, metric: str) -> str:
    """Return in words what keeps a platform from an objective, and which key of the scenario rules it."""
    most = result.scenario.platform.transcode.max_nodes
    if values_of(result, "nodes_peak").max() >= most:
        return f"the fleet stands at its largest, so raise platform.transcode.max_nodes ({most:,})"
    refused = result.broadcasts["outcome"].value_counts()
    counts = {outcome.text: int(refused.get(outcome.text, 0)) for outcome in REFUSED}
    chief = max(counts, key=lambda text: counts[text])
    if not counts[chief]:
        return f"nobody is refused: {OTHER_REMEDIES.get(metric, LATE)}"
    return f"most of those who fail are '{chief}' ({counts[chief]:,}), so {REMEDIES.get(chief, LATE)}"
