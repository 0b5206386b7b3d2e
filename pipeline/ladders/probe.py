"""What the codecs of this machine answer when they are really opened, in words that say what to do.

Imports PyAV only when asked: `doctor` must be able to say that it is missing.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pipeline.ladders.ffmpeg_log import captured_lines
from pipeline.ladders.nvenc_errors import GpuFailed, quoted
from pipeline.ladders.nvenc_options import DEFAULT_NVENC_PRESET, NVENC_ENCODERS
from scenarios.errors import EncoderUnavailable, NotReady
from scenarios.ladder import Codec, Rung

if TYPE_CHECKING:
    import av

PROBE_RUNG = Rung(name="probe", width=320, height=192, fps=30.0, bitrate_bps=1e6)
"""Above the smallest picture that NVENC takes, 145×49."""
PROBE_FRAMES = 2
DECODED_FRAMES = 8
"""Pictures given to the decoder; it may hold some back until the end."""
MOST_SESSIONS = 16
"""NVENC sessions that are opened at most to find the driver's cap; a node rarely holds more broadcasts."""
PACKAGES = {"av": "PyAV", "aiohttp": "aiohttp"}


@dataclass(frozen=True)
class EncoderProbe:
    """What came of opening a codec.

    Attributes:
        encoder: FFmpeg's name of it.
        reason: why it cannot be used, and what to do; None if it worked.
        detail: its version, if it told one.
    """

    encoder: str
    reason: str | None = None
    detail: str = ""

    @property
    def available(self) -> bool:
        """Whether it worked."""
        return self.reason is None


@dataclass(frozen=True)
class SessionsProbe:
    """How many NVENC sessions could be open at once, in this process and beside those of others.

    Attributes:
        sessions: so many were.
        reason: why there was no further one; None if no more were tried.
    """

    sessions: int
    reason: str | None = None


def require_packages() -> None:
    """Raise NotReady, with the command that installs them, if the pipeline's packages are missing."""
    for module, name in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise NotReady(f"{name} is not installed; pip install 'headroom[pipeline]'")


def probe_x264() -> EncoderProbe:
    """Open a small x264 session, encode two frames, and say what happened; needs PyAV."""
    import av
    import av.error

    with captured_lines() as lines:
        try:
            context = _x264()
            packets = [packet for picture in _pictures(PROBE_FRAMES) for packet in context.encode(picture)]
        except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
            return EncoderProbe("libx264", reason=f"libx264 could not be opened: {quoted(lines(), error)}")
    found = re.search(rb"x264 - (core \d+)", bytes(packets[0]))
    return EncoderProbe("libx264", detail=found[1].decode() if found else "")


def probe_nvenc(codec: Codec = "h264") -> EncoderProbe:
    """Open a small NVENC session as the ladder would, encode two frames, and say what happened; needs PyAV."""
    from pipeline.ladders.nvenc_codecs import NvencEncoder

    rung = PROBE_RUNG.model_copy(update={"codec": codec})
    try:
        encoder = NvencEncoder(rung, preset=DEFAULT_NVENC_PRESET, pix_fmt="yuv420p")
        for picture in _pictures(PROBE_FRAMES):
            encoder.encode(picture)
    except (EncoderUnavailable, GpuFailed) as error:
        return EncoderProbe(NVENC_ENCODERS[codec], reason=str(error))
    return EncoderProbe(NVENC_ENCODERS[codec])


def probe_nvdec() -> EncoderProbe:
    """Have NVDEC decode and scale a few pictures into the GPU's memory, and say what happened; needs PyAV."""
    import av

    from pipeline.ladders.nvenc_codecs import DECODER, CuvidDecoder

    source = _x264()
    source.flags |= av.codec.context.Flags.global_header
    packets = [packet for picture in _pictures(DECODED_FRAMES) for packet in source.encode(picture)]
    half = PROBE_RUNG.model_copy(update={"width": PROBE_RUNG.width // 2, "height": PROBE_RUNG.height // 2})
    try:
        decoder = CuvidDecoder(half, source.extradata)
        pictures = [picture for packet in (*packets, None) for picture in decoder.decode(packet)]
    except (EncoderUnavailable, GpuFailed) as error:
        return EncoderProbe(DECODER, reason=str(error))
    sizes = {f"{picture.width}x{picture.height}" for picture in pictures}
    if len(pictures) != DECODED_FRAMES or sizes != {f"{half.width}x{half.height}"}:
        return EncoderProbe(DECODER, reason=f"{DECODER} made {len(pictures)} of {DECODED_FRAMES} pictures, of {sizes}")
    return EncoderProbe(DECODER)


def probe_sessions(most: int = MOST_SESSIONS) -> SessionsProbe:
    """Open NVENC sessions until one is refused, or there are `most`; all are closed again. Needs PyAV."""
    from pipeline.ladders.nvenc_codecs import NvencEncoder

    encoders: list[NvencEncoder] = []
    while len(encoders) < most:
        try:
            encoders.append(NvencEncoder(PROBE_RUNG, preset=DEFAULT_NVENC_PRESET, pix_fmt="yuv420p"))
        except (EncoderUnavailable, GpuFailed) as error:
            return SessionsProbe(len(encoders), str(error))
    return SessionsProbe(most)


def _x264() -> av.VideoCodecContext:
    import av

    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = PROBE_RUNG.width, PROBE_RUNG.height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    return context


def _pictures(count: int) -> Iterator[av.VideoFrame]:
    import av

    for pts in range(count):
        picture = av.VideoFrame(PROBE_RUNG.width, PROBE_RUNG.height, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        picture.pts, picture.time_base = pts, Fraction(1, 30)
        yield picture
