"""What a metric is, what it may read, and the few sums that many of them take."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from scenarios.catalogue import Catalogue
from scenarios.scenario import Scenario
from sim.cost import months
from sim.records import Replication


class Case(NamedTuple):
    """What a metric may read."""

    run: Replication
    scenario: Scenario
    catalogue: Catalogue


class Metric(NamedTuple):
    """One line of the answer."""

    component: str
    unit: str
    meaning: str
    value: Callable[[Case], float]
    applies: Callable[[Case], bool] = lambda case: True
    """Whether there is such a line: not what the platform or the profile has nothing of."""
    of_viewers: bool = False
    """Whether it takes viewers, whom the control plane alone does not have."""


def ratio(above: float, below: float) -> float:
    """Return a quotient; NaN where there is nothing to divide by."""
    return above / below if below else math.nan


def total(case: Case, column: str) -> float:
    """Return the sum of a column of the ticks."""
    return float(case.run.ticks[column].sum())


def peak(case: Case, column: str) -> float:
    """Return the greatest value of a column of the ticks."""
    return float(case.run.ticks[column].max())


def peak_bps(case: Case, column: str) -> float:
    """Return the greatest rate of a column that has bytes."""
    return peak(case, column) * 8.0 / case.scenario.horizon.tick_s


def unstable_after_s(case: Case) -> float:
    """Return when more broadcasts want a place than the largest fleet has, to a tick; NaN if that never happens.

    From then on a queue has no mean wait: it grows until those who wait give up.
    """
    ticks = case.run.ticks
    wanted = ticks["broadcasts_wanted"] - ticks["broadcasts_source_only"]
    beyond = ticks["t_s"][wanted > case.run.most_places]
    return float(beyond.iloc[0]) if len(beyond) else math.nan


def seen_months_of(case: Case) -> float:
    """Return how many times all the ticks make a month; what is left of the horizon after the last is not seen."""
    seen_s = len(case.run.ticks) * case.scenario.horizon.tick_s
    return months(seen_s, case.scenario.prices.hours_per_month)


def months_of(case: Case) -> float:
    """Return how many horizons make a month."""
    return months(case.run.horizon_s, case.scenario.prices.hours_per_month)
