"""Ingest admission: an auth service with a rate limit, then room on the ingest nodes."""

from __future__ import annotations

from collections.abc import Callable

import simpy

Answer = Callable[[int], None]


class Ingest:
    """Admits broadcasters, one by one.

    The auth service is a token bucket: `auth_limit_per_s` tokens a second, at most `auth_burst` kept. A request
    that finds none waits for its own; one that would wait longer than `auth_wait_limit_s` is refused at once, and
    takes no token. An admitted broadcast takes one of `places` until it leaves.

    Attributes:
        connected: broadcasts that hold a place.
        asking: requests that wait for the auth service.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        auth_limit_per_s: float,
        auth_burst: int,
        auth_wait_limit_s: float,
        places: int,
        on_admitted: Answer,
        on_refused: Callable[[int, str], None],
    ) -> None:
        self._env = env
        self._interval_s = 1.0 / auth_limit_per_s
        self._credit_s = (auth_burst - 1) * self._interval_s
        self._wait_limit_s = auth_wait_limit_s
        self._places, self._down = places, 0.0
        self._on_admitted, self._on_refused = on_admitted, on_refused
        self._next_token_s = float("-inf")
        self.connected = 0
        self.asking = 0

    def request(self, broadcast: int) -> None:
        """Let a broadcaster ask to publish; the answer comes by one of the two callbacks."""
        now = self._env.now
        wait_s = max(0.0, self._next_token_s - self._credit_s - now)
        if wait_s > self._wait_limit_s:
            self._on_refused(broadcast, "refused: auth limit")
            return
        self._next_token_s = max(now, self._next_token_s) + self._interval_s
        if wait_s == 0.0:
            self._connect(broadcast)
        else:
            self.asking += 1
            self._env.timeout(wait_s).callbacks.append(lambda _: self._answered(broadcast))

    def leave(self) -> None:
        """Free the place of a broadcast that has ended or was turned away further on."""
        self.connected -= 1

    def already_connected(self, broadcasts: int) -> None:
        """Take the places of those who were live before time started."""
        self.connected += broadcasts

    def lose(self, share: float) -> None:
        """Take a share of the nodes away; negative gives it back. Who is connected there is told by others."""
        self._down += share

    def _answered(self, broadcast: int) -> None:
        self.asking -= 1
        self._connect(broadcast)

    def _connect(self, broadcast: int) -> None:
        if self.connected >= self._places * (1.0 - self._down):
            self._on_refused(broadcast, "refused: ingest full")
            return
        self.connected += 1
        self._on_admitted(broadcast)
