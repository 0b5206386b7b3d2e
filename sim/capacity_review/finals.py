"""Full replications of the finalists, until it is told who is cheapest among those that keep the promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scenarios.slo import Slo
from sim.capacity_review.screening import values_of
from sim.capacity_review.trials import Trials
from sim.ranges import COST
from sim.results import RunResult
from sim.sampling import Floats
from sim.slo_attainment import attainment
from sim.statistics.intervals import half_width

LEAST, MOST, STEP = 10, 40, 5
"""Full replications of a finalist: never fewer, never more, and how many between two looks."""
CLOSE_ENOUGH = 0.05
"""Of the leader's cost: finalists that are known to differ by no more, or whose difference is known as well, need no
further days."""


class Finals(NamedTuple):
    """What the finals found.

    Attributes:
        results: of every finalist, on the same days.
        stopped: in words, why no further days were simulated.
    """

    results: dict[str, RunResult]
    stopped: str


def hold_finals(trials: Trials, slo: Slo, *, most: int = MOST, progress: Callable[[int], None] | None = None) -> Finals:
    """Return the finalists' results.

    After `LEAST` days, and every `STEP` days from then on, the leader is held against each other finalist: it goes on
    until each difference of cost is told from 0, or known to 5 % of the leader's cost, or `most` days are over. The
    looks are many, so the intervals at the end cover a little less than they say (`benchmarks.coverage`).
    """
    trials.add(min(LEAST, most), progress)
    while True:
        results = trials.results()
        open_pairs = undecided(results, slo)
        if not open_pairs:
            return Finals(
                results,
                "the leader's cost is told from that of every other finalist that may keep the promise, or known to "
                "5 % of it",
            )
        if trials.replications >= most:
            names = ", ".join(open_pairs)
            return Finals(results, f"the budget of {most} days is spent; not told from the leader: {names}")
        trials.add(min(STEP, most - trials.replications), progress)


def leader(results: Mapping[str, RunResult], slo: Slo) -> str:
    """Return the cheapest finalist, by its mean, of those that keep the promise; where none does, the nearest to it."""
    promises = {name: attainment(result.values, slo) for name, result in results.items()}
    costs = {name: float(values_of(result, COST).mean()) for name, result in results.items()}
    keeping = [name for name, promise in promises.items() if promise.is_met]
    if keeping:
        return min(keeping, key=lambda name: costs[name])
    return min(results, key=lambda name: (-promises[name].share.value, costs[name]))


def undecided(results: Mapping[str, RunResult], slo: Slo) -> list[str]:
    """Return whose cost is neither told from the leader's nor known closely enough, of those who may keep the promise.

    Where nobody may, nobody is undecided: no number of days makes one of them the answer.
    """
    first = leader(results, slo)
    cost = values_of(results[first], COST)
    return [
        name
        for name, result in results.items()
        if name != first
        and not attainment(result.values, slo).is_out_of_reach
        and not _is_told(values_of(result, COST) - cost, CLOSE_ENOUGH * float(cost.mean()))
    ]


def _is_told(difference: Floats, close_usd: float) -> bool:
    half = half_width(difference)
    return bool(np.abs(difference.mean()) > half or half <= close_usd)
