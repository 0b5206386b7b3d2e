"""The stages of a review, one after another: candidates, screening, finals, other ways to buy, joint draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import pandas as pd

from scenarios.catalogue import load_catalogue
from scenarios.errors import Problem, ScenarioError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from scenarios.slo import OBJECTIVES, Slo
from sim.capacity_review import finals as final_days
from sim.capacity_review.buying import first_days, purchase_rows, ways_to_buy
from sim.capacity_review.candidates import candidates
from sim.capacity_review.finals import Finals, hold_finals
from sim.capacity_review.joint_draws import DRAWS, draw_places
from sim.capacity_review.result import Review
from sim.capacity_review.screening import REPLICATIONS, screen
from sim.capacity_review.trials import Trials
from sim.event_budget import require_budget
from sim.processes import processes
from sim.results import RunResult

Progress = Callable[[str, int, int], None]
"""Called with the stage, how much of it is done, and all of it."""


def review(
    scenario: Scenario,
    profile: Profile,
    instances: Sequence[str],
    *,
    seed: int = 1,
    replications: int = final_days.MOST,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Progress | None = None,
    extrapolate: bool = False,
    force: bool = False,
) -> Review:
    """Return instance types side by side: who carries a scenario, at what cost and risk, and how sure that is.

    Args:
        scenario: the platform, with the promise (`slo`) that types are judged by.
        profile: coefficients.
        instances: two or more types of the catalogue.
        seed: the only seed; neither workers nor who else takes part move a digit of a type.
        replications: full days of a finalist, at most; at least 10. The scenario's own number is for `run`.
        workers: processes; 1 stays in this one.
        executor: runs them instead of own processes.
        progress: told of each stage.
        extrapolate: go on beyond what the profile was measured for; the result says so.
        force: run even what is beyond the budget of events.

    Raises:
        ScenarioError: no such type, no promise, one that no type can keep, or more than the budget of events.
        CalibrationError: types that no profile can be carried over to.
    """
    slo = _required_slo(scenario)
    _require_days(replications)
    found = candidates(scenario, instances, profile, load_catalogue(), extrapolate=extrapolate or scenario.extrapolate)
    if not force:
        for candidate in found.values():
            require_budget(candidate, max(REPLICATIONS, replications))
    with processes(workers, executor) as pool:
        stages = _Stages(profile, slo, seed, pool, progress)
        screened = stages.screened(found)
        kept = screen(screened, slo)
        finalists = {name: found[name] for name in kept.finalists}
        ended = stages.finals(finalists, replications)
        purchases = stages.purchases(finalists, ended.results)
        tell = stages.told("joint draws")
        joint = draw_places(found, profile, load_catalogue(), seed=seed, draws=DRAWS, progress=tell)
    return Review(
        scenario, profile, seed, found, screened, kept.dropped, ended.results, ended.stopped, purchases, joint
    )


class _Stages:
    """What all stages share, and how each tells of its progress."""

    def __init__(self, profile: Profile, slo: Slo, seed: int, pool: Executor | None, progress: Progress | None) -> None:
        self._profile, self._slo, self._seed = profile, slo, seed
        self._pool, self._progress = pool, progress

    def told(self, stage: str) -> Callable[[int, int], None]:
        """Return what a stage tells how far it is."""
        return lambda done, whole: self._progress(stage, done, whole) if self._progress else None

    def _trials(self, scenarios: Mapping[str, Scenario], engine: Any) -> Trials:
        return Trials(scenarios, self._profile, seed=self._seed, engine=engine, executor=self._pool)

    def screened(self, found: Mapping[str, Scenario]) -> dict[str, RunResult]:
        """Return the control plane of every candidate."""
        trials = self._trials(found, "fleet")
        tell = self.told("screening")
        trials.add(REPLICATIONS, lambda done: tell(done, REPLICATIONS))
        return trials.results()

    def finals(self, finalists: Mapping[str, Scenario], most: int) -> Finals:
        """Return the whole platform of every finalist."""
        trials, tell = self._trials(finalists, "whole"), self.told("finals")
        return hold_finals(trials, self._slo, most=most, progress=lambda done: tell(done, most))

    def purchases(self, finalists: Mapping[str, Scenario], own: Mapping[str, RunResult]) -> pd.DataFrame:
        """Return a row for each finalist and way to buy, all on the same days."""
        ways = {name: ways_to_buy(finalist) for name, finalist in finalists.items()}
        other = {
            f"{name}, {way}": bought
            for name, of in ways.items()
            for way, bought in of.items()
            if bought is not finalists[name]
        }
        trials = self._trials(other, "whole")
        tell = self.told("ways to buy")
        trials.add(final_days.LEAST, lambda done: tell(done, final_days.LEAST))
        results = trials.results()
        rows: list[dict[str, Any]] = []
        for name, of in ways.items():
            same_days = first_days(own[name], final_days.LEAST)
            by_way = {way: results.get(f"{name}, {way}", same_days) for way in of}
            rows += purchase_rows(name, by_way, self._slo, own=finalists[name])
        return pd.DataFrame(rows)


def _required_slo(scenario: Scenario) -> Slo:
    if scenario.slo is not None:
        return scenario.slo
    hint = f"add slo with one or more of {', '.join(OBJECTIVES)}, such as slo: {{refused_fraction: 0.001}}"
    message = "a review judges types by a promise, and there is none"
    raise ScenarioError([Problem(scenario.title, None, None, "slo", message, hint)])


def _require_days(replications: int) -> None:
    if replications < final_days.LEAST:
        message = f"a finalist needs at least {final_days.LEAST} full replications, not {replications}"
        raise ScenarioError([Problem("--replications", None, None, "", message, "leave it out, or give more")])
