"""A broadcast that outlives its workers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from pipeline.ladders.backend import TICKS_PER_S, Emit, Ended, LadderCounters, RungPacket, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.marks import DroppedMark, Marks, NoMarks, RestartMark
from pipeline.workers.link import Link, total
from pipeline.workers.lockstep import Lockstep
from pipeline.workers.pool import Pool
from pipeline.workers.protocol import OpenSession, ProtocolError, error_of
from pipeline.workers.restarts import Deaths, RestartPolicy
from scenarios.ladder import Ladder

log = logging.getLogger(__name__)

RESTART_EPOCHS = 2**20 + 1
"""Epochs between those of one worker and of the next: more than a publisher, and a copied rung, begin in one life."""


class WorkersDied(RuntimeError):  # noqa: N818 - read as "workers died: ..."
    """Too many workers in a row ended before they had made one packet of a broadcast."""


class _Death(NamedTuple):
    """What is remembered of a worker's death until the first packet after it."""

    cause: str
    at_s: float


class WorkerSession:
    """A `LadderSession` in one worker after the other; one thread sends and replaces, one more receives.

    Packets wait in a backlog like that of any session. A worker takes them as they come, so it stays empty unless the
    worker is starting, stuck or dead; that encoders are too slow shows in the session inside the worker.
    """

    def __init__(
        self,
        ladder: Ladder,
        *,
        pool: Pool,
        restarts: RestartPolicy,
        emit: Emit,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> None:
        self._ladder, self._pool, self._stream = ladder, pool, stream
        self._emit, self._ended = emit, ended
        self._marks: Marks = marks if marks is not None else NoMarks()
        self._backlog = Backlog()
        self._closed = threading.Event()
        self._deaths = Deaths(restarts)
        self._death: _Death | None = None
        self._restarts = 0
        self._sent_pts = -1
        self._last_pts: dict[str, int] = {}
        self._encoded = {rung.name: 0 for rung in ladder.rungs}
        self._fed = self._refused = self._skipped = 0
        self._link: Link | None = None
        self._past = LadderCounters()
        self._lock = threading.Lock()
        self._place = pool.enter()
        self._thread = threading.Thread(target=self._work, name=f"{stream}/send", daemon=True)
        self._thread.start()

    @property
    def counters(self) -> LadderCounters:
        """What became of the frames so far, in all the workers there were."""
        with self._lock:
            sent = total([self._past, *([self._link.tally()] if self._link else [])])
        dropped = sent.dropped + self._refused + self._skipped
        return replace(sent, fed=self._fed, dropped=dropped, encoded=dict(self._encoded))

    def feed(self, packet: SourcePacket) -> None:
        """See `LadderSession.feed`."""
        self._fed += 1
        if not self._backlog.offer(packet):
            self._refused += 1
            self._marks.dropped(DroppedMark(self._stream, packet.index))

    def close(self) -> None:
        """See `LadderSession.close`."""
        self._closed.set()
        self._backlog.close()

    def join(self, timeout_s: float) -> bool:
        """See `LadderSession.join`."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        failure: BaseException | None = None
        try:
            self._encode()
        except Exception as error:  # reported through `ended`: a session has no caller to raise to
            failure = error
            self._backlog.close(discard=True)
        self._pool.leave(self._place)
        if self._ended is not None:
            self._ended(failure)

    def _encode(self) -> None:
        """Encode in one worker after the other until everything is encoded, or was given to one that died."""
        waiting = iter(self._backlog)
        start = self._next_start(waiting)
        while start is not None:
            unsent = self._live(chain([start], waiting), avcc=start.avcc)
            if unsent is None:
                return
            self._restarts += 1
            self._closed.wait(self._deaths.wait_s)
            if self._deaths.wants_isolation:
                self._place = self._pool.isolate(self._place)
            self._place.worker()  # starts while the next keyframe is waited for
            start = self._next_start(chain([unsent], waiting))

    def _next_start(self, packets: Iterable[SourcePacket]) -> SourcePacket | None:
        """Return the next packet that a fresh decoder can start at; None if there is none before the end.

        It must be shown after everything that any worker was given, for time does not go back within a rung.
        """
        for packet in packets:
            if packet.is_keyframe and packet.pts > self._sent_pts:
                return packet
            self._skipped += 1
            self._marks.dropped(DroppedMark(self._stream, packet.index))
        return None

    def _live(self, packets: Iterator[SourcePacket], *, avcc: bytes) -> SourcePacket | None:
        """Encode in one worker; return the packet at which it was found dead, None if there was nothing left."""
        worker, began_s = self._place.worker(), time.monotonic()
        opening = OpenSession(
            self._stream, self._ladder.model_dump(mode="json"), not isinstance(self._marks, NoMarks), avcc
        )
        lockstep = Lockstep(self._encoded, self._deliver)
        with worker.link(opening, deliver=lockstep.take, marks=self._marks) as link:
            self._link = link
            unsent = self._send_all(link, packets)
        with self._lock:
            self._past, self._link = total([self._past, link.tally()]), None
        if link.error is not None and not isinstance(link.error, ProtocolError):
            raise link.error
        if link.ended is not None:
            lockstep.flush()
            failure = error_of(link.ended)
            if failure is not None:
                raise failure
            return None
        self._note_death(f"worker {worker.number} {worker.death()}", began_s, link)
        return unsent

    def _send_all(self, link: Link, packets: Iterator[SourcePacket]) -> SourcePacket | None:
        for packet in packets:
            if not link.send(replace(packet, epoch=packet.epoch + self._restarts * RESTART_EPOCHS)):
                return packet
            self._sent_pts = max(self._sent_pts, packet.pts)
        return None

    def _note_death(self, cause: str, began_s: float, link: Link) -> None:
        at_s = time.monotonic()
        self._death = _Death(cause, at_s)
        self._deaths.note(lived_s=at_s - began_s, packets=link.delivered, was_stuck=link.is_stuck)
        if self._deaths.is_hopeless:
            raise WorkersDied(f"{self._deaths.barren} workers in a row gave no frame of {self._stream!r}; {cause}")

    def _deliver(self, packet: RungPacket) -> None:
        """Pass a packet on; the first one after a death says how large the hole is."""
        if self._death is not None and packet.rung in self._last_pts:
            self._tell_restart(self._death, packet)
        self._death = None
        self._last_pts[packet.rung] = max(packet.pts, self._last_pts.get(packet.rung, packet.pts))
        self._emit(packet)
        self._encoded[packet.rung] += 1

    def _tell_restart(self, death: _Death, packet: RungPacket) -> None:
        at_s = time.monotonic()
        gap_s = (packet.pts - self._last_pts[packet.rung]) / TICKS_PER_S
        mark = RestartMark(self._stream, death.cause, at_s, at_s - death.at_s, gap_s, gap_s / self._ladder.segment_s)
        self._marks.restarted(mark)
        log.warning("%s", mark)
