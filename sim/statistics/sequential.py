"""When enough replications have been seen: a sequential rule, and what it came to.

The half-width of the mean's interval is looked at after the least number and then every few more, until it is a given
share of the mean (Chow & Robbins 1965). Looking several times and stopping at the first that satisfies makes the last
interval cover less often than it says, the more so the fewer values it starts from; `benchmarks.coverage` measures by
how much. The rule sees the values alone, in the order of their replications: who computes them does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from sim.sampling import Floats
from sim.statistics.intervals import half_width

End = Literal["reached", "most", "no value", "not finite"]


@dataclass(frozen=True)
class Precision:
    """How narrow the 95 % interval of a metric's mean is wanted, and how many replications that may take.

    Attributes:
        metric: its name.
        relative: half-width of the interval ÷ |mean|, in (0, 1).
        least: replications before the first look, at least 2.
        most: replications after which it ends in any case, at least `least`.
        step: replications from one look to the next, at least 1.
        budgeted: whether `most` is what the event budget leaves, not what was asked.
    """

    metric: str = "transcode_usd_per_month"
    relative: float = 0.05
    least: int = 10
    most: int = 60
    step: int = 5
    budgeted: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.relative < 1:
            raise ValueError(f"a precision is a share between 0 and 1 of the mean, such as 0.05, not {self.relative:g}")
        if not (2 <= self.least <= self.most and self.step >= 1):
            raise ValueError(
                f"a rule needs 2 <= least <= most and a step of 1 or more, not {self.least}, {self.most}, {self.step}"
            )

    def looks(self) -> Iterator[int]:
        """Yield how many replications there are at each look, the last of them `most`."""
        yield from range(self.least, self.most, self.step)
        yield self.most

    def within(self, most: int) -> Precision:
        """Return the rule with at most so many replications, though never fewer than the least."""
        return self if most >= self.most else replace(self, most=max(most, self.least), budgeted=True)

    def judge(self, values: Floats, of: Floats | None = None) -> Attained | None:
        """Return what the rule came to after these values; None where it asks for more.

        Replications without a value (NaN) count as replications, but as no value: the target can only be reached by
        `least` values. One that is infinite leaves no finite mean, so the rule ends.

        Args:
            values: of every replication so far: of the metric, or the paired difference of two.
            of: what the half-width is held against the mean of; the values themselves if None.
        """
        known = values[~np.isnan(values)]
        base = values if of is None else of
        mean = abs(float(np.nanmean(base))) if not np.isnan(base).all() else math.nan
        end: End | None = "most" if values.size >= self.most else None
        if not np.isfinite(known).all() or math.isinf(mean):
            return Attained(self, values.size, known.size, math.nan, "not finite")
        if not known.size and values.size >= self.least:
            return Attained(self, values.size, 0, math.nan, "no value")
        half = half_width(known)
        if known.size >= self.least and half <= self.relative * mean:
            end = "reached"
        share = half / mean if mean > 0 else (0.0 if half == 0 else math.nan)
        return Attained(self, values.size, known.size, share, end) if end else None


class Attained(NamedTuple):
    """What a rule came to.

    Attributes:
        rule: what was asked.
        replications: that were seen.
        values: of these, that had a value.
        relative: half-width ÷ |mean| at the end; NaN where there is no such share.
        end: why it ended: the target is reached, the most that may be taken, no replication has a value, or one of
            them is infinite.
    """

    rule: Precision
    replications: int
    values: int
    relative: float
    end: End

    @property
    def reached(self) -> bool:
        """Whether the mean is as precise as was asked."""
        return self.end == "reached"

    @property
    def known(self) -> bool:
        """Whether there is a half-width, as a share of the mean."""
        return math.isfinite(self.relative)

    def document(self) -> dict[str, Any]:
        """Return it as plain data, None for a share that is not known; `attained` reads it."""
        found = {"replications": self.replications, "values": self.values, "end": self.end}
        return asdict(self.rule) | found | {"attained": self.relative if self.known else None}

    def text(self, what: str, share_of: str = "") -> str:
        """Return in words what is known how well, and why it ended there.

        Args:
            what: of what the interval is, such as `the mean of 'transcode nodes'`.
            share_of: of what the half-width is a share, if of something else, such as ` of the first's mean`.
        """
        asked = f"±{100 * self.rule.relative:.3g} %"
        if self.end == "no value":
            return f"{what} has no value in any of them, so a precision of {asked} says nothing"
        if self.end == "not finite":
            return f"{what} is infinite in one of them, so a precision of {asked} cannot be reached"
        known = f"{what} is known to ±{100 * self.relative:.2g} %{share_of}" if self.known else f"{what} is not known"
        some = "" if self.values == self.replications else f", by the {self.values} that have a value"
        if self.reached:
            return f"{known}{some}, as asked ({asked})"
        limit = "the event budget leaves" if self.rule.budgeted else "auto takes"
        return f"{known}{some}, not {asked} as asked: {self.rule.most} are the most that {limit}"


def attained(document: dict[str, Any]) -> Attained:
    """Return what `Attained.document` wrote."""
    rule = Precision(**{field.name: document[field.name] for field in fields(Precision)})
    share = document["attained"]
    return Attained(
        rule, document["replications"], document["values"], math.nan if share is None else share, document["end"]
    )
