"""One broadcast on threads: one copies, decodes and fans out, one per encoded rung scales and encodes.

FFmpeg lets go of the interpreter lock while it works, so threads use the cores as well as processes would.
Every queue is bounded: a slow rung holds up the decoder, and the decoder's backlog decides what is dropped.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import NamedTuple, Protocol

import av
from av.video.frame import PictureType

from pipeline.ladders.backend import TICKS_PER_S, Emit, Ended, LadderCounters, RungPacket, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.copied import source_packets
from pipeline.ladders.decode import DecodedFrame, SourceDecoder
from pipeline.ladders.pacing import FramePacer, KeyframeSchedule, grid_s
from pipeline.marks import DecodedMark, DroppedMark, EncodedMark, Marks, NoMarks
from scenarios.ladder import Ladder, Rung

TIME_BASE = Fraction(1, TICKS_PER_S)
RUNG_QUEUE_FRAMES = 4
"""Decoded frames that may wait for a rung; more would only hide that it is late."""


class RungEncoder(Protocol):
    """One rung's scaler and encoder; used by one thread."""

    def scale(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return the picture at the rung's size; may be the same object, and leaves it unchanged."""

    def encode(self, picture: av.VideoFrame) -> av.Packet:
        """Return its packet; an encoder for live keeps no picture back."""


class _Timed(NamedTuple):
    """A picture on its way to the rungs, all decisions about it made."""

    picture: av.VideoFrame
    source: SourcePacket
    starts_segment: bool


class ThreadedSession:
    """A `LadderSession` whose decoder and encoders are called in this process."""

    def __init__(
        self,
        avcc: bytes,
        *,
        ladder: Ladder,
        open_encoder: Callable[[Rung], RungEncoder],
        emit: Emit,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self.counters = LadderCounters(encoded={rung.name: 0 for rung in ladder.rungs})
        self._avcc, self._ladder, self._stream = avcc, ladder, stream
        self._open_encoder, self._emit, self._ended = open_encoder, emit, ended
        self._marks: Marks = marks if marks is not None else NoMarks()
        self._backlog = backlog if backlog is not None else Backlog()
        self._schedule = KeyframeSchedule(grid_s(ladder))
        self._pacers = {rung.name: FramePacer(rung.fps) for rung in ladder.encoded}
        self._queues: Mapping[str, queue.Queue[_Timed | None]] = {
            rung.name: queue.Queue(RUNG_QUEUE_FRAMES) for rung in ladder.encoded
        }
        self._last_pts: int | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._running = 1 + len(ladder.encoded)
        self._threads = [self._thread("decode", self._decode_source)]
        self._threads += [self._thread(rung.name, self._encode_rung, rung) for rung in ladder.encoded]
        for thread in self._threads:
            thread.start()

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

    def _thread(self, what: str, work: Callable[..., None], *args: Rung) -> threading.Thread:
        return threading.Thread(target=self._guard, args=(work, *args), name=f"{self._stream}/{what}", daemon=True)

    def _guard(self, work: Callable[..., None], *args: Rung) -> None:
        """Run one thread's work; the first error stops the others, the last thread out reports it."""
        try:
            work(*args)
        except Exception as error:  # reported through `ended`: a session has no caller to raise to
            with self._lock:
                self._error = self._error or error
            self._backlog.close(discard=True)
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last and self._ended is not None:
            self._ended(self._error)

    def _decode_source(self) -> None:
        try:
            decoder = SourceDecoder(self._avcc)
            for packet in source_packets(
                self._backlog,
                self._ladder,
                emit=self._emit,
                counters=self.counters,
                refuse=lambda packet: self._undecodable(packet.index),
            ):
                for decoded in decoder.decode(packet):
                    self._fan_out(decoded)
                while decoder.undecodable:
                    self._undecodable(decoder.undecodable.pop(0))
            for decoded in decoder.flush():
                self._fan_out(decoded)
        finally:
            for waiting in self._queues.values():
                waiting.put(None)

    def _undecodable(self, index: int) -> None:
        self.counters.undecodable += 1
        self._marks.dropped(DroppedMark(self._stream, index))

    def _fan_out(self, decoded: DecodedFrame) -> None:
        picture, source, pts = decoded.picture, decoded.source, decoded.source.pts
        if self._last_pts is not None and pts <= self._last_pts:
            self.counters.out_of_order += 1
            self._marks.dropped(DroppedMark(self._stream, source.index))
            return
        self._last_pts = pts
        self.counters.decoded += 1
        self._marks.decoded(DecodedMark(self._stream, source.index, decoded.cpu_s, time.monotonic()))
        starts_segment = self._schedule.starts_segment(pts, source.part)
        # Everything is set here, before the fan-out: rungs of the source's size share this very object. The
        # decoder leaves the publisher's picture type in place, and x264 would obey it.
        picture.pts, picture.time_base = pts, TIME_BASE
        picture.pict_type = PictureType.I if starts_segment else PictureType.NONE
        timed = _Timed(picture, source, starts_segment)
        for name, pacer in self._pacers.items():
            if pacer.keeps(pts, starts_segment=starts_segment):
                self._queues[name].put(timed)

    def _encode_rung(self, rung: Rung) -> None:
        waiting = self._queues[rung.name]
        try:
            encoder = self._open_encoder(rung)
            for timed in iter(waiting.get, None):
                self._encode_frame(rung, encoder, timed)
        except Exception:
            while waiting.get() is not None:  # the decoder must not hang on this rung's queue
                pass
            raise

    def _encode_frame(self, rung: Rung, encoder: RungEncoder, timed: _Timed) -> None:
        started_s = time.thread_time()
        scaled = encoder.scale(timed.picture)
        scaled_s = time.thread_time()
        packet = encoder.encode(scaled)
        encoded_s = time.thread_time()
        source = timed.source
        self._marks.encoded(
            EncodedMark(
                self._stream,
                rung.name,
                source.index,
                timed.starts_segment,
                scaled_s - started_s,
                encoded_s - scaled_s,
                time.monotonic(),
            )
        )
        self._emit(_rung_packet(rung.name, packet, timed))
        self.counters.encoded[rung.name] += 1


def _rung_packet(rung: str, packet: av.Packet, timed: _Timed) -> RungPacket:
    if packet.is_keyframe != timed.starts_segment:
        raise RuntimeError(f"rung {rung!r}: frame {timed.source.index} is a keyframe exactly when it should not be")
    return RungPacket(
        rung=rung,
        pts=packet.pts,
        dts=packet.dts,
        data=bytes(packet),
        is_keyframe=packet.is_keyframe,
        frame_index=timed.source.index,
        arrival_s=timed.source.arrival_s,
        epoch=timed.source.epoch,
    )
