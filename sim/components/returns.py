"""Players that lost their broadcast, and how they come back: a reconnect storm as a fluid.

A player tries with back-off until its broadcast is in service and the auth service of players has room. Players that
were cut off in one tick, and whose broadcasts were in service in the same ticks since, are one crowd: they move alike
and are moved once (`sim.back_off`). A try for a broadcast that is not in
service costs the edge a request and no auth: a player fetches the playlist first.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from scenarios.retry import Retry
from sim.back_off import BackOff, Leap, Passed
from sim.sampling import Floats

Rows = npt.NDArray[np.integer[Any]]
Mask = npt.NDArray[np.bool_]

LONGEST_STEP_S, MOST_STEPS = 0.5, 60
"""A step is half of the first wait or this long, whichever is less; but a tick has no more than so many.

Tries happen at the end of a step, so that a long absence ends up to half a step late.
"""
MOST_CELLS_TO_LEAP = 1_200
NOBODY = 1e-9
"""Share of a crowd below which all have come back."""


class Returned(NamedTuple):
    """One tick; viewers are means over it, and wanted = served + away + unserved.

    Attributes:
        served: viewers of each live broadcast who watch, shape (live,).
        retries: tries of players.
        authorised: tries that succeeded.
        turned_away: tries for a broadcast in service that the auth service had no room for; they wait again.
        viewers_away: wanted viewers who were cut off and are not back.
        viewers_unserved: all others of broadcasts that are not in service.
        viewer_seconds_lost: ∫ viewers away dt.
    """

    served: Floats
    retries: float
    authorised: float
    turned_away: float
    viewers_away: float
    viewers_unserved: float
    viewer_seconds_lost: float


class Returns:
    """Who is away, by broadcast.

    Args:
        retry: how a player tries again.
        tick_s: length of a tick.
        mean_session_s: a player that gave up is replaced by another in this time, which asks anew.
        auth_limit_per_s: players the auth service lets in per second, a token bucket; None for no limit.
        auth_burst: players it lets in at once after a quiet time.
        leaps: pass a tick as one matrix product where the auth service has room for everybody; the same result.
    """

    def __init__(
        self,
        retry: Retry,
        *,
        tick_s: float,
        mean_session_s: float,
        auth_limit_per_s: float | None = None,
        auth_burst: float = 0.0,
        leaps: bool = True,
    ) -> None:
        self._tick_s = tick_s
        self._steps = min(math.ceil(tick_s / min(retry.first_s / 2, LONGEST_STEP_S)), MOST_STEPS)
        self._step_s = tick_s / self._steps
        self._back_off = BackOff(retry, step_s=self._step_s, mean_session_s=mean_session_s)
        self._leap: tuple[Leap, Leap] | None = None
        self._leaps = leaps and self._back_off.cells <= MOST_CELLS_TO_LEAP
        self._limit_per_s, self._burst, self._tokens = auth_limit_per_s, auth_burst, auth_burst
        self._shares: Floats = np.empty((0, self._back_off.cells))
        self._row, self._crowd, self._weight = np.empty(0, int), np.empty(0, int), np.empty(0)
        self._lost: dict[int, float] = {}

    @property
    def broadcasts_away(self) -> int:
        """Broadcasts with viewers who are away."""
        return int(np.union1d(self._row, np.array(list(self._lost), int)).size)

    def interrupted(self, rows: Rows, share: float = 1.0) -> None:
        """Cut off a share of those who watch these broadcasts.

        It counts from the start of the tick in which it happens, so that up to a tick too much is lost.
        """
        for row in rows.tolist():
            self._lost[row] = 1.0 - (1.0 - self._lost.get(row, 0.0)) * (1.0 - share)

    def away_share(self, rows: Rows) -> Floats:
        """Return the share of the viewers of each broadcast that is away now, the same shape."""
        known = np.fromiter((self._lost.get(row, 0.0) for row in rows.tolist()), float, rows.size)
        if not self._row.size:
            return known
        names, place = np.unique(self._row, return_inverse=True)
        away = np.bincount(place, weights=self._weight * self._shares.sum(axis=1)[self._crowd])
        at = np.minimum(np.searchsorted(names, rows), names.size - 1)
        earlier: Floats = np.where(names[at] == rows, away[at], 0.0)
        now: Floats = earlier + (1.0 - earlier) * known
        return now

    def step(
        self, live: Rows, in_service: Mask, wanted: Floats, tick_s: float, *, joins_per_s: float = 0.0
    ) -> Returned:
        """Let a tick pass.

        Args:
            live: live broadcasts, ascending.
            in_service: whether each of them was in service during the tick, the same shape.
            wanted: viewers of each who want to watch, the same shape. Besides one copy of it, the work is linear in
                the broadcasts with viewers away.
            tick_s: length of the tick.
            joins_per_s: players that ask the auth service anyway, before those who come back.

        Raises:
            ValueError: another tick than was announced.
        """
        if tick_s != self._tick_s:
            raise ValueError(f"a tick of {tick_s:g} s, announced were {self._tick_s:g} s")
        self._admit_lost()
        at = np.minimum(np.searchsorted(live, self._row), max(live.size - 1, 0))
        self._keep(live[at] == self._row if live.size else np.zeros(self._row.size, bool))
        at = np.searchsorted(live, self._row)
        serving = self._split(in_service[at])
        viewers = np.bincount(self._crowd, self._weight * wanted[at], serving.size).astype(np.float64)
        passed, authorised, turned_away = self._pass(viewers, serving, joins_per_s)
        away = np.zeros(live.size)
        np.add.at(away, at, self._weight * passed.away[self._crowd])
        watching: Floats = wanted * (1.0 - away)
        self._shares = passed.shares
        self._keep(self._shares.sum(axis=1)[self._crowd] > NOBODY)
        viewers_away = float(viewers @ passed.away)
        return Returned(
            served=np.where(in_service, watching, 0.0),
            retries=float(viewers @ passed.tries.sum(axis=1)),
            authorised=authorised,
            turned_away=turned_away,
            viewers_away=viewers_away,
            viewers_unserved=float(watching[~in_service].sum()),
            viewer_seconds_lost=viewers_away * tick_s,
        )

    def _admit_lost(self) -> None:
        """Make one crowd of everybody who was cut off since the last tick."""
        if not self._lost:
            return
        rows, share = np.array(list(self._lost)), np.array(list(self._lost.values()))
        self._lost = {}
        watching = 1.0 - self.away_share(rows)
        self._row = np.concatenate([self._row, rows])
        self._crowd = np.concatenate([self._crowd, np.full(rows.size, len(self._shares))])
        self._weight = np.concatenate([self._weight, share * watching])
        self._shares = np.concatenate([self._shares, self._back_off.start[None, :]])

    def _keep(self, which: Mask) -> None:
        self._row, self._crowd, self._weight = self._row[which], self._crowd[which], self._weight[which]

    def _split(self, in_service: Mask) -> Mask:
        """Part each crowd into those in service and not, drop empty ones; return which are in service."""
        parts, self._crowd = np.unique(self._crowd * 2 + in_service, return_inverse=True)
        self._shares = self._shares[parts // 2]
        serving: Mask = parts % 2 == 1
        return serving

    def _pass(self, viewers: Floats, serving: Mask, joins_per_s: float) -> tuple[Passed, float, float]:
        """Return what the crowds did, and how many tries succeeded and were turned away."""
        room_per_s = math.inf if self._limit_per_s is None else max(0.0, self._limit_per_s - joins_per_s)
        room = room_per_s * self._step_s
        if self._leaps:
            passed = self._leaped(serving)
            asking = (viewers * serving) @ passed.tries
            tokens = self._tokens
            for wish in asking.tolist():
                tokens = min(self._burst, tokens + room - wish)
                if tokens < 0:
                    break
            else:
                self._tokens = tokens
                return passed, float(asking.sum()), 0.0
        return self._stepped(viewers, serving, room)

    def _leaped(self, serving: Mask) -> Passed:
        if self._leap is None:
            self._leap = Leap(self._back_off, self._steps, 0.0), Leap(self._back_off, self._steps, 1.0)
        parts = [self._leap[which].passed(self._shares[serving == bool(which)]) for which in (0, 1)]
        order = np.argsort(np.concatenate([np.flatnonzero(~serving), np.flatnonzero(serving)]))
        shares, tries, away = (np.concatenate(both)[order] for both in zip(*parts, strict=True))
        return Passed(shares, tries, away)

    def _stepped(self, viewers: Floats, serving: Mask, room: float) -> tuple[Passed, float, float]:
        shares, asked = self._shares.copy(), viewers * serving
        tries, away = np.empty((len(shares), self._steps)), np.zeros(len(shares))
        authorised = turned_away = 0.0
        for number in range(self._steps):
            asking = float(asked @ self._back_off.trying(shares))
            granted = min(asking, self._tokens + room)
            self._tokens = min(self._burst, self._tokens + room - granted)
            away += shares.sum(axis=1)
            tries[:, number] = self._back_off.step(shares, serving * (granted / asking if asking > 0 else 1.0))
            authorised, turned_away = authorised + granted, turned_away + asking - granted
        return Passed(shares, tries, away / self._steps), authorised, turned_away
