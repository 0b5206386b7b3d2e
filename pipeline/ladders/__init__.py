"""Encoder backends behind one seam; `LADDER_BACKENDS` is the only place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.ladders.backend import (
    LadderBackend,
    LadderCounters,
    LadderSession,
    RungPacket,
    SourcePacket,
)

__all__ = [
    "LADDER_BACKENDS",
    "LadderBackend",
    "LadderCounters",
    "LadderSession",
    "RungPacket",
    "SourcePacket",
]


def _x264(**options: str) -> LadderBackend:
    from pipeline.ladders.x264 import X264Backend

    return X264Backend(**options)


def _ffmpeg(**options: str) -> LadderBackend:
    from pipeline.ladders.ffmpeg import FfmpegBackend

    return FfmpegBackend(**options)


def _nvenc(**options: str) -> LadderBackend:
    from pipeline.ladders.nvenc import NvencBackend

    return NvencBackend(**options)


def _nvenc_hybrid(**options: str) -> LadderBackend:
    from pipeline.ladders.nvenc import HybridBackend

    return HybridBackend(**options)


LADDER_BACKENDS: dict[str, Callable[..., LadderBackend]] = {
    "x264": _x264,
    "nvenc": _nvenc,
    "nvenc-hybrid": _nvenc_hybrid,
    "ffmpeg": _ffmpeg,
}
"""Name as `--encoder` takes it, and what makes the backend; PyAV is imported only when one is made."""
