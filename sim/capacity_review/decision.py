"""Which candidate to choose under what is not known: who is cheapest how surely, and what knowing it all is worth.

Everything here reads costs by joint draw: one row a draw, one column a candidate, dollars per month
(`sim.capacity_review.cost_draws`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.sampling import Floats
from sim.statistics.intervals import Interval, proportion_interval

SAME = 1e-9
"""Costs that differ by no more than this part are equal: what the order of a product leaves of them."""


class Choice(NamedTuple):
    """The best choice without any further knowledge, and what knowledge is worth.

    Attributes:
        candidate: the least expected cost; the first of several.
        usd_per_month: that cost.
        perfect_information_usd_per_month: expected value of perfect information: by how much the expected cost falls
            if every source of ignorance is known before the choice is made.
        standard_error_usd_per_month: of that value, by the number of draws.
    """

    candidate: str
    usd_per_month: float
    perfect_information_usd_per_month: float
    standard_error_usd_per_month: float


def shares_of_cheapest(costs: pd.DataFrame) -> pd.DataFrame:
    """Return for each draw 1 for the cheapest candidate and 0 for the others; ties share the 1 equally."""
    table = costs.to_numpy(float)
    least = table.min(axis=1, keepdims=True)
    cheapest = table <= least + SAME * np.abs(least)
    shares = cheapest / cheapest.sum(axis=1, keepdims=True)
    return pd.DataFrame(shares, columns=costs.columns, index=costs.index)


def chances_of_cheapest(costs: pd.DataFrame, among: Sequence[str]) -> dict[str, Interval]:
    """Return the probability of being cheapest of a subset by candidate; they add up to 1.

    The interval (Clopper and Pearson 1934) is that of the number of draws; how the costs were found is not in it.

    Args:
        costs: as `cost_draws`.
        among: the candidates that are in the race, such as those that meet the objectives; none gives nothing.
    """
    if not among:
        return {}
    shares = shares_of_cheapest(costs[list(among)])
    return {name: proportion_interval(float(shares[name].sum()), len(shares)) for name in among}


def pareto(costs: Mapping[str, float], risks: Mapping[str, float]) -> tuple[str, ...]:
    """Return the candidates that no other one dominates, from the cheapest on.

    One is dominated by another that is no dearer and no riskier, and less of one of the two. Equal ones stay together.

    Args:
        costs: candidate → cost, less is better.
        risks: candidate → risk, less is better; the same candidates.

    Raises:
        ValueError: the candidates differ, or a number is none.
    """
    if costs.keys() != risks.keys():
        raise ValueError(f"cost and risk of different candidates: {sorted(costs.keys() ^ risks.keys())}")
    points = {name: (float(costs[name]), float(risks[name])) for name in costs}
    nowhere = [name for name, point in points.items() if any(map(math.isnan, point))]
    if nowhere:
        raise ValueError(f"cost or risk is not a number: {nowhere}")
    left = [name for name, point in points.items() if not any(_dominates(one, point) for one in points.values())]
    return tuple(sorted(left, key=lambda name: points[name]))


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] <= other[0] and one[1] <= other[1]


def choice_now(costs: pd.DataFrame, among: Sequence[str]) -> Choice:
    """Return the best choice of a subset with what is known now, and the value of perfect information.

    min over candidates of the mean − mean of the min over candidates (Raiffa and Schlaifer, 1961).

    Args:
        costs: as `cost_draws`.
        among: the candidates that are in the race, at least one.
    """
    table: Floats = costs[list(among)].to_numpy(float)
    means = table.mean(axis=0)
    best = int(np.argmin(means))
    regret = table[:, best] - table.min(axis=1)
    error = float(regret.std(ddof=1)) / math.sqrt(len(regret)) if len(regret) > 1 else math.nan
    return Choice(str(among[best]), float(means[best]), float(regret.mean()), error)
