"""The `x264` backend: decode, scale and encode on the CPU, with the FFmpeg libraries that PyAV brings."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.reformatter import VideoReformatter

from pipeline.ladders.backend import Emit, Ended, require_h264
from pipeline.ladders.session import ThreadedSession
from pipeline.ladders.threads import TIME_BASE
from pipeline.marks import Marks
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder, Rung

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
DEFAULT_PRESET = "ultrafast"


class X264Encoder:
    """One rung: swscale, then libx264 at a constant-ish rate with keyframes only where they are asked for."""

    def __init__(self, rung: Rung, *, preset: str) -> None:
        self._rung = rung
        self._reformatter = VideoReformatter()
        self._context = av.CodecContext.create("libx264", "w")
        self._context.width, self._context.height = rung.width, rung.height
        self._context.pix_fmt = "yuv420p"
        self._context.time_base = TIME_BASE
        self._context.framerate = Fraction(rung.fps).limit_denominator(1001)
        self._context.bit_rate = round(rung.bitrate_bps)
        self._context.thread_count = 1
        self._context.options = x264_options(rung, preset=preset)
        self._context.open()
        if self._context.options:
            # FFmpeg leaves what it does not know: a measurement would carry settings that never were.
            raise RuntimeError(f"libx264 took no notice of {self._context.options}")

    def scale(self, picture: av.VideoFrame) -> av.VideoFrame:
        """See `RungEncoder.scale`."""
        return self._reformatter.reformat(
            picture, self._rung.width, self._rung.height, "yuv420p", interpolation="BILINEAR", threads=1
        )

    def encode(self, picture: av.VideoFrame) -> av.Packet:
        """See `RungEncoder.encode`; no look-ahead and no B-frames: one packet per picture, at once."""
        (packet,) = self._context.encode(picture)
        return packet


def x264_options(rung: Rung, *, preset: str) -> dict[str, str]:
    """Return libx264's options: no delay, no keyframe of its own, a rate held within one second's bits."""
    bits = str(round(rung.bitrate_bps))
    return {
        "preset": preset,
        "tune": "zerolatency",
        "g": "100000",
        "sc_threshold": "0",
        "forced-idr": "1",
        "bf": "0",
        "maxrate": bits,
        "bufsize": bits,
    }


def checked_preset(preset: str) -> str:
    """Return the preset; EncoderUnavailable if x264 has none of that name."""
    if preset not in PRESETS:
        raise EncoderUnavailable(f"x264 has no preset {preset!r}; it has {', '.join(PRESETS)}")
    return preset


class X264Backend:
    """Encodes with libx264; needs nothing but PyAV."""

    name = "x264"

    def __init__(self, *, preset: str = DEFAULT_PRESET) -> None:
        self.preset = checked_preset(preset)

    def check(self, ladder: Ladder) -> None:
        """See `LadderBackend.check`."""
        require_h264(ladder, "x264")

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> ThreadedSession:
        """See `LadderBackend.open`."""
        self.check(ladder)
        return ThreadedSession(
            source_avcc,
            ladder=ladder,
            open_encoder=lambda rung: X264Encoder(rung, preset=self.preset),
            emit=emit,
            ended=ended,
            stream=stream,
            marks=marks,
        )
