"""Whether a platform keeps its promise: on how many of the simulated days every objective holds, and which fails."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from scenarios.slo import Slo
from sim.format import interval_text
from sim.metrics import METRICS
from sim.statistics.intervals import Interval, proportion_interval


class Missed(NamedTuple):
    """An objective that does not hold on every day.

    Attributes:
        metric: of it.
        days: on which it does not hold.
        mean: of the metric over all days.
        most: what it may be.
    """

    metric: str
    days: int
    mean: float
    most: float

    @property
    def text(self) -> str:
        """In words, such as `broadcasts refused or given up 2.1 % in the mean, 0.1 % promised`."""
        of = METRICS[self.metric]
        mean, most = (interval_text(value, math.nan, math.nan, of.unit)[0] for value in (self.mean, self.most))
        # A mean within what is promised hides the days that miss it, and those without a figure.
        days = "" if self.mean > self.most else f", missed on {self.days} day" + ("" if self.days == 1 else "s")
        return f"{of.meaning}: {mean} in the mean, {most} promised{days}"


class Attainment(NamedTuple):
    """How well a promise is kept.

    Attributes:
        share: of days on which every objective holds, with its exact 95 % interval.
        wanted: share of days on which all have to.
        kept: whether all hold, day by day.
        missed: objectives that fail on some day, the one that fails most often first.
        unseen: objectives on viewers, where the control plane alone was simulated.
    """

    share: Interval
    wanted: float
    kept: pd.Series
    missed: tuple[Missed, ...]
    unseen: tuple[str, ...] = ()

    @property
    def days(self) -> int:
        """Days that were simulated."""
        return len(self.kept)

    @property
    def is_met(self) -> bool:
        """Whether it holds on as many of the days as promised."""
        return self.share.value >= self.wanted

    @property
    def is_out_of_reach(self) -> bool:
        """Whether even the upper end of the interval is below what is promised."""
        return self.share.high < self.wanted

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "wanted_share_of_days": self.wanted,
            "kept_share_of_days": dict(zip(("value", "low", "high"), self.share, strict=True)),
            "is_kept": self.is_met,
            "missed": [missed._asdict() for missed in self.missed],
            "not_judged_without_viewers": list(self.unseen),
        }

    @property
    def sentence(self) -> str:
        """Whether it is kept, and every objective that fails, in a sentence without its full stop."""
        kept = "kept" if self.is_met else "not kept"
        fails = f": {'; '.join(missed.text for missed in self.missed)}" if self.missed else ""
        unseen = ", ".join(METRICS[metric].meaning for metric in self.unseen)
        not_judged = f". Not judged without viewers: {unseen}" if unseen else ""
        return f"The promise (slo) is {kept}, on {self.text} of {self.wanted:.0%} wanted{fails}{not_judged}"

    @property
    def text(self) -> str:
        """In words."""
        low, high = (f"{100 * end:.3g}" for end in self.share[1:])
        return f"{int(self.kept.sum())} of {self.days} days ({low} … {high} %)"


def attainment(values: pd.DataFrame, slo: Slo) -> Attainment:
    """Return how often the objectives hold together, each simulated day taken with its own world.

    What the platform, or the engine, has nothing of holds, and so does what a day has nothing of, such as a share of
    broadcasts where nobody asked. A wait that does not exist although somebody asked, as nobody could start or the
    system is unstable, does not hold; nor does what is infinite.

    Args:
        values: as `RunResult.values`.
        slo: the promise.
    """
    by_metric = values.pivot_table(index="replication", columns="metric", values="value", dropna=False)
    holds = pd.DataFrame(
        {
            metric: (by_metric[metric] <= most) | _has_nothing(by_metric, metric)
            for metric, most in slo.objectives.items()
            if metric in by_metric
        },
        index=by_metric.index,
    )
    kept = holds.all(axis=1)
    missed = [
        Missed(metric, int((~holds[metric]).sum()), float(by_metric[metric].mean()), slo.objectives[metric])
        for metric in holds
        if not holds[metric].all()
    ]
    share = proportion_interval(int(kept.sum()), len(kept))
    unseen = tuple(metric for metric in slo.objectives if metric not in by_metric and METRICS[metric].of_viewers)
    return Attainment(share, slo.share_of_days, kept, tuple(sorted(missed, key=lambda one: -one.days)), unseen)


def _has_nothing(by_metric: pd.DataFrame, metric: str) -> pd.Series:
    """Return on which days there is nothing that an objective could judge."""
    nobody_asked = by_metric.get("refused_fraction", pd.Series(0.0, by_metric.index)).isna()
    return by_metric[metric].isna() & (nobody_asked if metric == "start_wait_p95_s" else True)
