"""Which coefficient to measure next: how far the interval of each source of ignorance could move the decision.

A measurement narrows one source and leaves the others as they are. What it is worth at the most is the expected value
of partial perfect information: by how much the expected cost falls if that source alone is known before the choice
(Strong and Oakley, 2013). The draws are put in the order of the source's position and cut into bins of equal size;
within a bin the source is nearly known, and the mean over draws averages the rest out:

    min over candidates of the mean − mean over bins of the min over candidates of the mean within the bin

The least of several noisy means lies too low, so a source without any influence would seem to be worth something.
How much that is, is told by bins of draws in random order: a value that does not rise above those is told as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from scenarios.errors import CalibrationError
from sim.capacity_review.decision import SAME, shares_of_cheapest
from sim.sampling import stream
from sim.statistics.intervals import CONFIDENCE, Interval, proportion_interval

BINS = 10
"""Of the positions: the outer ones are the ends. More bins lose less within each, and have noisier means."""
LEAST_DRAWS = 100
"""So that an end is the mean of ten draws."""
PERMUTATIONS = 1_000
MEANINGS = {
    "CPU of ": "how well CoreMark tells the speed of CPUs of {}",
    "speed of ": "where {} lies between the presets published next to it",
    "video clock of ": "clock of the video engines of {} under load",
    "engine table for ": "how well the published engine table holds for {}",
    "GPU memory on ": "GPU memory that a rung takes on {}",
    "densities of ": "published stream densities of {}",
    "the profile's joint draws": "what the measurement behind the profile left open",
}
"""How the names that `sim.engines.Position` is asked for begin → what is not known, in words."""

Integers = npt.NDArray[np.intp]


class End(NamedTuple):
    """The decision with one source at one end: in the outer tenth of the draws by its position.

    Attributes:
        cheapest: the candidate of least mean cost there.
        leader_is_cheapest: probability there that the present leader is the cheapest, with its own 95 % interval.
        leader_costs_more_usd: mean cost of the leader − that of the cheapest there, USD per month; 0 for the leader.
        least_usd: lower end of the interval of that difference (Student's t over paired draws), at a level so high
            that all ends, sources and candidates together are right in 95 % of reviews (Bonferroni).
    """

    cheapest: str
    leader_is_cheapest: Interval
    leader_costs_more_usd: float
    least_usd: float

    @property
    def flips(self) -> bool:
        """Whether another candidate than the leader is cheapest there, beyond the noise of the draws."""
        return self.least_usd > 0


@dataclass(frozen=True)
class Influence:
    """What one source of ignorance does to the decision.

    Attributes:
        source: its name among the positions.
        meaning: what is not known, in words.
        touches: candidates in the race whose nodes depend on it.
        costly, cheap: the decision at its two ends.
        usd_per_month: expected value of knowing it, 0 where the draws do not tell it from no influence.
        seen_usd_per_month: the same before that judgement.
        null_usd_per_month: what a source without influence would seem to be worth, in the mean.
        null_high_usd_per_month: what none of so many sources without influence exceeds in 95 % of reviews.
        null_moves: by how much no such source seems to move the leader's probability, likewise.
    """

    source: str
    meaning: str
    touches: tuple[str, ...]
    costly: End
    cheap: End
    usd_per_month: float
    seen_usd_per_month: float
    null_usd_per_month: float
    null_high_usd_per_month: float
    null_moves: float

    @property
    def leader_moves(self) -> float:
        """Probability that the leader is cheapest at the cheap end − at the costly end, in [-1, 1]."""
        return self.cheap.leader_is_cheapest.value - self.costly.leader_is_cheapest.value

    @property
    def moves(self) -> bool:
        """Whether the leader's probability moves beyond the noise of the draws."""
        return abs(self.leader_moves) > self.null_moves


def influences(
    costs: pd.DataFrame,
    positions: pd.DataFrame,
    touches: Mapping[str, Sequence[str]],
    *,
    among: Sequence[str],
    leader: str,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> tuple[Influence, ...]:
    """Return the sources that touch a candidate in the race, the most valuable to know first.

    Equal values are in the order of how far the leader's probability of being cheapest moves between the ends, if it
    moves beyond the noise of the draws. The value is that of one source alone: where only several together flip the
    decision, each is worth nothing and perfect information (`choice_now`) is.

    Args:
        costs: USD per month by draw and candidate, as `sim.capacity_review.cost_draws`.
        positions: 0 the costly end, 1 the cheap one, by draw and source, as `JointDraws.positions`.
        touches: source → candidates, as `JointDraws.touches`.
        among: the candidates that are in the race, at least one.
        leader: the one of them that an answer recommends; by the joint draws alone it may not be the best choice.
        seed: of the random orders.
        permutations: how many of them.

    Raises:
        CalibrationError: fewer than 100 draws.
    """
    if len(costs) < LEAST_DRAWS:
        raise CalibrationError(
            f"{len(costs)} joint draws leave fewer than ten at an end of a range; draw at least {LEAST_DRAWS}"
        )
    race = {source: tuple(name for name in of if name in among) for source, of in touches.items()}
    race = {source: of for source, of in race.items() if of}
    seen = _Seen(costs[list(among)], leader)
    null = seen.without_influence(seed, permutations, sources=max(len(race), 1))
    tests = 2 * max(len(race), 1) * max(len(among) - 1, 1)
    found = []
    for source, names in race.items():
        order = np.argsort(positions[source].to_numpy(float), kind="stable")
        value = seen.value(order)
        costly, cheap = (seen.end(rows, tests) for rows in _ends(order))
        told = value if value > null.high_usd else 0.0
        found.append(
            Influence(source, meaning(source), names, costly, cheap, told, value, null.usd, null.high_usd, null.moves)
        )
    return tuple(sorted(found, key=_rank))


def _rank(one: Influence) -> tuple[float, float, str]:
    return -one.usd_per_month, -abs(one.leader_moves) if one.moves else 0.0, one.source


def meaning(source: str) -> str:
    """Return what is not known of a source, in words; its name where that says it."""
    for begin, words in MEANINGS.items():
        if source.startswith(begin):
            return words.format(source.removeprefix(begin))
    return source


class _Null(NamedTuple):
    """What sources without influence seem to be worth, in the mean and at the most, and to move the leader."""

    usd: float
    high_usd: float
    moves: float


class _Seen:
    """Looks at the costs of those in the race, in parts and orders of the draws."""

    def __init__(self, costs: pd.DataFrame, leader: str) -> None:
        self._names = [str(name) for name in costs]
        self._costs = costs.to_numpy(float)
        self._leader = self._names.index(leader)
        self._is_leader = shares_of_cheapest(costs).to_numpy(float)[:, self._leader]
        self._now = float(self._costs.mean(axis=0).min())

    def value(self, order: Integers) -> float:
        """Return what knowing the bin of a draw is worth, of draws in this order; what rounding leaves is 0."""
        sums = np.add.reduceat(self._costs[order], _edges(len(order)), axis=0)
        value = self._now - float(sums.min(axis=1).sum()) / len(order)
        return value if value > SAME * self._now else 0.0

    def end(self, rows: Integers, tests: int) -> End:
        """Return the decision in some of the draws, where so many differences are looked at in all."""
        costs = self._costs[rows]
        best = int(np.argmin(costs.mean(axis=0)))
        more = costs[:, self._leader] - costs[:, best]
        level = 1 - (1 - CONFIDENCE) / 2 / tests
        wide = float(stats.t.ppf(level, len(rows) - 1) * more.std(ddof=1)) / math.sqrt(len(rows))
        chance = proportion_interval(float(self._is_leader[rows].sum()), len(rows))
        return End(self._names[best], chance, float(more.mean()), float(more.mean()) - wide)

    def without_influence(self, seed: int, permutations: int, *, sources: int) -> _Null:
        """Return what random orders of the draws show, at a level at which none of so many sources exceeds it."""
        rng = stream(seed, 0, "order of draws without influence")
        values, moves = [], []
        for _ in range(permutations):
            order = rng.permutation(len(self._costs))
            values.append(self.value(order))
            costly, cheap = (float(self._is_leader[rows].mean()) for rows in _ends(order))
            moves.append(abs(cheap - costly))
        level = 1 - (1 - CONFIDENCE) / sources
        highest = (float(np.quantile(seen, level, method="higher")) for seen in (values, moves))
        return _Null(float(np.mean(values)), *highest)


def _ends(order: Integers) -> tuple[Integers, Integers]:
    """Return the draws of the first and of the last bin."""
    edges = _edges(len(order))
    return order[: edges[1]], order[edges[-1] :]


def _edges(draws: int) -> Integers:
    """Return where the bins begin."""
    return np.linspace(0, draws, BINS + 1).astype(np.intp)[:-1]
