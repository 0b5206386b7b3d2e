"""The `ffmpeg` backend: one ffmpeg process per broadcast decodes once and encodes every rung.

With `h264_nvenc` pictures stay on the GPU from decoder to encoder; that form has never run on a GPU with NVENC. With
`libx264` it is the same plumbing on the CPU, tested everywhere. CPU time by stage cannot be measured from outside the
process, so this backend writes no `DecodedMark` and no `EncodedMark`, and cannot be measured by `headroom measure`.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import av

from pipeline.ladders.backend import Emit, Ended, LadderCounters, RungPacket, SourcePacket, require_h264
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.copied import source_packets
from pipeline.ladders.ffmpeg_command import ENCODERS, STAMPS_PER_S, ffmpeg_command, nominal_fps, stamp
from pipeline.ladders.ffmpeg_process import STALL_S, FfmpegProcess
from pipeline.ladders.nal_units import annex_b, nal_units, parameter_sets
from pipeline.ladders.pacing import KeyframeSchedule, grid_s
from pipeline.ladders.x264 import DEFAULT_PRESET, checked_preset
from pipeline.marks import DroppedMark, Marks, NoMarks
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder

NOT_INSTALLED = "ffmpeg is not installed; apt install ffmpeg"
REORDERED_FRAMES = 32
"""Frames after which one that has not left the decoder never will: H.264 reorders 16 at most."""


@dataclass(slots=True)
class _Frame:
    """What is remembered of a source frame while ffmpeg has it."""

    stamp: int
    index: int
    pts: int
    arrival_s: float
    epoch: int
    part: int
    starts_segment: bool = False


class Ledger:
    """Joins what comes out of one process to what went in, by time stamps; bounded by what the process holds.

    Frames are known from `feed`, in arrival order; then from `show`, in the decoder's order; and are asked for by
    every rung in that order, until all rungs are past them.
    """

    def __init__(self, rungs: list[str], segment_s: float) -> None:
        self._fed: deque[_Frame] = deque()
        self._shown: dict[int, _Frame] = {}
        self._schedule = KeyframeSchedule(segment_s)
        self._reached = dict.fromkeys(rungs, -1)
        self._changed = threading.Condition()
        self._ended = False

    def feed(self, packet: SourcePacket) -> None:
        """Note a packet that is about to be sent."""
        frame = _Frame(
            stamp=stamp(packet.pts, packet.part),
            index=packet.index,
            pts=packet.pts,
            arrival_s=packet.arrival_s,
            epoch=packet.epoch,
            part=packet.part,
        )
        with self._changed:
            self._fed.append(frame)

    def show(self, shown: int, *, after_pts: int) -> tuple[_Frame, list[_Frame]]:
        """Note a frame that left the decoder; return it, and those before it of which none was made.

        One that is not after `after_pts` goes to no rung.
        """
        with self._changed:
            frame = next((frame for frame in self._fed if frame.stamp == shown), None)
            if frame is None:
                self._ended = True
                self._changed.notify_all()
                raise RuntimeError(f"ffmpeg decoded a frame at {shown}/{STAMPS_PER_S} s that it was not given")
            self._fed.remove(frame)
            lost = [other for other in self._fed if other.index < frame.index - REORDERED_FRAMES]
            for other in lost:
                self._fed.remove(other)
            if frame.pts > after_pts:
                frame.starts_segment = self._schedule.starts_segment(frame.pts, frame.part)
                self._shown[shown] = frame
                self._changed.notify_all()
        return frame, lost

    def take(self, rung: str, encoded: int) -> _Frame:
        """Return the frame that a rung's packet was made from, once its decoding is noted."""
        with self._changed:
            self._changed.wait_for(lambda: encoded in self._shown or self._ended, timeout=STALL_S)
            if encoded not in self._shown:
                raise RuntimeError(
                    f"rung {rung!r}: a packet at {encoded}/{STAMPS_PER_S} s of no frame that was decoded"
                )
            frame = self._shown[encoded]
            self._reached[rung] = frame.pts
            passed = min(self._reached.values())
            for key in [key for key, other in self._shown.items() if other.pts < passed]:
                del self._shown[key]
        return frame

    def undecoded(self) -> list[_Frame]:
        """Return what was fed and not decoded; after the end of the process, what never was."""
        with self._changed:
            return list(self._fed)


class FfmpegSession:
    """A `LadderSession` around one process at a time; another decoder configuration starts another process.

    Attributes:
        cpu_s: CPU seconds of the processes that have ended.
    """

    def __init__(
        self,
        ladder: Ladder,
        *,
        command: partial[list[str]],
        emit: Emit,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        self.counters = LadderCounters(encoded={rung.name: 0 for rung in ladder.rungs})
        self.cpu_s = 0.0
        self._ladder, self._command, self._stream = ladder, command, stream
        self._emit, self._ended = emit, ended
        self._marks: Marks = marks if marks is not None else NoMarks()
        self._backlog = backlog if backlog is not None else Backlog()
        self._last_pts = -1
        self._thread = threading.Thread(target=self._work, name=f"{stream}/ffmpeg", daemon=True)
        self._thread.start()

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
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        failure: BaseException | None = None
        try:
            self._encode()
        except Exception as error:  # reported through `ended`: a session has no caller to raise to
            failure = error
            self._backlog.close(discard=True)
        if self._ended is not None:
            self._ended(failure)

    def _encode(self) -> None:
        transcode: _Transcode | None = None
        try:
            for packet in source_packets(
                self._backlog,
                self._ladder,
                emit=self._emit,
                counters=self.counters,
                refuse=lambda packet: self._undecodable(packet.index),
            ):
                if transcode is None or packet.avcc != transcode.avcc:
                    if transcode is not None:
                        self._finish(transcode)
                    transcode = self._start(packet.avcc)
                self._send(transcode, packet)
            if transcode is not None:
                self._finish(transcode)
        finally:
            if transcode is not None:
                transcode.process.kill()

    def _start(self, avcc: bytes) -> _Transcode:
        names = [rung.name for rung in self._ladder.encoded]
        ledger = Ledger(names, grid_s(self._ladder))
        process = FfmpegProcess(
            lambda decoded_fd, rung_fds: self._command(
                decoded_fd=decoded_fd, rung_fds=rung_fds, after_pts=self._last_pts
            ),
            rungs=names,
            fps=nominal_fps(self._ladder),
            decoded=partial(self._decoded, ledger),
            encoded=partial(self._encoded, ledger),
            name=self._stream,
        )
        return _Transcode(avcc, annex_b(parameter_sets(avcc)), ledger, process)

    def _send(self, transcode: _Transcode, packet: SourcePacket) -> None:
        try:
            data = annex_b(nal_units(packet.data))
        except ValueError:
            self._undecodable(packet.index)
            return
        transcode.ledger.feed(packet)
        transcode.process.send(packet, (transcode.parameter_sets if packet.is_keyframe else b"") + data)

    def _finish(self, transcode: _Transcode) -> None:
        transcode.process.finish()
        self.cpu_s += transcode.process.cpu_s or 0.0
        for frame in transcode.ledger.undecoded():
            self._undecodable(frame.index)

    def _decoded(self, ledger: Ledger, shown: int) -> None:
        frame, lost = ledger.show(shown, after_pts=self._last_pts)
        for other in lost:
            self._undecodable(other.index)
        if frame.pts > self._last_pts:
            self._last_pts = frame.pts
            self.counters.decoded += 1
        else:
            self.counters.out_of_order += 1
            self._marks.dropped(DroppedMark(self._stream, frame.index))

    def _undecodable(self, index: int) -> None:
        self.counters.undecodable += 1
        self._marks.dropped(DroppedMark(self._stream, index))

    def _encoded(self, ledger: Ledger, rung: str, packet: av.Packet) -> None:
        frame = ledger.take(rung, round(packet.pts * packet.time_base * STAMPS_PER_S))
        if packet.is_keyframe != frame.starts_segment:
            raise RuntimeError(f"rung {rung!r}: frame {frame.index} is a keyframe exactly when it should not be")
        self._emit(
            RungPacket(
                rung=rung,
                pts=frame.pts,
                dts=frame.pts,
                data=bytes(packet),
                is_keyframe=packet.is_keyframe,
                frame_index=frame.index,
                arrival_s=frame.arrival_s,
                epoch=frame.epoch,
            )
        )
        self.counters.encoded[rung] += 1


class _Transcode(NamedTuple):
    """A process and what belongs to it."""

    avcc: bytes
    parameter_sets: bytes
    ledger: Ledger
    process: FfmpegProcess


class FfmpegBackend:
    """Encodes in an ffmpeg process; needs the ffmpeg command, and for h264_nvenc a GPU that has it."""

    name = "ffmpeg"

    def __init__(self, *, encoder: str = "libx264", preset: str = DEFAULT_PRESET) -> None:
        if encoder not in ENCODERS:
            raise EncoderUnavailable(f"the ffmpeg backend has no encoder {encoder!r}; it has {', '.join(ENCODERS)}")
        program = shutil.which("ffmpeg")
        if program is None:
            raise EncoderUnavailable(NOT_INSTALLED)
        self._program, self._encoder, self._preset = program, encoder, checked_preset(preset)

    def check(self, ladder: Ladder) -> None:
        """See `LadderBackend.check`."""
        require_h264(ladder, "the ffmpeg backend")

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> FfmpegSession:
        """See `LadderBackend.open`; the process starts with the first packet, which brings its configuration."""
        self.check(ladder)
        del source_avcc
        return FfmpegSession(
            ladder,
            command=partial(ffmpeg_command, ladder, program=self._program, encoder=self._encoder, preset=self._preset),
            emit=emit,
            ended=ended,
            stream=stream,
            marks=marks,
        )
