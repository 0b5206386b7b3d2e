"""What the encoders of this machine answer when they are really opened, in words that say what to do.

Imports PyAV only when asked: `doctor` must be able to say that it is missing.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from scenarios.errors import NotReady

if TYPE_CHECKING:
    import av

PROBE_WIDTH, PROBE_HEIGHT = 320, 192
"""Above the smallest picture that NVENC takes, 145×49."""
PROBE_FRAMES = 2
PACKAGES = {"av": "PyAV", "aiohttp": "aiohttp"}

_NO_DRIVER = "no NVIDIA driver in this machine or container; install it, or start the container with GPU access"
_NO_VIDEO = (
    "no NVIDIA driver here, or the container was given it without its video part; "
    "start it with NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
)
NVENC_ERRORS: tuple[tuple[str, str], ...] = (
    ("Cannot load libcuda.so.1", _NO_DRIVER),
    ("Cannot load libnvcuvid.so.1", _NO_VIDEO),
    ("Failed loading nvcuvid.", _NO_VIDEO),
    ("Could not dynamically load CUDA", _NO_VIDEO),
    (
        "Cannot load libnvidia-encode.so.1",
        "the NVIDIA driver is here without its video part; "
        "start the container with NVIDIA_DRIVER_CAPABILITIES=compute,utility,video",
    ),
    (
        "Driver does not support the required nvenc API version",
        "the NVIDIA driver is too old for the FFmpeg that PyAV brings ({line}); update the driver",
    ),
    (
        "No CUDA capable devices found",
        "the NVIDIA driver sees no GPU; check CUDA_VISIBLE_DEVICES and nvidia-smi",
    ),
    (
        "OpenEncodeSessionEx failed: unsupported device",
        "this GPU has no NVENC engine (A100, H100 and H200 have none); use a GPU that has one, or x264",
    ),
    (
        "OpenEncodeSessionEx failed: out of memory",
        "no further NVENC session: the driver's cap on sessions is reached or the GPU's memory is full; "
        "end other encoders, and see nvidia-smi which of the two it is",
    ),
    (
        "CreateBitstreamBuffer failed: out of memory",
        "the GPU's memory is full; end other programs on it, or lower the encoder's option surfaces to 8",
    ),
    ("incompatible client key", "the NVIDIA driver is too old for this encoder; update the driver"),
    (
        "InitializeEncoder failed: invalid param",
        "NVENC refused the picture: sizes must be even and at least 145x49, or the driver is too old",
    ),
    ("Undefined constant", "an encoder option has a value that this FFmpeg does not know ({line})"),
)
"""A line FFmpeg logs, and what it means; several lines are logged and the last one often hides the cause."""


@dataclass(frozen=True)
class EncoderProbe:
    """What came of opening an encoder.

    Attributes:
        encoder: FFmpeg's name of it.
        reason: why it cannot be used, and what to do; None if it encoded.
        detail: its version, if it told one.
    """

    encoder: str
    reason: str | None = None
    detail: str = ""

    @property
    def available(self) -> bool:
        """Whether it encoded."""
        return self.reason is None


def require_packages() -> None:
    """Raise NotReady, with the command that installs them, if the pipeline's packages are missing."""
    for module, name in PACKAGES.items():
        if importlib.util.find_spec(module) is None:
            raise NotReady(f"{name} is not installed; pip install 'headroom[pipeline]'")


def explain_nvenc(lines: Sequence[str], error: Exception) -> str:
    """Return why NVENC could not be opened, from everything that FFmpeg logged and the error it raised.

    What no row of `NVENC_ERRORS` knows is quoted whole, never guessed at.
    """
    for pattern, meaning in NVENC_ERRORS:
        for line in lines:
            if pattern in line:
                return meaning.format(line=line.strip())
    said = "; ".join(line.strip() for line in lines) or "nothing"
    return f"h264_nvenc could not be opened: {type(error).__name__} {error}; FFmpeg logged: {said}"


def probe_nvenc() -> EncoderProbe:
    """Open a small NVENC session, encode two frames, and say what happened; needs PyAV."""
    options = {"preset": "p4", "tune": "ll", "rc": "cbr", "delay": "0", "zerolatency": "1", "forced-idr": "1"}
    return _probe("h264_nvenc", options, explain_nvenc)


def probe_x264() -> EncoderProbe:
    """Open a small x264 session, encode two frames, and say what happened; needs PyAV."""
    return _probe("libx264", {"preset": "ultrafast", "tune": "zerolatency"}, _explain_x264)


def _explain_x264(lines: Sequence[str], error: Exception) -> str:
    said = "; ".join(line.strip() for line in lines) or "nothing"
    return f"libx264 could not be opened: {type(error).__name__} {error}; FFmpeg logged: {said}"


def _probe(encoder: str, options: dict[str, str], explain: Callable[[Sequence[str], Exception], str]) -> EncoderProbe:
    import av.error
    import av.logging

    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    # Without a level FFmpeg's lines, and with them the reason, are lost; and a second probe would log nothing new.
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture(local=True) as captured:
            try:
                data = _encode_two_frames(encoder, options)
            except (av.error.FFmpegError, av.codec.codec.UnknownCodecError) as error:
                return EncoderProbe(encoder, reason=explain([line for _, _, line in captured], error))
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)
    return EncoderProbe(encoder, detail=_version(data))


def _encode_two_frames(encoder: str, options: dict[str, str]) -> bytes:
    import av

    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = PROBE_WIDTH, PROBE_HEIGHT, "yuv420p"
    context.time_base, context.framerate, context.bit_rate = Fraction(1, 30), Fraction(30), 1_000_000
    context.options = options
    packets: list[av.Packet] = []
    for pts in range(PROBE_FRAMES):
        picture = av.VideoFrame(PROBE_WIDTH, PROBE_HEIGHT, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        picture.pts = pts
        packets += context.encode(picture)
    packets += context.encode(None)
    if len(packets) != PROBE_FRAMES:
        raise RuntimeError(f"{encoder} made {len(packets)} packets of {PROBE_FRAMES} frames")
    return b"".join(map(bytes, packets))


def _version(data: bytes) -> str:
    """Return the version that x264 writes into its first packet; other encoders write none."""
    found = re.search(rb"x264 - (core \d+)", data)
    return found[1].decode() if found else ""
