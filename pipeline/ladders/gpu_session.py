"""One broadcast whose rungs each decode for themselves, at their own size, so that pictures never leave the GPU.

    feed ─► Backlog ─► hand out ─► a queue of packets per rung ─► its decoder, which scales ─► its encoder ─► emit
                                                                        └─► SharedVerdicts: once per source frame

What waits is packets, never pictures: a decoder's finite pool of GPU surfaces cannot be starved by a queue. Nothing
here knows a GPU; decoder and encoder are given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from pipeline.ladders.backend import Emit, Ended, SourcePacket
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.decode import DecodedFrame, PacketDecoder, SourceDecoder
from pipeline.ladders.pacing import FramePacer, grid_s
from pipeline.ladders.threads import LadderThreads, PictureEncoder, Timed, timed
from pipeline.ladders.verdicts import SharedVerdicts, Verdict
from pipeline.marks import Marks
from scenarios.ladder import Ladder, Rung


class GpuSession(LadderThreads[SourcePacket]):
    """A `LadderSession` with a decoder per rung.

    Its marks: `DecodedMark.cpu_s` is the CPU of handing the packet to the rungs, and its moment is when the first rung
    had the picture. `EncodedMark.scale_cpu_s` is the CPU of the rung's own decoding with scaling, of frames that it
    does not keep as well. Engines of the GPU work beside the CPU and stand in neither.
    """

    def __init__(
        self,
        avcc: bytes,
        *,
        ladder: Ladder,
        open_decoder: Callable[[Rung, bytes], PacketDecoder],
        open_encoder: Callable[[Rung], PictureEncoder],
        emit: Emit,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        """Start the threads.

        Args:
            avcc: the publisher's first decoder configuration record.
            ladder: the rungs and the length of segments.
            open_decoder: makes a decoder for a rung and a configuration record, whose pictures have the rung's size.
            open_encoder: makes the encoder of a rung.
            emit: see `LadderBackend.open`.
            ended: likewise.
            stream: likewise.
            marks: likewise.
            backlog: another one than usual.
        """
        super().__init__(ladder=ladder, emit=emit, ended=ended, stream=stream, marks=marks, backlog=backlog)
        self._avcc, self._open_decoder, self._open_encoder = avcc, open_decoder, open_encoder
        self._verdicts = SharedVerdicts(
            grid_s(ladder),
            rungs=len(ladder.encoded),
            stream=stream,
            counters=self.counters,
            marks=self._marks,
            undecodable=self._undecodable,
        )
        self._start()

    def _supply(self) -> None:
        before_s = time.thread_time()
        for packet in self._source():
            now_s = time.thread_time()
            self._verdicts.expect(packet.index, hand_out_cpu_s=now_s - before_s)
            before_s = now_s
            for waiting in self._queues.values():
                waiting.put(packet)

    def _encode_rung(self, rung: Rung, waiting: Iterator[SourcePacket]) -> None:
        decoder = SourceDecoder(self._avcc, open_decoder=partial(self._open_decoder, rung))
        encoder = self._open_encoder(rung)
        for ready, decode_cpu_s in _RungFrames(rung, decoder, self._verdicts).kept(waiting):
            self._encode_picture(rung, encoder, ready, scale_cpu_s=decode_cpu_s)


class _RungFrames:
    """A rung's own decoder, and which of its frames the rung encodes."""

    def __init__(self, rung: Rung, decoder: SourceDecoder, verdicts: SharedVerdicts) -> None:
        self._rung, self._decoder, self._verdicts = rung, decoder, verdicts
        self._pacer = FramePacer(rung.fps)
        self._segment = 0
        self._cpu_s = 0.0

    def kept(self, packets: Iterator[SourcePacket]) -> Iterator[tuple[Timed, float]]:
        """Yield each picture that is encoded, and the CPU of decoding since the one before.

        Raises:
            RuntimeError: the frame that starts a segment is missing here, so that rungs would part.
        """
        for packet in packets:
            yield from self._kept(self._decoder.decode(packet))
        yield from self._kept(self._decoder.flush())

    def _kept(self, frames: Iterator[DecodedFrame]) -> Iterator[tuple[Timed, float]]:
        for decoded in frames:
            self._cpu_s += decoded.cpu_s
            verdict = self._verdicts.shown(decoded.source)
            if self._keeps(decoded.source, verdict):
                cpu_s, self._cpu_s = self._cpu_s, 0.0
                yield timed(decoded.picture, decoded.source, starts_segment=verdict.starts_segment), cpu_s
        for index in self._decoder.undecodable:
            self._verdicts.lost(index)
        self._decoder.undecodable.clear()

    def _keeps(self, source: SourcePacket, verdict: Verdict) -> bool:
        if not verdict.is_shown:
            return False
        if verdict.segment != self._segment + verdict.starts_segment:
            raise RuntimeError(
                f"rung {self._rung.name!r}: the frame that starts segment {verdict.segment} did not leave its decoder, "
                "though it left that of another rung"
            )
        self._segment = verdict.segment
        return self._pacer.keeps(source.pts, starts_segment=verdict.starts_segment)
