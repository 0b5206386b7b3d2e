"""A crowd that tries again with back-off, as shares of it by what they wait for.

Time runs in small steps. A share of the crowd is in a *cell*: the wait it is in, and how many steps are left of it. A
wait of any length is put on the two steps next to it so that its mean is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenarios.retry import Retry
from sim.sampling import Floats


class Passed(NamedTuple):
    """What some crowds did while steps passed.

    Attributes:
        shares: cells of each crowd at the end, shape (crowds, cells).
        tries: share of each crowd that tried at the end of each step, shape (crowds, steps).
        away: mean share of each crowd that was away, shape (crowds,).
    """

    shares: Floats
    tries: Floats
    away: Floats


class BackOff:
    """The cells of a `Retry` and how shares move between them.

    Args:
        retry: the waits.
        step_s: length of a step.
        mean_session_s: time in which those who gave up are replaced by others, who ask anew.
    """

    def __init__(self, retry: Retry, *, step_s: float, mean_session_s: float) -> None:
        spread = [_steps(wait_s / step_s, retry.jitter) for wait_s in retry.waits_s]
        self._due = np.concatenate([[0], np.cumsum([steps.size for steps in spread])])
        self.cells = int(self._due[-1]) + 1
        """The last one holds those who gave up."""
        into = np.zeros((len(spread) + 1, self.cells))
        for wait, steps in enumerate(spread):
            into[wait, self._due[wait] : self._due[wait + 1]] = steps
        into[-1, -1] = 1.0
        self._due = self._due[:-1]
        self.start: Floats = into[0]
        """Cells of a crowd that was just cut off."""
        self._after_try = into[1:] if retry.attempts else into[[*range(1, len(spread)), len(spread) - 1]]
        self._replaced = -np.expm1(-step_s / mean_session_s) if retry.attempts else 0.0

    def step(self, shares: Floats, granted: Floats) -> Floats:
        """Let one step pass for crowds in place; return the share of each that tried, shape (crowds,).

        Args:
            shares: cells of each crowd, shape (crowds, cells).
            granted: share of the tries of each crowd that succeed and leave, shape (crowds,).
        """
        tries = shares[:, self._due]
        replaced = shares[:, -1] * self._replaced
        shares[:, self._due] = 0.0
        shares[:, -1] -= replaced
        shares[:, :-2] = shares[:, 1:-1]
        shares[:, -2] = 0.0
        shares += (tries * (1.0 - granted)[:, None]) @ self._after_try
        if self._replaced:
            shares += replaced[:, None] * self.start
        tried: Floats = tries.sum(axis=1)
        return tried

    def trying(self, shares: Floats) -> Floats:
        """Return the share of each crowd that tries at the end of the step to come."""
        found: Floats = shares[:, self._due].sum(axis=1)
        return found

    def passed(self, shares: Floats, steps: int, granted: float) -> Passed:
        """Let steps pass in which the same share of all tries succeeds."""
        shares, of_all = shares.copy(), np.full(len(shares), granted)
        tries, away = np.empty((len(shares), steps)), np.zeros(len(shares))
        for number in range(steps):
            away += shares.sum(axis=1)
            tries[:, number] = self.step(shares, of_all)
        return Passed(shares, tries, away / steps)


class Leap:
    """Many steps at once for crowds all of whose tries succeed, or all fail: the same, as matrices."""

    def __init__(self, back_off: BackOff, steps: int, granted: float) -> None:
        self._unit = back_off.passed(np.eye(back_off.cells), steps, granted)

    def passed(self, shares: Floats) -> Passed:
        """Return what `BackOff.passed` returns."""
        unit = self._unit
        return Passed(shares @ unit.shares, shares @ unit.tries, shares @ unit.away)


def _steps(middle: float, jitter: float) -> Floats:
    """Return the share of waits that end after 1, 2, … steps, for waits spread evenly over middle · (1 ± jitter)."""
    low, high = middle * (1 - jitter), middle * (1 + jitter)
    last = int(np.ceil(high)) + 1
    at = np.arange(-1.0, last + 2.0)
    if high > low:
        # E[(y - wait)⁺], whose second difference puts each wait on its two neighbours.
        below = np.clip(at - low, 0.0, high - low) ** 2 / (2 * (high - low)) + np.maximum(at - high, 0.0)
    else:
        below = np.maximum(at - low, 0.0)
    share = np.diff(below, 2)  # of 0, 1, …, last steps
    share[1] += share[0]  # nobody asks again in the same step
    found: Floats = share[1 : max(2, int(np.flatnonzero(share > 0)[-1]) + 1)]
    return found
