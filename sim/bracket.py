"""The bracket in which a difference changes its sign: found by halving, told with what the days leave open."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Any, NamedTuple

from sim.format import interval_text
from sim.metrics import METRICS
from sim.varied import number_text

STEPS = 8
"""Values looked at, the two ends included."""
CLOSE_ENOUGH = 0.005
"""A gap that is this part of the range is not divided further."""


class Look(NamedTuple):
    """What was seen at one value: the mean difference and its 95 % interval."""

    value: float
    difference: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of 0; 0 where it does not, or nothing differs."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


@dataclass(frozen=True)
class TippingPoint:
    """What a search found.

    Attributes:
        path: what was varied.
        metric: what was compared.
        against: what the second scenario's metric was held against: the first scenario's title, or a number.
        looks: every value looked at, ascending.
    """

    path: str
    metric: str
    against: str | float
    looks: tuple[Look, ...]

    @property
    def bracket(self) -> tuple[Look, Look] | None:
        """The nearest values between which the sign changes and is told on both sides; None if there is no such."""
        first, last = self.looks[0], self.looks[-1]
        if first.sign * last.sign >= 0:
            return None
        right = next(look for look in self.looks if look.sign == last.sign)
        return [look for look in self.looks if look.value < right.value and look.sign == first.sign][-1], right

    @property
    def undecided(self) -> tuple[float, float] | None:
        """The lowest and highest value inside the bracket at which no sign could be told; None if there is none."""
        if self.bracket is None:
            return None
        inside = [look.value for look in self.looks if self.bracket[0].value < look.value < self.bracket[1].value]
        return (inside[0], inside[-1]) if inside else None

    @property
    def crossing(self) -> float | None:
        """Where the mean difference is 0, on the line between the nearest two values; None where it keeps its sign."""
        ends = [look.value for look in self.bracket or (self.looks[0], self.looks[-1])]
        inside = [look for look in self.looks if ends[0] <= look.value <= ends[1]]
        for one, other in pairwise(inside):
            if one.difference * other.difference <= 0 and one.difference != other.difference:
                part = one.difference / (one.difference - other.difference)
                return one.value + part * (other.value - one.value)
        return None

    @property
    def edge(self) -> float | None:
        """Where only one end tells a sign: the farthest value from that end up to which it is told."""
        ends = self.looks[0].sign, self.looks[-1].sign
        if (ends[0] == 0) == (ends[1] == 0):
            return None
        from_told = self.looks if ends[0] else self.looks[::-1]
        return list(takewhile(lambda look: look.sign == from_told[0].sign, from_told))[-1].value

    @property
    def verdict(self) -> str:
        """`flips`, `does not flip` where both ends tell the same sign, or `cannot be told`."""
        if self.bracket is not None:
            return "flips"
        return "does not flip" if self.looks[0].sign == self.looks[-1].sign != 0 else "cannot be told"

    def text(self) -> str:
        """Return the answer in one sentence."""
        first, last = self.looks[0], self.looks[-1]
        ends = f"{self._at(first)}, {self._at(last)}"
        about = "" if self.crossing is None else f", at about {self._value(self.crossing)} in the mean"
        if self.bracket is not None:
            left, right = (self._value(look.value) for look in self.bracket)
            open_part = ""
            if self.undecided is not None:
                one, other = map(self._value, self.undecided)
                between = f"at {one}" if one == other else f"from {one} to {other}"
                open_part = f"; {between} these days do not tell which"
            return f"{self._what()} flips between {left} and {right} of {self.path}{about}: {ends}{open_part}"
        span = f"between {self._value(first.value)} and {self._value(last.value)} of {self.path}"
        if self.verdict == "does not flip":
            return f"{self._what()} does not flip {span}: {ends}"
        if self.edge is not None:
            side = f"up to {self._value(self.edge)}" if first.sign else f"from {self._value(self.edge)} on"
            flips = about.replace(", at", ", and flips at")
            return f"{self._what()} can be told {side} alone {span}{flips}: {ends}; more replications may tell the rest"
        return f"{self._what()} cannot be told at both ends {span}: {ends}; more replications may tell"

    def document(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        return {
            "path": self.path,
            "metric": self.metric,
            "against": self.against,
            "verdict": self.verdict,
            "between": [look.value for look in self.bracket] if self.bracket else None,
            "undecided": list(self.undecided) if self.undecided else None,
            "told_up_to_or_from": self.edge,
            "mean_is_0_at": self.crossing,
            "looks": [
                {name: value if math.isfinite(value) else None for name, value in look._asdict().items()}
                for look in self.looks
            ],
        }

    def _what(self) -> str:
        against = "" if isinstance(self.against, str) else f" against {self._amount(self.against)}"
        return f"'{METRICS[self.metric].meaning}'{against}"

    def _value(self, value: float) -> str:
        return number_text(self.path, value)

    def _amount(self, amount: float) -> str:
        return interval_text(amount, math.nan, math.nan, METRICS[self.metric].unit)[0]

    def _at(self, look: Look) -> str:
        if not isinstance(self.against, str):
            told = "" if look.sign else ", not told apart"
            return f"at {self._value(look.value)} it is {self._amount(self.against + look.difference)}{told}"
        amount = self._amount(abs(look.difference)).replace("%", "points")
        if look.low == look.high == 0.0:
            told = "nothing differs"
        elif look.sign == 0:
            told = "it is not told apart"
        else:
            told = f"the second has {amount} {'more' if look.sign > 0 else 'less'}"
        return f"at {self._value(look.value)} {told}"


def search(look: Callable[[float], Look], low: float, high: float, *, steps: int = STEPS) -> tuple[Look, ...]:
    """Return what was seen at the ends and, unless they tell the same, where the sign changes or is lost, ascending.

    The widest gap next to what is told is halved until `steps` values were looked at or all gaps are narrow. Where
    only one end tells a sign, the value up to which it does is looked for. Whole numbers stay whole.

    Args:
        look: shows one value.
        low: one end.
        high: the other, above it.
        steps: values looked at, at most.
    """
    whole = isinstance(low, int) and isinstance(high, int)
    narrow = 1.0 if whole else CLOSE_ENOUGH * (high - low)
    looks = [look(low), look(high)]
    while len(looks) < steps and (gaps := _gaps(looks)):
        at = max(gaps, key=lambda gap: looks[gap + 1].value - looks[gap].value)
        one, other = looks[at].value, looks[at + 1].value
        if other - one <= narrow:
            break
        looks.insert(at + 1, look((one + other) // 2 if whole else (one + other) / 2))
    return tuple(looks)


def _gaps(looks: Sequence[Look]) -> list[int]:
    """Return the gaps between what is told and what is not, or what is told otherwise; each by its lower end."""
    signs = [look.sign for look in looks]
    if signs[0] == signs[-1]:
        return []
    if not signs[0]:
        return [max(at for at, sign in enumerate(signs) if sign != signs[-1])]
    if not signs[-1]:
        return [min(at for at, sign in enumerate(signs) if sign != signs[0]) - 1]
    right = signs.index(signs[-1])
    left = max(at for at in range(right) if signs[at] == signs[0])
    return sorted({left, right - 1})
