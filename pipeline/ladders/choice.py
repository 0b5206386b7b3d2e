"""Which backend an `--encoder` means on this machine; never another one than was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.backend import LadderBackend
from pipeline.ladders.probe import probe_nvdec, probe_nvenc, probe_x264
from scenarios.errors import EncoderUnavailable

ON_GPU = "nvenc (decoded, scaled and encoded on the GPU)"
HYBRID = "nvenc (hybrid: decoded and scaled on the CPU)"


class Choice(NamedTuple):
    """The backend, and one sentence that says why it is this one."""

    backend: LadderBackend
    why: str


def in_this_process(name: str, **options: str) -> LadderBackend:
    """Return the backend of that name itself."""
    return LADDER_BACKENDS[name](**options)


def choose_backend(asked: str, *, make: Callable[..., LadderBackend] = in_this_process) -> Choice:
    """Return the backend for `auto`, `x264`, `nvenc`, `nvenc-hybrid` or `ffmpeg`.

    Args:
        asked: as `--encoder` takes it.
        make: makes the backend from its name and options; by default one that encodes in this process.

    Raises:
        EncoderUnavailable: it cannot run on this machine, or this version has no such backend; the text says
            which of the two, and why.
    """
    if asked == "auto":
        reason = _no_nvenc()
        if reason is None:
            return Choice(make("nvenc"), f"encoder {ON_GPU}, chosen by auto: NVENC and NVDEC work here")
        return Choice(_x264(make), f"encoder x264, chosen by auto: {reason}")
    if asked == "x264":
        return Choice(_x264(make), "encoder x264, as asked")
    if asked == "nvenc":
        return _nvenc(make, asked, ON_GPU, _no_nvenc())
    if asked == "nvenc-hybrid":
        return _nvenc(make, asked, HYBRID, probe_nvenc().reason)
    if asked == "ffmpeg":
        return _ffmpeg(make)
    raise EncoderUnavailable(f"--encoder {asked}: this version has no such backend, it has {_backends()}")


def _x264(make: Callable[..., LadderBackend]) -> LadderBackend:
    probe = probe_x264()
    if probe.reason is not None:
        raise EncoderUnavailable(probe.reason)
    return make("x264")


def _nvenc(make: Callable[..., LadderBackend], asked: str, label: str, reason: str | None) -> Choice:
    if reason is not None:
        raise EncoderUnavailable(f"--encoder {asked}: {reason}")
    return Choice(make(asked), f"encoder {label}, as asked")


def _ffmpeg(make: Callable[..., LadderBackend]) -> Choice:
    probe = probe_nvenc()
    if probe.reason is None:
        why = "encoder ffmpeg, as asked: scale_cuda and h264_nvenc on the GPU"
        return Choice(make("ffmpeg", encoder="h264_nvenc"), why)
    why = f"encoder ffmpeg, as asked: libx264 on the CPU, since {probe.reason}"
    return Choice(make("ffmpeg", encoder="libx264"), why)


def _no_nvenc() -> str | None:
    """Return why the ladder cannot stay on the GPU; None if it can."""
    encodes = probe_nvenc()
    if encodes.reason is not None:
        return encodes.reason
    decodes = probe_nvdec()
    if decodes.reason is not None:
        return f"h264_nvenc works, but not h264_cuvid: {decodes.reason}; --encoder nvenc-hybrid decodes on the CPU"
    return None


def _backends() -> str:
    return ", ".join(LADDER_BACKENDS)
