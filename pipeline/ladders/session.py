"""One broadcast on threads: one copies, decodes and fans out, one per encoded rung scales and encodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

import av

from pipeline.ladders.backend import Emit, Ended, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.decode import DecodedFrame, SourceDecoder
from pipeline.ladders.pacing import FramePacer, KeyframeSchedule, grid_s
from pipeline.ladders.threads import LadderThreads, PictureEncoder, Timed, timed
from pipeline.marks import DecodedMark, DroppedMark, Marks
from scenarios.ladder import Ladder, Rung


class RungEncoder(PictureEncoder, Protocol):
    """One rung's scaler and encoder; used by one thread."""

    def scale(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return the picture at the rung's size; may be the same object, and leaves it unchanged."""


class ThreadedSession(LadderThreads[Timed]):
    """A `LadderSession` that decodes once, on the CPU, and hands the pictures to every rung."""

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
        super().__init__(ladder=ladder, emit=emit, ended=ended, stream=stream, marks=marks, backlog=backlog)
        self._avcc, self._open_encoder = avcc, open_encoder
        self._schedule = KeyframeSchedule(grid_s(ladder))
        self._pacers = {rung.name: FramePacer(rung.fps) for rung in ladder.encoded}
        self._last_pts: int | None = None
        self._start()

    def _supply(self) -> None:
        decoder = SourceDecoder(self._avcc)
        for packet in self._source():
            self._decode(decoder, decoder.decode(packet))
        self._decode(decoder, decoder.flush())

    def _decode(self, decoder: SourceDecoder, frames: Iterator[DecodedFrame]) -> None:
        for decoded in frames:
            self._fan_out(decoded)
        for index in decoder.undecodable:
            self._undecodable(index)
        decoder.undecodable.clear()

    def _fan_out(self, decoded: DecodedFrame) -> None:
        source: SourcePacket = decoded.source
        if self._last_pts is not None and source.pts <= self._last_pts:
            self.counters.out_of_order += 1
            self._marks.dropped(DroppedMark(self._stream, source.index))
            return
        self._last_pts = source.pts
        self.counters.decoded += 1
        self._marks.decoded(DecodedMark(self._stream, source.index, decoded.cpu_s, time.monotonic()))
        starts_segment = self._schedule.starts_segment(source.pts, source.part)
        # Everything is set here, before the fan-out: rungs of the source's size share this very object.
        ready = timed(decoded.picture, source, starts_segment=starts_segment)
        for name, pacer in self._pacers.items():
            if pacer.keeps(source.pts, starts_segment=starts_segment):
                self._queues[name].put(ready)

    def _encode_rung(self, rung: Rung, waiting: Iterator[Timed]) -> None:
        encoder = self._open_encoder(rung)
        for ready in waiting:
            started_s = time.thread_time()
            scaled = ready._replace(picture=encoder.scale(ready.picture))
            self._encode_picture(rung, encoder, scaled, scale_cpu_s=time.thread_time() - started_s)
