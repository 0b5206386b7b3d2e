"""Who watches when: seats that are always taken, and laws of how long one viewer keeps his."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

LOGNORMAL_CV = 1.5
"""Coefficient of variation of the lognormal law: most leave soon, some stay for hours."""


def _lognormal_s(rng: np.random.Generator, mean_s: float) -> float:
    variance = math.log(1 + LOGNORMAL_CV**2)
    return float(rng.lognormal(math.log(mean_s) - variance / 2, math.sqrt(variance)))


SESSION_LAWS: dict[str, Callable[[np.random.Generator, float], float]] = {
    "stay": lambda rng, mean_s: math.inf,
    "exponential": lambda rng, mean_s: float(rng.exponential(mean_s)),
    "lognormal": _lognormal_s,
}
"""Name of a law, and what draws one session's seconds from its mean."""


@dataclass(frozen=True)
class SessionPlan:
    """One session to come: when the viewer joins and leaves, on CLOCK_MONOTONIC."""

    join_s: float
    leave_s: float


def sessions(
    rng: np.random.Generator, *, law: str, mean_s: float, first_s: float, ramp_s: float, end_s: float
) -> Iterator[SessionPlan]:
    """Yield the sessions of one seat until `end_s`: as a viewer leaves, the next one joins.

    The first joins evenly over the ramp: over all seats that is a Poisson process with its count given. Under the
    exponential law so are the arrivals that follow, at seats / mean a second.

    Args:
        rng: of this seat.
        law: of `SESSION_LAWS`.
        mean_s: mean length; the law `stay` needs none.
        first_s: when the first of all viewers may join.
        ramp_s: how long the first joins take.
        end_s: when everybody leaves.
    """
    join_s = first_s + ramp_s * float(rng.random())
    while join_s < end_s:
        leave_s = min(join_s + SESSION_LAWS[law](rng, mean_s), end_s)
        yield SessionPlan(join_s, leave_s)
        join_s = leave_s
