"""From RTMP media messages to frames that carry their decoder configuration and both timestamps."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.marks import STILL_CLOCK, StageClock
from pipeline.rtmp import flv


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One H.264 access unit.

    Attributes:
        pts_ms: presentation time on the publisher's clock, unwrapped beyond 32 bits.
        dts_ms: decoding time on the same clock; as the publisher sent it, so it may jump or step back.
        is_keyframe: whether decoding can start here.
        payload: NAL units, each after its length (AVCC).
        avcc: decoder configuration in force; the same object until the publisher sends another one.
    """

    pts_ms: int
    dts_ms: int
    is_keyframe: bool
    payload: bytes = field(repr=False)
    avcc: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One AAC access unit; audio is never reordered, so it has one time; `asc` as `VideoFrame.avcc`."""

    pts_ms: int
    payload: bytes = field(repr=False)
    asc: bytes = field(repr=False)


class FrameAssembler:
    """Holds the sequence headers of one broadcast; drops and counts media that comes before its header."""

    def __init__(self) -> None:
        self.dropped = 0
        self._avcc: bytes | None = None
        self._asc: bytes | None = None
        self._demux_clock = self._audio_clock = STILL_CLOCK

    def time_with(self, *, demux: StageClock, audio: StageClock) -> None:
        """Let these clocks run from now on: one while a video message is parsed, one while an audio message is."""
        self._demux_clock, self._audio_clock = demux, audio

    def video(self, timestamp_ms: int, body: bytes) -> VideoFrame | None:
        """Return the frame of a video message, or None when it holds none; RtmpError as `flv.parse_video`."""
        self._demux_clock.start()
        frame = self._video(timestamp_ms, body)
        self._demux_clock.stop()
        return frame

    def audio(self, timestamp_ms: int, body: bytes) -> AudioFrame | None:
        """Return the frame of an audio message, or None when it holds none; else as `video`."""
        self._audio_clock.start()
        frame = self._audio(timestamp_ms, body)
        self._audio_clock.stop()
        return frame

    def _video(self, timestamp_ms: int, body: bytes) -> VideoFrame | None:
        match flv.parse_video(body):
            case flv.AvcSequenceHeader(avcc):
                self._avcc = avcc if avcc != self._avcc else self._avcc
            case flv.CodedVideo(is_keyframe, composition_ms, payload):
                if self._avcc is not None:
                    pts_ms = timestamp_ms + composition_ms
                    return VideoFrame(pts_ms, timestamp_ms, is_keyframe, payload, self._avcc)
                self.dropped += 1
        return None

    def _audio(self, timestamp_ms: int, body: bytes) -> AudioFrame | None:
        match flv.parse_audio(body):
            case flv.AacSequenceHeader(asc):
                self._asc = asc if asc != self._asc else self._asc
            case flv.CodedAudio(payload):
                if self._asc is not None:
                    return AudioFrame(timestamp_ms, payload, self._asc)
                self.dropped += 1
        return None
