"""Who gets a place on the fleet: the queue before it, and the policies of who may take room."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import simpy

from scenarios.admission import Admission as AdmissionSpec
from scenarios.admission import Open, PartnersFirst, SourceOnly, ViewerThreshold


@dataclass(frozen=True)
class Channels:
    """What a policy may know of broadcasts, each by its identity.

    Attributes:
        partner: whether its channel is a partner.
        expected_viewers: what its channel draws at the peak.
    """

    partner: Sequence[bool]
    expected_viewers: Sequence[float]


class Policy(Protocol):
    """Who has a ladder, who comes first, and who may take the room there is."""

    goes_without: bool
    """Who finds no room goes on with its source alone, instead of being turned away."""

    def wants_ladder(self, broadcast: int) -> bool:
        """Return whether it is to have a ladder at all."""

    def line(self, broadcast: int) -> int:
        """Return in which line it waits: 0 is served before 1."""

    def may_take(self, line: int, free_share: Callable[[], float]) -> bool:
        """Return whether somebody of a line may take room, given what share of it is free."""


class FirstCome:
    """All alike."""

    def __init__(self, *, goes_without: bool = False) -> None:
        self.goes_without = goes_without

    def wants_ladder(self, broadcast: int) -> bool:
        """Everybody."""
        return True

    def line(self, broadcast: int) -> int:
        """One line."""
        return 0

    def may_take(self, line: int, free_share: Callable[[], float]) -> bool:
        """Whatever there is."""
        return True


class Partners(FirstCome):
    """Partners before all others, who leave some room for them."""

    def __init__(self, channels: Channels, reserved_share: float) -> None:
        super().__init__(goes_without=True)
        self._partner, self._reserved_share = channels.partner, reserved_share

    def line(self, broadcast: int) -> int:
        """Partners stand in the first one."""
        return 0 if self._partner[broadcast] else 1

    def may_take(self, line: int, free_share: Callable[[], float]) -> bool:
        """Others only what is beyond the reserve."""
        return line == 0 or free_share() > self._reserved_share


class Threshold(FirstCome):
    """Partners, and channels that expect an audience."""

    def __init__(self, channels: Channels, viewers: float) -> None:
        super().__init__(goes_without=True)
        self._channels, self._viewers = channels, viewers

    def wants_ladder(self, broadcast: int) -> bool:
        """Not for those whom few watch."""
        return bool(self._channels.partner[broadcast]) or self._channels.expected_viewers[broadcast] >= self._viewers


POLICIES: dict[type, Callable[..., Policy]] = {
    Open: lambda spec, channels: FirstCome(),
    SourceOnly: lambda spec, channels: FirstCome(goes_without=True),
    PartnersFirst: lambda spec, channels: Partners(channels, spec.reserved_share),
    ViewerThreshold: lambda spec, channels: Threshold(channels, spec.viewers),
}


def policy(spec: AdmissionSpec, channels: Channels) -> Policy:
    """Return the policy that a scenario names."""
    return POLICIES[type(spec)](spec, channels)


@dataclass(frozen=True)
class Answers:
    """What admission tells of a broadcast."""

    placed: Callable[[int, int], None]
    """Its node."""
    source_only: Callable[[int], None]
    """It goes on without a ladder."""
    turned_away: Callable[[int, str], None]
    """And why."""


@dataclass(frozen=True, eq=False, slots=True)
class Ticket:
    """A place in a line; whoever comes again has another one."""

    broadcast: int
    line: int


class Admission:
    """The queue before the fleet.

    Nobody overtakes who stands in the same line. A broadcast waits until its patience ends.

    Args:
        env: the clock.
        rule: who may do what.
        place: takes room for a broadcast and returns its node, or a negative number where none is.
        free_share: share of the fleet's room that is free.
        patience_s: how long a broadcast waits; 0 not at all.
        limit: most that may wait; None for no limit.
        answers: whom to tell.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        rule: Policy,
        place: Callable[[int], int],
        free_share: Callable[[], float],
        patience_s: Callable[[int], float],
        limit: int | None,
        answers: Answers,
    ) -> None:
        self._env, self._rule, self._place, self._free_share = env, rule, place, free_share
        self._patience_s, self._limit, self._tell = patience_s, limit, answers
        self._lines: tuple[deque[Ticket], deque[Ticket]] = (deque(), deque())
        self._standing = [0, 0]
        """Who waits in each line; the deques also hold those who have left."""
        self._ticket: dict[int, Ticket] = {}
        """Who waits → what was put in a line for it."""

    def __contains__(self, broadcast: int) -> bool:
        return broadcast in self._ticket

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for a place."""
        return len(self._ticket)

    def request(self, broadcast: int) -> None:
        """Ask for a place; the answer comes by `answers`, perhaps later."""
        if not self._rule.wants_ladder(broadcast):
            self._tell.source_only(broadcast)
            return
        line = self._rule.line(broadcast)
        if not self._stands(line) and self._takes(broadcast, line):
            return
        patience_s = self._patience_s(broadcast)
        if patience_s <= 0:
            self._without(broadcast, "refused: no place")
        elif self._limit is not None and len(self._ticket) >= self._limit:
            self._without(broadcast, "refused: queue full")
        else:
            self._wait(broadcast, line, patience_s)

    def withdraw(self, broadcast: int) -> None:
        """Let a broadcast that waits go away without an answer."""
        self._leave(self._ticket[broadcast])

    def serve(self) -> None:
        """Give places to those who wait, while there is room for whoever is next."""
        if not self._ticket:
            return
        for line, queue in enumerate(self._lines):
            while queue:
                ticket = queue[0]
                if self._ticket.get(ticket.broadcast) is ticket:
                    if not self._takes(ticket.broadcast, line):
                        return
                    self._step_out(ticket)
                queue.popleft()

    def _stands(self, line: int) -> bool:
        """Return whether somebody waits who is served before a newcomer of this line."""
        return bool(self._standing[0] or (line and self._standing[1]))

    def _step_out(self, ticket: Ticket) -> None:
        del self._ticket[ticket.broadcast]
        self._standing[ticket.line] -= 1

    def _leave(self, ticket: Ticket) -> None:
        """Let somebody go without a place; whoever was held up behind may need less room."""
        self._step_out(ticket)
        if self._lines[ticket.line][0] is ticket:
            self.serve()

    def _takes(self, broadcast: int, line: int) -> bool:
        if not self._rule.may_take(line, self._free_share):
            return False
        node = self._place(broadcast)
        if node < 0:
            return False
        self._tell.placed(broadcast, node)
        return True

    def _without(self, broadcast: int, reason: str) -> None:
        if self._rule.goes_without:
            self._tell.source_only(broadcast)
        else:
            self._tell.turned_away(broadcast, reason)

    def _wait(self, broadcast: int, line: int, patience_s: float) -> None:
        ticket = Ticket(broadcast, line)
        self._lines[line].append(ticket)
        self._standing[line] += 1
        self._ticket[broadcast] = ticket
        if patience_s < math.inf:
            self._env.timeout(patience_s).callbacks.append(lambda _: self._give_up(ticket))

    def _give_up(self, ticket: Ticket) -> None:
        if self._ticket.get(ticket.broadcast) is ticket:
            self._leave(ticket)
            self._without(ticket.broadcast, "gave up waiting")
