"""A viewer's HTTP requests, each counted exactly once, with latencies from the moment a request was due.

A request that waits because the one before is slow is late for the viewer all the same: measuring from the moment
it was sent would leave out the very waits that a frozen server causes (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

import aiohttp

TIMEOUT_S = 20.0
"""What hls.js allows a playlist or segment by default (`maxLoadTimeMs`)."""
CONNECTIONS = 6
"""Of one viewer to one host, as browsers have them."""

Answer = TypeVar("Answer")


class Kind(StrEnum):
    """What is asked for."""

    MULTIVARIANT = "multivariant playlist"
    MEDIA = "media playlist"
    INIT = "init section"
    SEGMENT = "segment"


class Fault(StrEnum):
    """What is wrong with an answer, or with its absence."""

    NOT_FOUND = "not found"
    STATUS = "other status"
    TRUNCATED = "truncated body"
    TIMEOUT = "no answer in time"
    CONNECTION = "connection lost"
    INVALID = "invalid playlist"
    BACKWARDS = "playlist went backwards"


class FaultyAnswer(Exception):  # noqa: N818 - it is an answer, and a fault of it
    """An answer that cannot be used; raised by what reads it."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass
class Tally:
    """The requests of one kind; `sent` is always `ok` + all of `failed` + `in_flight`.

    Attributes:
        sent: how many.
        ok: answered in full, and usable.
        failed: how many by `Fault`.
        in_flight: given up by the viewer when it left.
        statuses: answers by HTTP status.
        received_bytes: of all bodies that came whole.
        measured: requests that were due in the window.
        latency_s: of those of them that ended, from when they were due.
    """

    sent: int = 0
    ok: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    received_bytes: int = 0
    measured: int = 0
    latency_s: list[float] = field(default_factory=list)


class Requests:
    """What all viewers of a process asked for.

    Attributes:
        tallies: by kind.
        own_delay_s: for each poll in the window, how late the generator itself sent it.
    """

    def __init__(self, measures: Callable[[float], bool]) -> None:
        """`measures` says whether a moment of CLOCK_MONOTONIC lies in the window."""
        self._measures = measures
        self.tallies = {kind: Tally() for kind in Kind}
        self.own_delay_s: list[float] = []

    def note_delay(self, due_s: float) -> None:
        """Note that a poll that was due at `due_s` is sent now."""
        if self._measures(due_s):
            self.own_delay_s.append(max(time.monotonic() - due_s, 0.0))

    async def get(
        self,
        session: aiohttp.ClientSession,
        kind: Kind,
        url: str,
        *,
        due_s: float,
        read: Callable[[bytes], Answer],
    ) -> Answer | None:
        """Return what `read` makes of the body; None if the request failed, which is counted.

        Args:
            session: of the viewer.
            kind: what is asked for.
            url: where it is.
            due_s: when it should have been sent, had all gone well.
            read: makes sense of the body, or raises FaultyAnswer.
        """
        tally = self.tallies[kind]
        tally.sent += 1
        measured = self._measures(due_s)
        tally.measured += measured
        try:
            answer = read(await _body(session, url, tally))
        except asyncio.CancelledError:
            tally.in_flight += 1
            raise
        except FaultyAnswer as faulty:
            answer = None
            tally.failed[faulty.fault] = tally.failed.get(faulty.fault, 0) + 1
        else:
            tally.ok += 1
        if measured:
            tally.latency_s.append(time.monotonic() - due_s)
        return answer


def viewer_session() -> aiohttp.ClientSession:
    """Return the HTTP client of one viewer, with connections of its own as a browser has."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _body(session: aiohttp.ClientSession, url: str, tally: Tally) -> bytes:
    """Return the whole body of a 200; FaultyAnswer for all else."""
    try:
        async with session.get(url) as response:
            status = str(response.status)
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
            body = await response.read()
            if response.status != 200:
                raise FaultyAnswer(Fault.NOT_FOUND if response.status == 404 else Fault.STATUS)
    except aiohttp.ClientPayloadError:
        raise FaultyAnswer(Fault.TRUNCATED) from None
    except TimeoutError:
        raise FaultyAnswer(Fault.TIMEOUT) from None
    except (aiohttp.ClientError, OSError):
        raise FaultyAnswer(Fault.CONNECTION) from None
    tally.received_bytes += len(body)
    return body
