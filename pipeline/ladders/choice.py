"""Which backend an `--encoder` means on this machine; never another one than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.backend import LadderBackend
from pipeline.ladders.probe import probe_nvenc, probe_x264
from scenarios.errors import EncoderUnavailable


class Choice(NamedTuple):
    """The backend, and one sentence that says why it is this one."""

    backend: LadderBackend
    why: str


def in_this_process(name: str, **options: str) -> LadderBackend:
    """Return the backend of that name itself."""
    return LADDER_BACKENDS[name](**options)


def choose_backend(asked: str, *, make: Callable[..., LadderBackend] = in_this_process) -> Choice:
    """Return the backend for `auto`, `x264`, `nvenc` or `ffmpeg`.

    Args:
        asked: as `--encoder` takes it.
        make: makes the backend from its name and options; by default one that encodes in this process.

    Raises:
        EncoderUnavailable: it cannot run on this machine, or this version has no such backend; the text says
            which of the two, and why.
    """
    if asked == "auto":
        return Choice(_x264(make), f"encoder x264, chosen by auto: {_no_nvenc()}")
    if asked == "x264":
        return Choice(_x264(make), "encoder x264, as asked")
    if asked == "ffmpeg":
        return _ffmpeg(make)
    if asked == "nvenc":
        raise EncoderUnavailable(f"--encoder nvenc: {_no_nvenc()}")
    raise EncoderUnavailable(f"--encoder {asked}: this version has no such backend, it has {_backends()}")


def _x264(make: Callable[..., LadderBackend]) -> LadderBackend:
    probe = probe_x264()
    if probe.reason is not None:
        raise EncoderUnavailable(probe.reason)
    return make("x264")


def _ffmpeg(make: Callable[..., LadderBackend]) -> Choice:
    probe = probe_nvenc()
    if probe.reason is None:
        why = "encoder ffmpeg, as asked: scale_cuda and h264_nvenc on the GPU"
        return Choice(make("ffmpeg", encoder="h264_nvenc"), why)
    why = f"encoder ffmpeg, as asked: libx264 on the CPU, since {probe.reason}"
    return Choice(make("ffmpeg", encoder="libx264"), why)


def _no_nvenc() -> str:
    probe = probe_nvenc()
    if probe.reason is not None:
        return probe.reason
    return f"h264_nvenc works on this machine, but this version has no backend for it, it has {_backends()}"


def _backends() -> str:
    return ", ".join(LADDER_BACKENDS)
