"""NVENC's options, for the encoder in this process and for the `ffmpeg` backend's command line alike."""

from __future__ import annotations

from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Codec, Rung

NVENC_ENCODERS: dict[Codec, str] = {"h264": "h264_nvenc", "hevc": "hevc_nvenc", "av1": "av1_nvenc"}
"""FFmpeg's encoder for each codec of a rung; which of them work is the GPU's affair."""
NVENC_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")
DEFAULT_NVENC_PRESET = "p4"


def nvenc_options(rung: Rung, *, preset: str = DEFAULT_NVENC_PRESET, declared_fps: float) -> dict[str, str]:
    """Return NVENC's options: constant rate, no delay of any kind, keyframes only where they are forced.

    The bitrate to give along is `maxrate`. NVENC spends bitrate / declared frame rate on each frame and does not look
    at timestamps, so where more is declared than the rung keeps it is given that much more.

    Args:
        rung: what is encoded.
        preset: one of `NVENC_PRESETS`.
        declared_fps: the frame rate that the encoder is told.
    """
    bits = str(round(rung.bitrate_bps * declared_fps / rung.fps))
    return {
        "preset": preset,
        "tune": "ll",
        "rc": "cbr",
        "maxrate": bits,
        "bufsize": str(round(rung.bitrate_bps)),
        "bf": "0",
        "g": "100000",
        "rc-lookahead": "0",
        # Its default holds back all surfaces but one, which would look like the time that encoding takes.
        "delay": "0",
        "zerolatency": "1",
        "no-scenecut": "1",
        # Without it a picture marked as a keyframe is encoded like any other.
        "forced-idr": "1",
    }


def checked_nvenc_preset(preset: str) -> str:
    """Return the preset; EncoderUnavailable if NVENC has none of that name."""
    if preset not in NVENC_PRESETS:
        raise EncoderUnavailable(f"NVENC has no preset {preset!r}; it has {', '.join(NVENC_PRESETS)}")
    return preset
