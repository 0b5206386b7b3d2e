"""What a review found: who carries the scenario, at what cost and risk, how sure that is, and what to measure next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scenarios.profile import Profile
from scenarios.scenario import Scenario
from scenarios.slo import Slo
from sim.capacity_review import standings
from sim.capacity_review.buying import RISK
from sim.capacity_review.cost_draws import cost_draws, months_of
from sim.capacity_review.decision import (
    Choice,
    chances_of_cheapest,
    choice_now,
    pareto,
    shares_of_cheapest,
)
from sim.capacity_review.finals import leader
from sim.capacity_review.joint_draws import JointDraws
from sim.capacity_review.measure_next import Influence, influences
from sim.capacity_review.screening import values_of
from sim.ranges import COST
from sim.results import RunResult
from sim.slo_attainment import Attainment, attainment
from sim.statistics.intervals import Interval, proportion_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_RISK = 1e-6
"""Of viewer-time: less than a second in eleven days counts as none, as ten days cannot tell it from that."""


@dataclass(frozen=True)
class Review:
    """What `review` returns.

    Attributes:
        scenario: with its own type of node.
        profile: of all.
        seed: the only seed.
        candidates: the scenario with each type, by name.
        screened: control plane of each candidate, on the same days; of single broadcasts, here and in the finals, their
            outcome alone.
        dropped: candidate → why it did not go on to the finals.
        finals: whole platform of each finalist, on the same days, bought as written.
        stopped: why no further days were simulated.
        purchases: one row for each finalist and way to buy, as `buying.purchase_rows`.
        joint: what a node of each candidate holds in joint draws of what is not known.
    """

    scenario: Scenario
    profile: Profile
    seed: int
    candidates: Mapping[str, Scenario]
    screened: Mapping[str, RunResult]
    dropped: Mapping[str, str]
    finals: Mapping[str, RunResult]
    stopped: str
    purchases: pd.DataFrame
    joint: JointDraws

    @property
    def slo(self) -> Slo:
        """The promise that types are judged by."""
        assert self.scenario.slo is not None
        return self.scenario.slo

    def result(self, name: str) -> RunResult:
        """Return what is known of a type: its finals, or its screening where it was dropped."""
        return self.finals.get(name) or self.screened[name]

    @cached_property
    def promises(self) -> dict[str, Attainment]:
        """How well each type keeps the promise."""
        return {name: attainment(self.result(name).values, self.slo) for name in self.candidates}

    @cached_property
    def leader(self) -> str:
        """The cheapest finalist that keeps the promise, by its mean; where none does, the nearest to it."""
        return leader(self.finals, self.slo)

    @property
    def is_kept(self) -> bool:
        """Whether any finalist keeps the promise."""
        return self.promises[self.leader].is_met

    @cached_property
    def standings(self) -> pd.DataFrame:
        """One row for each type, finalists first, each group from the cheapest on; see `standings.standing`.

        Beside those columns: is_finalist, dropped (why), chance, chance_low, chance_high (of being cheapest among those
        that keep the promise; by the finals' days, or for those that were dropped by the screening's).
        """
        rows = []
        for name in self.candidates:
            row = standings.standing(name, self.result(name), self.promises[name])
            chance = self.chances.get(name) or self.screening_chances[name]
            row |= {"is_finalist": name in self.finals, "dropped": self.dropped.get(name, "")}
            rows.append(row | {"chance": chance.value, "chance_low": chance.low, "chance_high": chance.high})
        frame = standings.frame(rows)
        return frame.sort_values(["is_finalist", COST], ascending=[False, True], kind="stable")

    @cached_property
    def chances(self) -> dict[str, Interval]:
        """Probability of each finalist to be the cheapest of those that keep the promise, over days and worlds."""
        return _chances(self.finals, self.slo)

    @cached_property
    def screening_chances(self) -> dict[str, Interval]:
        """The same among all types, by the days of the screening."""
        return _chances(self.screened, self.slo)

    @cached_property
    def joint_costs(self) -> pd.DataFrame:
        """Dollars per month in each joint draw, of the finalists: an approximation, see `cost_draws`."""
        return cost_draws(self.joint.places, {name: months_of(result) for name, result in self.finals.items()})

    @property
    def keeping(self) -> list[str]:
        """The finalists that keep the promise; all of them where none does."""
        return [name for name in self.finals if self.promises[name].is_met] or [*self.finals]

    @cached_property
    def joint_chances(self) -> dict[str, Interval]:
        """Probability of each finalist that keeps the promise to be the cheapest of them, by the joint draws."""
        return chances_of_cheapest(self.joint_costs, self.keeping)

    @cached_property
    def choice(self) -> Choice:
        """The best choice by the joint draws, and what knowing everything would be worth."""
        return choice_now(self.joint_costs, self.keeping)

    @cached_property
    def influences(self) -> tuple[Influence, ...]:
        """What is not known, the most valuable to measure first."""
        return influences(
            self.joint_costs,
            self.joint.positions,
            self.joint.touches,
            among=self.keeping,
            leader=self.leader,
            seed=self.seed,
        )

    @cached_property
    def front(self) -> tuple[str, ...]:
        """The rows of `purchases` that no other is both cheaper and safer than, by their names, the cheapest first."""
        rows = self.purchases.dropna(subset=[RISK])
        names = [f"{row.instance}, {row.way}" for row in rows.itertuples()]
        risks = rows[RISK].where(rows[RISK] >= NO_RISK, 0.0)
        return pareto(dict(zip(names, rows[COST], strict=True)), dict(zip(names, risks, strict=True)))

    def table(self) -> pd.DataFrame:
        """Return the types as a reader wants them, all as text."""
        from sim.capacity_review.text import table

        return table(self)

    def purchase_table(self) -> pd.DataFrame:
        """Return the ways to buy as a reader wants them, all as text."""
        from sim.capacity_review.text import purchase_table

        return purchase_table(self)

    def measure_next(self) -> pd.DataFrame:
        """Return what to measure next as a reader wants it, all as text, the most valuable first."""
        from sim.capacity_review.text import influence_table

        return influence_table(self)

    def answer(self) -> list[str]:
        """Return the sentences that answer which type to take, written from the numbers."""
        from sim.capacity_review.text import answer

        return list(answer(self))

    def rests_on(self) -> list[str]:
        """Return, in sentences, what the numbers rest on, over all finalists, and what a review assumes."""
        from sim.capacity_review.text import grounds

        return list(grounds(self))

    def document(self) -> dict[str, Any]:
        """Return the review as plain data: no time, path or host, None for what is not known."""
        from sim.capacity_review.document import document

        return document(self)

    def plots(self) -> Iterator[tuple[str, Figure]]:
        """Yield each plot of a review by its name."""
        from sim.capacity_review import plots

        for name, plot in plots.PLOTS.items():
            yield name, plot(self)

    def write(self, folder: Path) -> Path:
        """Write the folder of the review, with its report, as `folder.write`; return its path.

        Raises:
            NotReady: it cannot be written there.
        """
        from sim.capacity_review.folder import write

        return write(self, folder)

    def _repr_html_(self) -> str:
        from sim.capacity_review.text import html

        return html(self)


def _chances(results: Mapping[str, RunResult], slo: Slo) -> dict[str, Interval]:
    """Return how often each is the cheapest of those that keep the promise on the same day; ties share a day."""
    costs = pd.DataFrame({name: values_of(result, COST) for name, result in results.items()})
    kept = pd.DataFrame({name: attainment(result.values, slo).kept.to_numpy() for name, result in results.items()})
    in_race = costs.where(kept, np.inf)
    some = in_race[kept.any(axis=1)]
    if some.empty:
        return {name: proportion_interval(0, len(costs)) for name in costs}
    shares = shares_of_cheapest(some)
    return {name: proportion_interval(float(shares[name].sum()), len(costs)) for name in costs}
