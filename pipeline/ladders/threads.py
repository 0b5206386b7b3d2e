"""The threads of one broadcast: one supplies a bounded queue for each encoded rung, one per rung works it off.

FFmpeg lets go of the interpreter lock while it works, so threads use the cores as well as processes would. Every
queue is bounded: a slow rung holds up the supply, and the backlog before it decides what is dropped.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Generic, NamedTuple, Protocol, TypeVar

import av
from av.video.frame import PictureType

from pipeline.ladders.backend import TICKS_PER_S, Emit, Ended, LadderCounters, RungPacket, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.copied import source_packets
from pipeline.marks import DroppedMark, EncodedMark, Marks, NoMarks
from scenarios.ladder import Ladder, Rung

TIME_BASE = Fraction(1, TICKS_PER_S)
RUNG_QUEUE_ITEMS = 4
"""What may wait for a rung, frames or packets; more would only hide that it is late."""

Item = TypeVar("Item")


class PictureEncoder(Protocol):
    """One rung's encoder; used by one thread."""

    def encode(self, picture: av.VideoFrame) -> av.Packet:
        """Return the packet of a picture of the rung's size; an encoder for live keeps no picture back."""


class Timed(NamedTuple):
    """A picture on its way through a rung, all decisions about it made."""

    picture: av.VideoFrame
    source: SourcePacket
    starts_segment: bool


def timed(picture: av.VideoFrame, source: SourcePacket, *, starts_segment: bool) -> Timed:
    """Return the picture with its source's time, and as a keyframe exactly where a segment starts.

    The decoder leaves the publisher's picture type in place, and encoders would obey it.
    """
    picture.pts, picture.time_base = source.pts, TIME_BASE
    picture.pict_type = PictureType.I if starts_segment else PictureType.NONE
    return Timed(picture, source, starts_segment)


class LadderThreads(Generic[Item]):
    """A `LadderSession` but for what is supplied to the rungs and how they work it off.

    A subclass prepares itself, calls `_start` last, and implements `_supply` and `_encode_rung`.
    """

    def __init__(
        self,
        *,
        ladder: Ladder,
        emit: Emit,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self.counters = LadderCounters(encoded={rung.name: 0 for rung in ladder.rungs})
        self._ladder, self._stream = ladder, stream
        self._emit, self._ended = emit, ended
        self._marks: Marks = marks if marks is not None else NoMarks()
        self._backlog = backlog if backlog is not None else Backlog()
        self._queues: Mapping[str, queue.Queue[Item | None]] = {
            rung.name: queue.Queue(RUNG_QUEUE_ITEMS) for rung in ladder.encoded
        }
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._running = 1 + len(ladder.encoded)
        self._threads = [self._thread("supply", self._supply_rungs)]
        self._threads += [self._thread(rung.name, self._work_off, rung) for rung in ladder.encoded]

    def feed(self, packet: SourcePacket) -> None:
        """See `LadderSession.feed`."""
        self.counters.fed += 1
        if not self._backlog.offer(packet):
            self.counters.dropped += 1
            self._marks.dropped(DroppedMark(self._stream, packet.index))

    def close(self) -> None:
        """See `LadderSession.close`."""
        self._backlog.close()

    def join(self, timeout_s: float) -> bool:
        """See `LadderSession.join`."""
        until_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _thread(self, what: str, work: Callable[..., None], *args: Rung) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(work, *args), name=f"{self._stream}/{what}", daemon=True)

    def _guard(self, work: Callable[..., None], *args: Rung) -> None:
        """Run one thread's work; the last thread out reports the first error."""
        try:
            work(*args)
        except Exception as error:  # reported through `ended`: a session has no caller to raise to
            self._fail(error)
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last and self._ended is not None:
            self._ended(self._error)

    def _undecodable(self, index: int) -> None:
        """Count and mark a packet that no rung gets a picture of; from any thread."""
        with self._lock:
            self.counters.undecodable += 1
        self._marks.dropped(DroppedMark(self._stream, index))

    def _fail(self, error: Exception) -> None:
        """Note an error, and have everything stop: a ladder that lacks a rung is none."""
        with self._lock:
            self._error = self._error or error
        self._backlog.close(discard=True)

    def _supply_rungs(self) -> None:
        try:
            self._supply()
        finally:
            for waiting in self._queues.values():
                waiting.put(None)

    def _source(self) -> Iterable[SourcePacket]:
        """Return what is to be decoded of the backlog; a copied rung is emitted on the way."""
        return source_packets(
            self._backlog,
            self._ladder,
            emit=self._emit,
            counters=self.counters,
            refuse=lambda packet: self._undecodable(packet.index),
        )

    def _supply(self) -> None:
        """Put everything that `_source` gives into the rungs' queues."""
        raise NotImplementedError

    def _work_off(self, rung: Rung) -> None:
        waiting = iter(self._queues[rung.name].get, None)
        try:
            self._encode_rung(rung, waiting)
        except Exception as error:
            self._fail(error)
            for _ in waiting:  # the supply must not hang on this rung's queue
                pass

    def _encode_rung(self, rung: Rung, waiting: Iterator[Item]) -> None:
        """Encode and emit what comes through one rung's queue until it ends."""
        raise NotImplementedError

    def _encode_picture(self, rung: Rung, encoder: PictureEncoder, ready: Timed, *, scale_cpu_s: float) -> None:
        """Encode a picture of the rung's size, mark it and emit it."""
        started_s = time.thread_time()
        packet = encoder.encode(ready.picture)
        encode_cpu_s, source = time.thread_time() - started_s, ready.source
        self._marks.encoded(
            EncodedMark(
                self._stream,
                rung.name,
                source.index,
                ready.starts_segment,
                scale_cpu_s,
                encode_cpu_s,
                time.monotonic(),
            )
        )
        self._emit(_rung_packet(rung.name, packet, ready))
        self.counters.encoded[rung.name] += 1


def _rung_packet(rung: str, packet: av.Packet, ready: Timed) -> RungPacket:
    source = ready.source
    if packet.is_keyframe != ready.starts_segment:
        raise RuntimeError(f"rung {rung!r}: frame {source.index} is a keyframe exactly when it should not be")
    return RungPacket(
        rung=rung,
        pts=packet.pts,
        dts=packet.dts,
        data=bytes(packet),
        is_keyframe=packet.is_keyframe,
        frame_index=source.index,
        arrival_s=source.arrival_s,
        epoch=source.epoch,
    )
