"""Publishers that come back after their broadcast was interrupted: with back-off, all of them at once after a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import simpy

from scenarios.retry import Retry


@dataclass(eq=False, slots=True)
class Away:
    """One absence of a publisher: attempts made to end it."""

    attempts: int = 0


class Publishers:
    """Those who were interrupted and try to get on again.

    Args:
        env: the clock.
        retry: their back-off.
        ask: makes one attempt; whoever is let in or refused again says so by `back` or `refused`.
        gave_up: who has no attempt left.
        position: broadcast, attempt → position in [0, 1) of its jitter, its own whatever the others do.
    """

    def __init__(
        self,
        env: simpy.Environment,
        retry: Retry,
        *,
        ask: Callable[[int], None],
        gave_up: Callable[[int], None],
        position: Callable[[int, int], float],
    ) -> None:
        self._env, self._retry, self._ask, self._gave_up, self._position = env, retry, ask, gave_up, position
        self._away: dict[int, Away] = {}
        """Who is away or asks again."""
        self.attempts = 0
        """All attempts ever made."""

    def __contains__(self, broadcast: int) -> bool:
        return broadcast in self._away

    def __len__(self) -> int:
        return len(self._away)

    def all(self) -> list[int]:
        """Return who is away or asks again, ascending."""
        return sorted(self._away)

    def interrupted(self, broadcast: int) -> None:
        """Let a publisher that was cut off begin to come back."""
        self._away[broadcast] = Away()
        self._next(broadcast)

    def refused(self, broadcast: int) -> None:
        """Let a publisher whose attempt failed try again later."""
        self._next(broadcast)

    def back(self, broadcast: int) -> None:
        """It is on again, or has stopped by itself."""
        del self._away[broadcast]

    def _next(self, broadcast: int) -> None:
        away = self._away[broadcast]
        made = away.attempts
        if self._retry.attempts is not None and made >= self._retry.attempts:
            del self._away[broadcast]
            self._gave_up(broadcast)
            return
        delay_s = delay_before(self._retry, made, self._position(broadcast, made))
        self._env.timeout(delay_s).callbacks.append(lambda _: self._attempt(broadcast, away, made))

    def _attempt(self, broadcast: int, away: Away, made: int) -> None:
        if self._away.get(broadcast) is away and away.attempts == made:  # else it has stopped, or has begun anew
            away.attempts += 1
            self.attempts += 1
            self._ask(broadcast)


def delay_before(retry: Retry, made: int, position: float) -> float:
    """Return the delay before the next attempt, after so many were made, at a position in [0, 1) of its jitter."""
    waits_s = retry.waits_s
    delay_s = waits_s[min(made, len(waits_s) - 1)]
    return delay_s * (1.0 + retry.jitter * (2.0 * position - 1.0))
