"""Every known failure of NVENC, NVDEC and CUDA from the lines FFmpeg logs, in words that say what to do."""

from __future__ import annotations

import logging
import sys
import threading
from types import SimpleNamespace

import av.error
import av.logging
import pytest

from pipeline.ladders import nvenc_errors
from pipeline.ladders.ffmpeg_log import captured_lines
from pipeline.ladders.nvenc_errors import NVENC_ERRORS, GpuFailed, gpu_errors_explained, meaning_of
from scenarios.errors import EncoderUnavailable

NO_DEVICES = "No capable devices found\n"
RECORDED = {
    "no driver": (["Cannot load libcuda.so.1\n"], "no NVIDIA driver in this machine or container"),
    "no video part, decoder": (["Cannot load libnvcuvid.so.1\n", "Failed loading nvcuvid.\n"], "compute,utility,video"),
    "nvcuvid alone": (["Failed loading nvcuvid.\n"], "compute,utility,video"),
    "no CUDA": (["Could not dynamically load CUDA\n"], "no NVIDIA driver here, or the container"),
    "no video part, encoder": (
        [
            "Cannot load libnvidia-encode.so.1\n",
            "The minimum required Nvidia driver for nvenc is 570.0 or newer\n",
        ],
        "without its video part",
    ),
    "old driver": (
        [
            "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1\n",
            "The minimum required Nvidia driver for nvenc is 570.0 or newer\n",
        ],
        "Required: 13.0 Found: 12.1",
    ),
    "no GPU": (["No CUDA capable devices found\n"], "sees no GPU"),
    "no GPU, asked by CUDA": (
        ["dl_fn->cuda_dl->cuInit(0) failed", " -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected", "\n"],
        "has no GPU, or lost it",
    ),
    "no engine": (
        ["OpenEncodeSessionEx failed: unsupported device (2): (no details)\n", NO_DEVICES],
        "no NVENC engine (A100, H100 and H200 have none)",
    ),
    "no engine either": (
        ["OpenEncodeSessionEx failed: no encode device (1): (no details)\n", NO_DEVICES],
        "no NVENC engine (A100, H100 and H200 have none)",
    ),
    "sessions": (
        ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n", NO_DEVICES],
        "cap on sessions is reached or the GPU's memory is full",
    ),
    "buffers": (["CreateBitstreamBuffer failed: out of memory (10)\n"], "lower the encoder's option surfaces to 8"),
    "input buffers": (["CreateInputBuffer failed: out of memory (10): (no details)\n"], "the GPU's memory is full"),
    "memory": (
        [
            "ctx->cvdl->cuvidCreateDecoder(&ctx->cudecoder, &cuinfo) failed",
            " -> CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        ],
        "the GPU's memory is full (ctx->cvdl->cuvidCreateDecoder",
    ),
    "client key": (["OpenEncodeSessionEx failed: incompatible client key (21)\n"], "driver is too old"),
    "size": (["InitializeEncoder failed: invalid param (8): (no details)\n"], "at least 145x49"),
    "codec": (["Codec not supported\n", NO_DEVICES], "does not encode that codec"),
    "too large": (["Width 8192 exceeds 4096\n", NO_DEVICES], "Width 8192 exceeds 4096"),
    "too large to decode": (["Video width 16 not within range from 48 to 4096\n"], "NVDEC does not decode"),
    "feature": (["Provided device doesn't support required NVENC features\n"], "lacks a feature"),
    "no NVDEC for H.264": (["Codec h264_cuvid is not supported.\n"], "--encoder nvenc-hybrid decodes on the CPU"),
    "option": (
        [
            "Undefined constant or missing '(' in 'bogus'\n",
            'Unable to parse "preset" option value "bogus"\n',
            "Error setting option preset to value bogus.\n",
        ],
        "in 'bogus'",
    ),
    "switch": (
        ['Unable to parse "zerolatency" option value "bogus" as boolean\n'],
        '"zerolatency" option value "bogus"',
    ),
    "CUDA lost": (
        ["ctx->cvdl->cuvidDecodePicture() failed", " -> CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", "\n"],
        "the GPU or its driver failed while it was in use (ctx->cvdl->cuvidDecodePicture() failed -> CUDA_ERROR_LAUNCH",
    ),
    "NVENC lost": (["EncodePicture failed!: generic error (20): \n"], "look for Xid in the kernel's log"),
    "NVENC's output lost": (["Failed locking bitstream buffer: invalid device (4)\n"], "start the process anew"),
}


def whole(pieces: list[str]) -> list[str]:
    return "".join(pieces).splitlines()


@pytest.fixture(autouse=True)
def no_nvml(monkeypatch):
    """What a refused session means depends on NVML: without it, unless a test says otherwise."""
    monkeypatch.setitem(sys.modules, "pynvml", None)


@pytest.mark.parametrize(("pieces", "meaning"), RECORDED.values(), ids=RECORDED)
def test_each_known_failure_is_explained_whatever_else_was_logged(pieces, meaning):
    said = meaning_of(whole(pieces))
    assert said is not None
    assert meaning in said
    assert said == meaning_of(["a line about something else", *whole(pieces), "and another"])


def fails(what: str, pieces: list[str], error: av.error.FFmpegError) -> None:
    """Log and fail as FFmpeg does: the lines go through its log."""
    with gpu_errors_explained(what):
        for piece in pieces:
            av.logging.log(av.logging.WARNING, what, piece)
        raise error


@pytest.mark.parametrize(("pieces", "meaning"), RECORDED.values(), ids=RECORDED)
def test_each_known_failure_is_explained_when_ffmpeg_logs_and_fails(pieces, meaning):
    error = av.error.PermissionError(1, "Operation not permitted", 'avcodec_open2("h264_nvenc", {})')
    with pytest.raises(EncoderUnavailable) as caught:
        fails("h264_nvenc", pieces, error)
    assert meaning in str(caught.value)
    assert "Operation not permitted" not in str(caught.value), "the raised error misleads"


def test_every_row_of_the_table_has_its_recording():
    for pattern, _ in NVENC_ERRORS:
        assert any(pattern in line for pieces, _ in RECORDED.values() for line in whole(pieces)), pattern


def test_every_row_is_the_answer_to_its_own_line_alone():
    """No row hides another one that says something else."""
    for pattern, meaning in NVENC_ERRORS:
        start = meaning.partition("{")[0]
        assert meaning_of([pattern]).startswith(start), pattern


def test_an_unknown_failure_is_quoted_whole():
    error = av.error.ExternalError(542398533, "Generic error in an external library")
    with pytest.raises(GpuFailed) as caught:
        fails("hevc_nvenc", ["first line\n", "last line\n"], error)
    assert "hevc_nvenc failed: ExternalError" in str(caught.value)
    assert "FFmpeg logged: first line; last line" in str(caught.value)


def test_a_damaged_packet_is_not_blamed_on_the_gpu():
    error = av.error.InvalidDataError(1094995529, "Invalid data found when processing input")
    with pytest.raises(av.error.InvalidDataError):
        fails("h264_cuvid", ["cuvid decode callback error\n"], error)


def test_a_codec_that_was_not_built_in_is_a_reason_too():
    with (
        pytest.raises(EncoderUnavailable, match="built without h264_nosuch"),
        gpu_errors_explained("h264_nosuch"),
    ):
        av.CodecContext.create("h264_nosuch", "w")


def nvml(free_mib: int, *, gpus: int = 1):
    return SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: gpus,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(free=free_mib * 2**20),
    )


@pytest.mark.parametrize(
    ("module", "open_sessions", "meaning"),
    [
        (nvml(14_000), 0, "the driver's cap on sessions is reached (14000 MiB of the GPU's memory are free)"),
        (nvml(12), 8, "only 12 MiB of the GPU's memory are free; end other programs on it"),
        (None, 8, "with 8 open here it is most likely the driver's cap"),
        (None, 0, "the driver's cap on sessions is reached or the GPU's memory is full"),
        (nvml(12, gpus=2), 0, "the driver's cap on sessions is reached or the GPU's memory is full"),
    ],
    ids=["free memory", "no memory", "no NVML, some open", "no NVML, none open", "which GPU of two?"],
)
def test_a_refused_session_is_judged_by_free_memory_else_by_those_that_are_open(
    monkeypatch, module, open_sessions, meaning
):
    monkeypatch.setitem(sys.modules, "pynvml", module)
    said = meaning_of(whole(RECORDED["sessions"][0]), open_sessions=open_sessions)
    assert said.startswith("no further NVENC session: ")
    assert meaning in said


def test_capturing_leaves_ffmpegs_log_as_it_was_also_when_captures_overlap():
    logger = logging.getLogger("libav")
    before = av.logging.get_level(), av.logging.get_skip_repeated(), logger.level
    entered, leave = threading.Event(), threading.Event()

    def hold():
        with captured_lines():
            entered.set()
            assert leave.wait(10.0)

    other = threading.Thread(target=hold)
    with captured_lines():
        other.start()
        assert entered.wait(10.0)
    assert av.logging.get_level() == av.logging.WARNING, "the other thread still captures"
    leave.set()
    other.join(10.0)
    assert (av.logging.get_level(), av.logging.get_skip_repeated(), logger.level) == before


def test_each_thread_captures_its_own_lines_also_equal_ones():
    found, both = {}, threading.Barrier(2)

    def fail(name):
        with captured_lines() as lines:
            both.wait(10.0)
            av.logging.log(av.logging.ERROR, "h264_nvenc", "the same line\n")
            found[name] = lines()

    threads = [threading.Thread(target=fail, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert found == {"a": ["the same line"], "b": ["the same line"]}


def test_threads_that_capture_nothing_stay_silent_meanwhile(caplog):
    with captured_lines() as lines:
        thread = threading.Thread(target=av.logging.log, args=(av.logging.ERROR, "h264", "damaged\n"))
        thread.start()
        thread.join(10.0)
        assert lines() == []
    assert caplog.records == []


def test_the_table_is_asked_with_every_line_not_the_last():
    lines = whole(RECORDED["no engine"][0])
    assert meaning_of(lines[-1:]) is None
    assert nvenc_errors.quoted(lines, OSError(5, "x")).endswith("; No capable devices found")
