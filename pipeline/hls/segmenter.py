"""One rung cut into segments: which muxer is open, which audio goes with the video, what gets published."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.hls.codec_parameters import AacFormat
from pipeline.hls.containers import Muxer
from pipeline.hls.decoder_config import parameter_sets
from pipeline.hls.store import RungStore
from pipeline.ladders.backend import TICKS_PER_S, RungPacket
from pipeline.marks import Marks, MuxedMark, SegmentMark
from pipeline.timeline import NOMINAL_FRAME, WallClock

PENDING_AUDIO_FRAMES = 512
"""Audio frames that may wait for video that is still being encoded: about 10 s."""
AUDIO_LEAD = TICKS_PER_S // 10
"""How far ahead of the video audio is muxed: the muxer passes video on once it has later audio."""
AUDIO_WAIT = TICKS_PER_S // 2
"""Length of video that is held at the start in case audio comes, as a muxer cannot take it in later."""
MAX_SEGMENT_FACTOR = 3
"""A segment may hold this many times the bytes that the rung's bitrate allows, and one MiB."""


class SegmentTooLarge(Exception):  # noqa: N818 - the end of a stream, read as "segment too large: ..."
    """A segment grew beyond its cap: its publisher sends time that hardly moves."""


@dataclass(frozen=True, slots=True)
class AudioUnit:
    """One AAC frame with its ADTS header, at `pts` ticks of the stream's timeline."""

    pts: int
    adts: bytes
    format: AacFormat


class _Start(NamedTuple):
    """The first frame of a segment and its estimated wall time."""

    packet: RungPacket
    unix_s: float


class RungSegmenter:
    """Cuts one rung into segments; used by one thread.

    A muxer lives for one unbroken timeline with one format of video and audio. When any changes, the next
    keyframe opens another one, and its first segment is marked as a discontinuity.

    Attributes:
        dropped_audio: audio frames that had no place beside the video.
    """

    def __init__(self, store: RungStore, *, stream: str, segment_s: float, unix_offset_s: float, marks: Marks) -> None:
        self._store, self._stream, self._marks = store, stream, marks
        self._max_segment_bytes = 2**20 + round(MAX_SEGMENT_FACTOR * store.rung.bitrate_bps / 8 * max(1.0, segment_s))
        self._wall = WallClock(unix_offset_s)
        self._muxer: Muxer | None = None
        self._format: AacFormat | None = None
        self._codecs: tuple[str, ...] = ()
        self._parameter_sets: tuple[bytes, ...] = ()
        self._epoch = 0
        self._starts: deque[_Start] = deque()
        self._held: list[RungPacket] = []
        self._audio: deque[AudioUnit] = deque()
        self._opened_at = self._last_pts = self._last_dts = 0
        self._frame = NOMINAL_FRAME
        self._segment_bytes = 0
        self._discontinuity = False
        self._audio_clock = marks.clock("audio")
        self.dropped_audio = 0

    def video(self, packet: RungPacket) -> None:
        """Mux one frame; the first of all must be a keyframe."""
        if self._muxer is None:
            self._held.append(packet)
            if not self._audio and packet.pts - self._held[0].pts < AUDIO_WAIT:
                return
            self._start()
            return
        self._mux(packet)

    def audio(self, unit: AudioUnit) -> None:
        """Take one audio frame; it is muxed when the video has come as far, and dropped if no video does."""
        self._audio_clock.start()
        self._audio.append(unit)
        if len(self._audio) > PENDING_AUDIO_FRAMES:
            self._drop_audio()
        if self._muxer is not None:
            self._pass_audio(self._muxer)
        self._audio_clock.stop()

    def close(self) -> None:
        """Publish what is left."""
        if self._muxer is None and self._held:
            self._start()
        if self._muxer is not None:
            self._muxer.close()
            self._muxer = None

    def abandon(self) -> None:
        """Forget what is left."""
        self._held.clear()
        if self._muxer is not None:
            self._muxer.abandon()
            self._muxer = None

    def _start(self) -> None:
        held, self._held = self._held, []
        self._open(held[0])
        for packet in held:
            self._mux(packet)

    def _open(self, first: RungPacket) -> None:
        if self._audio:
            self._format = self._audio[0].format
        rung = self._store.rung
        self._muxer = self._store.container.open(rung, first=first.data, audio=self._format, publish=self._publish)
        self._codecs = (self._muxer.video_codec, *([self._format.codec] if self._format else []))
        self._parameter_sets = parameter_sets(rung.codec, first.data)
        self._epoch, self._opened_at = first.epoch, first.pts

    def _mux(self, packet: RungPacket) -> None:
        started_s = time.thread_time()
        if packet.is_keyframe:
            self._begin_segment(packet)
        assert self._muxer is not None
        self._grow(len(packet.data))
        self._muxer.video(packet)
        if 0 < packet.dts - self._last_dts < TICKS_PER_S:  # by dts: with B-frames, pts goes to and fro
            self._frame = packet.dts - self._last_dts
        self._last_dts = packet.dts
        self._last_pts = max(self._last_pts, packet.pts)
        spent_s = time.thread_time() - started_s
        if self._audio:
            self._audio_clock.start()
            self._pass_audio(self._muxer)
            self._audio_clock.stop()
        self._marks.muxed(
            MuxedMark(self._stream, packet.rung, packet.frame_index, spent_s, time.monotonic(), packet.is_keyframe)
        )

    def _begin_segment(self, packet: RungPacket) -> None:
        """Note a segment's first frame; where the timeline or a format breaks, go on with another muxer."""
        other_audio = bool(self._audio) and self._audio[0].format != self._format
        other_video = parameter_sets(self._store.rung.codec, packet.data) != self._parameter_sets
        if (packet.epoch != self._epoch or other_audio or other_video) and self._muxer is not None:
            self._muxer.close()
            self._discontinuity = True
            while self._audio and self._audio[0].pts < packet.pts:
                self._format = self._audio[0].format  # more of it comes, perhaps only after this frame
                self._drop_audio()
            self._open(packet)
            self._wall.restart()
        self._starts.append(_Start(packet, self._wall.unix_s(packet.pts, packet.arrival_s)))
        self._segment_bytes = 0

    def _pass_audio(self, muxer: Muxer) -> None:
        while self._audio and self._audio[0].pts <= self._last_dts + AUDIO_LEAD:
            if self._audio[0].format != self._format:
                return  # waits for the next keyframe
            if self._audio[0].pts < self._opened_at:
                self._drop_audio()
                continue
            unit = self._audio.popleft()
            self._grow(len(unit.adts))
            muxer.audio(unit.pts, unit.adts)

    def _drop_audio(self) -> None:
        self._audio.popleft()
        self.dropped_audio += 1

    def _grow(self, size: int) -> None:
        self._segment_bytes += size
        if self._segment_bytes > self._max_segment_bytes:
            raise SegmentTooLarge(
                f"segment too large: rung {self._store.rung.name!r} passed {self._max_segment_bytes} bytes"
            )

    def _publish(self, data: bytes) -> None:
        """Take a finished segment from the muxer, from within one of its calls."""
        assert self._muxer is not None
        start = self._starts.popleft()
        closing = self._starts[0].packet if self._starts else None
        end_pts = closing.pts if closing is not None else self._last_pts + self._frame
        segment = self._store.append(
            data,
            init=self._muxer.init,
            duration_s=(end_pts - start.packet.pts) / TICKS_PER_S,
            unix_s=start.unix_s,
            codecs=self._codecs,
            discontinuity=self._discontinuity,
        )
        closed_s = time.monotonic()
        self._discontinuity = False
        self._marks.segment_closed(
            SegmentMark(
                self._stream,
                self._store.rung.name,
                segment.sequence,
                start.packet.arrival_s,
                closing.arrival_s if closing is not None else None,
                closed_s,
                segment.duration_s,
                len(data),
            )
        )
