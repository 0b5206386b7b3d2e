"""Two scenarios on the same days: what changes between them, with intervals of the differences.

Both draw the same broadcasters, the same noise of the day and the same coefficients in a replication, as far as they
share them (`sim.sampling`): each random number belongs to the seed, the replication and what it is for. What both
scenarios suffer alike falls out of a difference taken replication by replication.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.assembly import Engine
from sim.event_budget import require_budget
from sim.format import interval_text
from sim.metrics import METRICS
from sim.noise_and_ignorance import sentence, split_of
from sim.ranges import COST
from sim.replication import Side, replicate_sides, require_runnable
from sim.results import RunResult
from sim.sampling import Floats
from sim.statistics.intervals import half_width
from sim.statistics.sequential import Attained, Precision
from sim.statistics.split import Split
from sim.stopping import Replications, least_replications, replications_plan

FEWEST_REPLICATIONS = 2
"""For an interval of a difference."""
COLUMNS = ["component", "metric", "unit", "first", "second", "difference", "low", "high", "noise_left", "replications"]


@dataclass(frozen=True)
class Comparison:
    """What `compare` returns.

    Attributes:
        first: the scenario that is changed.
        second: what it is changed to.
        precision: what the rule came to that found the number of replications; None where that was given.
    """

    first: RunResult
    second: RunResult
    precision: Attained | None = None

    @cached_property
    def differences(self) -> pd.DataFrame:
        """One row for each metric that both have, in the order of `METRICS`.

        Columns: component, metric, unit; first and second, the means; difference, the mean of second − first over
        replications, and low and high, its 95 % interval (Student's t over the paired replications); noise_left, the
        standard deviation of the paired differences ÷ that of unpaired ones, NaN where nothing varies; replications.
        """
        keys = ["component", "metric", "unit", "replication"]
        both = self.first.values.merge(self.second.values, on=keys, suffixes=("_first", "_second"), how="inner")
        rows = []
        for names, of in both.groupby(keys[:3], sort=False):
            pair = (of[f"value_{side}"].to_numpy(float) for side in ("first", "second"))
            rows.append((*names, *paired_difference(*pair)))
        return pd.DataFrame(rows, columns=COLUMNS)

    @cached_property
    def lacking(self) -> tuple[str, ...]:
        """Metrics that only one of the two has, in the order of `METRICS`."""
        one, other = (set(result.values["metric"]) for result in (self.first, self.second))
        return tuple(name for name in METRICS if name in one ^ other)

    def table(self) -> pd.DataFrame:
        """Return the differences as a reader wants them, all as text; `told apart` says whether 0 lies outside."""
        rows = []
        for row in self.differences.to_dict("records"):
            unit = row["unit"]
            first, second = (interval_text(row[name], math.nan, math.nan, unit)[0] for name in ("first", "second"))
            change, between = interval_text(row["difference"], row["low"], row["high"], unit)
            change = change.replace("%", "points")  # of percent: a share of a share would be another figure
            told = "yes" if row["low"] > 0 or row["high"] < 0 else "no"
            same = row["first"] == row["second"] and row["low"] == row["high"] == 0.0
            cells = ("–", "–", "the same") if same else (change, between, told)
            rows.append((METRICS[row["metric"]].meaning, first, second, *cells))
        return pd.DataFrame(rows, columns=["what", "first", "second", "difference", "95 % interval", "told apart"])

    @property
    def precision_text(self) -> str:
        """How precise the difference is that the replications were found for; empty where their number was given."""
        if self.precision is None:
            return ""
        what = f"the difference of {METRICS[self.precision.rule.metric].meaning!r}"
        return self.precision.text(what, " of the first's mean")

    def notes(self) -> list[str]:
        """Return, in sentences, what a reader of the differences must know."""
        found = [f"{result.scenario.title}: {line}" for result in (self.first, self.second) for line in _ranged(result)]
        for side, result in (("first", self.first), ("second", self.second)):
            if result.promise:
                found.append(f"{side}: {result.promise.sentence}")
        if self.lacking:
            meanings = ", ".join(METRICS[name].meaning for name in self.lacking)
            found.append(f"only one of the two has: {meanings}")
        left = self.differences["noise_left"].median()
        if parted := sentence(f"the difference of {METRICS[COST].meaning}", self._split()):
            found.append(parted)
        if not math.isnan(left):
            found.append(
                f"paired days leave {left:.0%} of the noise that independent runs would have (median over metrics)"
            )
        return found

    def _split(self) -> Split | None:
        """Return noise and ignorance of the difference in the fleet's cost."""
        own, middle = (
            _changes(getattr(self.first, world), getattr(self.second, world)) for world in ("values", "middle")
        )
        return split_of(own, middle, COST, self.first.seed)

    def document(self) -> dict[str, Any]:
        """Return the comparison as plain data: no time, path or host, None for what is not known."""
        frame = self.differences
        return {
            "first": self.first.scenario.title,
            "second": self.second.scenario.title,
            "profiles": [self.first.profile.name, self.second.profile.name],
            "seed": self.first.seed,
            "replications": self.first.replications,
            "precision": self.precision.document() if self.precision else None,
            "notes": self.notes(),
            "differences": frame.astype(object).where(frame.notna(), None).to_dict("records"),
        }

    def _repr_html_(self) -> str:
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes())
        return f"{self.table().to_html(index=False)}<ul>{notes}</ul>"


def compare(
    first: Scenario,
    second: Scenario,
    profile: Profile,
    *,
    second_profile: Profile | None = None,
    seed: int = 1,
    replications: Replications | None = None,
    precision: Precision | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
    extrapolate: bool = False,
    force: bool = False,
    engine: Engine = "whole",
    split: bool = True,
) -> Comparison:
    """Return what the second scenario changes, on the same days as the first.

    Args:
        first: what is changed.
        second: what it is changed to.
        profile: of both.
        second_profile: of the second, if another.
        seed: the only seed.
        replications: of each, at least 2; `auto`, which takes as many as make one paired difference precise: half its
            interval against the first's mean; or None for the larger number that the scenarios name, `auto` where
            none names any.
        precision: as in `run`.
        workers: processes, as in `run`.
        executor: likewise.
        progress: told after each replication of the one and the other.
        extrapolate: as in `run`.
        force: likewise.
        engine: likewise.
        split: likewise.

    Raises:
        ScenarioError: see `run`.
        CalibrationError: fewer than two replications, or see `run`.
    """
    plan = replications_plan([first, second], replications, precision)
    if least_replications(plan) < FEWEST_REPLICATIONS:
        raise CalibrationError(f"a difference needs at least {FEWEST_REPLICATIONS} replications, not {plan}")
    profiles = profile, second_profile or profile
    for scenario, chosen in zip((first, second), profiles, strict=True):  # before the first of them takes its time
        if not force:
            require_budget(scenario, least_replications(plan))
        require_runnable(scenario, chosen, extrapolate=extrapolate)
    sides = [Side(first, profiles[0], engine, split), Side(second, profiles[1], engine, split)]

    def judged(metric: str) -> tuple[Floats, Floats]:
        before, after = (side.values(metric) for side in sides)
        return after - before, before

    found = replicate_sides(sides, plan, seed, workers, executor, progress, judged)
    return Comparison(sides[0].result(seed, None), sides[1].result(seed, None), precision=found)


def _changes(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the second − the first by metric and replication."""
    keys = ["metric", "replication"]
    both = first[[*keys, "value"]].merge(second[[*keys, "value"]], on=keys, suffixes=("_first", "_second"))
    return both.assign(value=both["value_second"] - both["value_first"])


def paired_difference(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Return both means, the mean difference, the ends of its interval, noise left and replications, of pairs."""
    known = np.isfinite(first) & np.isfinite(second)
    before, after = first[known], second[known]
    if before.size < FEWEST_REPLICATIONS:
        return (*(float(of.mean()) if of.size else math.nan for of in (before, after)), *[math.nan] * 4, before.size)
    change = after - before
    mean, spread = float(change.mean()), float(change.std(ddof=1))
    half = half_width(change)
    unpaired = math.hypot(float(before.std(ddof=1)), float(after.std(ddof=1)))
    left = spread / unpaired if unpaired > 0 else math.nan
    return float(before.mean()), float(after.mean()), mean, mean - half, mean + half, left, change.size


def _ranged(result: RunResult) -> list[str]:
    """Return a sentence where a result's fleet rests on what nobody measured."""
    if not result.ranges:
        return []
    return [
        "its nodes were not measured; the difference shares with the other whatever both carry over, and the rest of "
        "what is not known is in the interval"
    ]
