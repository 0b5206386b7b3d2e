"""At which value of an input a decision flips, with the noise of the days taken into account.

One dotted path is set to a value in both scenarios, both are run on the same days, and the difference of one metric is
looked at with its interval: at the ends first, then wherever the sign is not told yet. What is assumed need not be
known exactly where a decision stays the same over all of its range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from scenarios.errors import CalibrationError, Problem, ScenarioError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.bracket import STEPS, Look, TippingPoint, search
from sim.comparison import FEWEST_REPLICATIONS, paired_difference
from sim.replication import run
from sim.sampling import Floats
from sim.stopping import Replications, least_replications, metric_values, replications_plan, require_metric
from sim.varied import NotThereError, Span, number_at, with_value


def tipping_point(
    first: Scenario | float,
    second: Scenario,
    profile: Profile,
    span: Span,
    *,
    metric: str = "transcode_usd_per_month",
    first_profile: Profile | None = None,
    seed: int = 1,
    replications: Replications | None = None,
    steps: int = STEPS,
    workers: int = 1,
    extrapolate: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> TippingPoint:
    """Return at which value of an input the sign of second − first of a metric flips.

    Args:
        first: what the second is held against: a scenario, or the value of the metric that decides.
        second: the scenario in question.
        profile: of both.
        span: the path and the ends of its values; set in those of the two that have such a place.
        metric: one of `METRICS`.
        first_profile: of the first, if another.
        seed: the only seed.
        replications: of each at each value, at least 2; the larger number that the scenarios name if None. It stays the
            same along a search, so `auto` is its least number here.
        steps: values looked at, at most.
        workers: processes, as in `run`.
        extrapolate: as in `run`.
        force: likewise.
        progress: told after each value.

    Raises:
        ScenarioError: neither has such a place, the values may not stand there, or there is no such metric.
        CalibrationError: fewer than two replications, or see `run`.
    """
    require_metric(metric)
    scenarios = [side for side in (first, second) if isinstance(side, Scenario)]
    count = least_replications(replications_plan(scenarios, replications))
    if count < FEWEST_REPLICATIONS:
        raise CalibrationError(f"a difference needs at least {FEWEST_REPLICATIONS} replications, not {count}")
    how = {"seed": seed, "replications": count, "workers": workers, "extrapolate": extrapolate, "force": force}
    low, high = _ends(scenarios, span)
    sides = [
        _Side(side, of, span.path, metric, how) for side, of in ((first, first_profile or profile), (second, profile))
    ]
    done = 0

    def look(value: float) -> Look:
        nonlocal done
        seen = Look(value, *paired_difference(*(side.values(value) for side in sides))[2:5])
        done += 1
        if progress:
            progress(done, steps)
        return seen

    against = first.title if isinstance(first, Scenario) else first
    return TippingPoint(span.path, metric, against, search(look, low, high, steps=steps))


@dataclass
class _Side:
    """One of the two that are held against each other: a scenario, or a number."""

    held: Scenario | float
    profile: Profile
    path: str
    metric: str
    how: dict[str, int]
    _unchanged: Floats | None = field(default=None, init=False)

    def values(self, value: float) -> Floats:
        """Return the metric by replication with the value at the path; run once where there is no such place."""
        if not isinstance(self.held, Scenario):
            return np.full(self.how["replications"], self.held)
        if self._unchanged is not None:
            return self._unchanged
        try:
            return self._run(with_value(self.held, self.path, value))
        except NotThereError:
            self._unchanged = self._run(self.held)
            return self._unchanged

    def _run(self, scenario: Scenario) -> Floats:
        result = run(scenario, self.profile, split=False, **self.how)  # type: ignore[arg-type]
        frames = (frame for _, frame in result.values.groupby("replication"))
        return metric_values(frames, self.metric, scenario.title)


def _ends(scenarios: list[Scenario], span: Span) -> tuple[float, float]:
    """Return both ends as numbers, once every scenario that has the place accepts them."""
    ends: list[float] = []
    nowhere: NotThereError | None = None
    for scenario in scenarios:
        try:
            ends = [number_at(with_value(scenario, span.path, value), span.path) for value in (span.low, span.high)]
        except NotThereError as error:
            nowhere = nowhere or error
    if not ends:
        assert nowhere is not None
        raise nowhere
    if ends[0] >= ends[1]:
        raise ScenarioError([Problem("--flip", None, None, span.path, f"{span.low} is not below {span.high}", "")])
    return ends[0], ends[1]
