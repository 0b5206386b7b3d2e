"""How many replications a run takes: a number that somebody gave, or a rule that finds it on the way.

`auto` takes at least ten, and then five more at a time until the interval of one metric's mean is narrow enough
(`sim.statistics.sequential`). What it may take at most is bounded by the event budget as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from scenarios.errors import Problem, ScenarioError
from scenarios.reading.phrases import did_you_mean
from scenarios.scenario import Scenario
from sim.event_budget import replications_within_budget
from sim.metrics import METRICS
from sim.sampling import Floats
from sim.statistics.sequential import Attained, Precision

Replications = int | Literal["auto"]
Plan = int | Precision
"""A fixed number of replications, or the rule that ends them."""


def replications_plan(
    scenarios: Sequence[Scenario], replications: Replications | None, precision: Precision | None = None
) -> Plan:
    """Return how many replications there will be of each scenario, or what decides it.

    Args:
        scenarios: what runs on the same days.
        replications: a number, `auto`, or None for the scenarios' own: the largest number that one of them names,
            `auto` where none names any.
        precision: the rule of `auto`, which it also asks for where `replications` is None.

    Raises:
        ScenarioError: fewer than one, there is no such metric, or both a number and a rule are given.
    """
    if isinstance(replications, int) and replications < 1:
        raise refused("--replications", str(replications), "none would be simulated", "give a number from 1, or auto")
    if precision is not None and isinstance(replications, int):
        hint = "leave out one of the two"
        raise refused("--precision", "", f"{replications} replications leave nothing for it to decide", hint)
    own = [one.replications for one in scenarios if isinstance(one.replications, int)]
    if isinstance(replications, int):
        return replications
    if replications is None and precision is None and own:
        return max(own)
    rule = precision or Precision()
    require_metric(rule.metric)
    return rule.within(min(replications_within_budget(scenario) for scenario in scenarios))


def least_replications(plan: Plan) -> int:
    """Return how many replications there will be in any case."""
    return plan if isinstance(plan, int) else plan.least


def replicate(
    plan: Plan, more: Callable[[range], None], judged: Callable[[str], tuple[Floats, Floats | None]]
) -> Attained | None:
    """Ask for replications until there are enough; return what the rule came to, None for a fixed number.

    Args:
        plan: a number, or a rule.
        more: makes the replications of these numbers.
        judged: returns, of a metric, the values so far that the rule judges, as the arguments of `Precision.judge`.
    """
    if isinstance(plan, int):
        more(range(plan))
        return None
    done = 0
    for look in plan.looks():
        more(range(done, look))
        done = look
        found = plan.judge(*judged(plan.metric))
        if found is not None:
            return found
    raise AssertionError("a rule ends with its most replications")


def metric_values(frames: Iterable[pd.DataFrame], metric: str, title: str) -> Floats:
    """Return a metric by replication, NaN where a replication has no such row.

    Args:
        frames: the values of each replication, as `sim.metrics.measure` returns them.
        metric: one of `METRICS`.
        title: of the scenario.

    Raises:
        ScenarioError: none of them has it.
    """
    found = [frame["value"].to_numpy(float)[(frame["metric"] == metric).to_numpy()] for frame in frames]
    if not any(values.size for values in found):
        raise refused("--by", metric, f"{title!r} has nothing of {metric}", "choose one that it has")
    return np.array([values[0] if values.size else np.nan for values in found])


def require_metric(metric: str) -> None:
    """Check that there is such a metric.

    Raises:
        ScenarioError: there is none.
    """
    if metric not in METRICS:
        raise refused(
            "--by", metric, "no such metric", did_you_mean(metric, METRICS, otherwise="--json names them all")
        )


def refused(flag: str, value: str, message: str, hint: str) -> ScenarioError:
    """Return the error about a flag, which is also that of the argument of the same name."""
    return ScenarioError([Problem(flag, None, None, value, message, hint)])
