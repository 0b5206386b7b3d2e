"""Why NVENC, NVDEC or CUDA failed, in words that say what to do: one table for probing, opening and encoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pipeline.gpus import free_memory_bytes
from pipeline.ladders.ffmpeg_log import captured_lines
from scenarios.errors import EncoderUnavailable

SESSION_MEMORY_BYTES = 256 * 2**20
"""GPU memory below which a refused session is put down to memory: more than one of 1080p is known to take."""

_NO_DRIVER = "no NVIDIA driver in this machine or container; install it, or start the container with GPU access"
_NO_VIDEO = (
    "no NVIDIA driver here, or the container was given it without its video part; "
    "start it with NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
)
_NO_ENGINE = "this GPU has no NVENC engine (A100, H100 and H200 have none); use a GPU that has one, or x264"
_MEMORY_FULL = (
    "the GPU's memory is full ({line}); end other programs on it, or lower the encoder's option surfaces to 8"
)
_LOST = (
    "the GPU or its driver failed while it was in use ({line}); look for Xid in the kernel's log, "
    "and start the process anew"
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
        "CUDA_ERROR_NO_DEVICE",
        "the NVIDIA driver has no GPU, or lost it ({line}); check CUDA_VISIBLE_DEVICES and nvidia-smi",
    ),
    ("OpenEncodeSessionEx failed: unsupported device", _NO_ENGINE),
    ("OpenEncodeSessionEx failed: no encode device", _NO_ENGINE),
    ("OpenEncodeSessionEx failed: out of memory", "no further NVENC session: {refusal}"),
    ("CreateBitstreamBuffer failed: out of memory", _MEMORY_FULL),
    ("CreateInputBuffer failed: out of memory", _MEMORY_FULL),
    ("CUDA_ERROR_OUT_OF_MEMORY", _MEMORY_FULL),
    ("incompatible client key", "the NVIDIA driver is too old for this encoder; update the driver"),
    (
        "InitializeEncoder failed: invalid param",
        "NVENC refused the picture: sizes must be even and at least 145x49, or the driver is too old",
    ),
    ("Codec not supported", "this GPU's NVENC does not encode that codec; use a newer GPU, or another codec"),
    (" exceeds ", "the picture is larger than this GPU takes ({line}); make it smaller"),
    ("not within range from", "the source's picture has a size that this GPU's NVDEC does not decode ({line})"),
    (
        "Provided device doesn't support required NVENC features",
        "this GPU's NVENC lacks a feature that was asked for ({line})",
    ),
    (
        "Codec h264_cuvid is not supported",
        "this GPU's NVDEC does not decode H.264; --encoder nvenc-hybrid decodes on the CPU",
    ),
    ("Undefined constant", "an encoder option has a value that this FFmpeg does not know ({line})"),
    ("Unable to parse", "an encoder option has a value that this FFmpeg does not know ({line})"),
    ("CUDA_ERROR_", _LOST),
    ("EncodePicture failed", _LOST),
    ("Failed locking bitstream buffer", _LOST),
)
"""A line FFmpeg logs, and what it means; several lines are logged and the last one often hides the cause.

The first row that fits any line counts, so causes stand before what follows from them.
"""


class GpuFailed(RuntimeError):  # noqa: N818 - read as "NVDEC failed: ..."
    """NVENC, NVDEC or CUDA failed in a way that no row of the table explains; what FFmpeg logged is quoted."""


def meaning_of(lines: Sequence[str], *, open_sessions: int = 0) -> str | None:
    """Return what the lines mean by `NVENC_ERRORS`; None if no row knows any.

    Args:
        lines: everything that FFmpeg logged, not its last line alone.
        open_sessions: NVENC sessions that were open when another one was asked for.
    """
    for pattern, meaning in NVENC_ERRORS:
        for line in lines:
            if pattern in line:
                refusal = session_refusal(open_sessions) if "{refusal}" in meaning else ""
                return meaning.format(line=line.strip(), refusal=refusal)
    return None


def session_refusal(open_sessions: int) -> str:
    """Return why NVENC gave no further session: FFmpeg says "out of memory" for the driver's cap on sessions as well.

    NVML decides; without it, sessions that are open already speak for the cap.
    """
    free_bytes = free_memory_bytes()
    if free_bytes is not None:
        free = f"{free_bytes / 2**20:.0f} MiB of the GPU's memory are free"
        if free_bytes < SESSION_MEMORY_BYTES:
            return f"only {free}; end other programs on it"
        return f"the driver's cap on sessions is reached ({free}); end other encoders"
    if open_sessions:
        return f"with {open_sessions} open here it is most likely the driver's cap; end other encoders"
    return (
        "the driver's cap on sessions is reached or the GPU's memory is full; "
        "end other encoders, and see nvidia-smi which of the two it is"
    )


def quoted(lines: Sequence[str], error: Exception) -> str:
    """Return an error with everything that FFmpeg logged."""
    said = "; ".join(line.strip() for line in lines) or "nothing"
    return f"{type(error).__name__} {error}; FFmpeg logged: {said}"


@contextmanager
def gpu_errors_explained(what: str, *, open_sessions: int = 0) -> Iterator[None]:
    """Turn errors of FFmpeg's calls into NVENC, NVDEC and CUDA into ones that say why.

    Args:
        what: the codec at work, for an error that nothing explains.
        open_sessions: as `meaning_of`.

    Raises:
        EncoderUnavailable: a row of the table explains it, or FFmpeg was built without the codec.
        GpuFailed: none does.
        av.error.InvalidDataError: as it came: the packet is damaged, the GPU is not.
    """
    import av.codec.codec
    import av.error

    with captured_lines() as lines:
        try:
            yield
        except av.codec.codec.UnknownCodecError as error:
            raise EncoderUnavailable(f"the FFmpeg that PyAV brings was built without {what}") from error
        except av.error.InvalidDataError:
            raise
        except av.error.FFmpegError as error:
            meaning = meaning_of(lines(), open_sessions=open_sessions)
            if meaning is None:
                raise GpuFailed(f"{what} failed: {quoted(lines(), error)}") from error
            raise EncoderUnavailable(meaning) from error
