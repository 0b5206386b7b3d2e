"""The nvenc backends whole, on real video: the CPU's codecs under the GPU's names; the GPU's own where it has them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import time

import av
import pytest
from clips import clip, ladder
from gpu_stand_ins import Gpu, stand_in_gpu
from ladder_run import Run, pictures

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.nvenc import HybridBackend, NvencBackend
from pipeline.ladders.nvenc_codecs import HybridEncoder, NvencEncoder, refuse_unknown_options
from pipeline.ladders.nvenc_errors import GpuFailed
from pipeline.ladders.nvenc_options import NVENC_ENCODERS, NVENC_PRESETS, nvenc_options
from pipeline.ladders.probe import probe_nvdec, probe_nvenc
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder, Rung

BACKENDS = ["nvenc", "nvenc-hybrid"]
RUNG = Rung(name="720p30", width=1280, height=720, fps=30.0, bitrate_bps=3e6)
RUNGS = ladder((320, 192, 60), (240, 136, 60), (160, 96, 30))
NO_MEMORY = ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n", "No capable devices found\n"]
CUDA_LOST = ["cuvidMapVideoFrame() failed", " -> CUDA_ERROR_UNKNOWN: unknown error", "\n"]


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    return stand_in_gpu(monkeypatch)


def with_codec(rungs: Ladder, codec: str) -> Ladder:
    return rungs.model_copy(update={"rungs": tuple(r.model_copy(update={"codec": codec}) for r in rungs.rungs)})


def probe_with_ffprobe(data: bytes, form: str) -> dict[str, str]:
    """Return what ffprobe tells of the first stream, which it was told nothing about."""
    command = ["ffprobe", "-v", "error", "-f", form, "-count_frames", "-show_streams", "-of", "json", "pipe:0"]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return json.loads(done.stdout)["streams"][0]


@pytest.mark.parametrize("codec", NVENC_ENCODERS)
def test_every_option_is_known_to_the_real_encoder_and_every_value_is_taken(codec):
    """Values are looked at before the driver: it must be the driver that is missing, or nothing."""
    reason = probe_nvenc(codec).reason
    for preset in NVENC_PRESETS:
        refused = contextlib.nullcontext() if reason is None else pytest.raises(EncoderUnavailable, match=reason)
        with refused:
            HybridEncoder(RUNG.model_copy(update={"codec": codec}), preset=preset)
    assert reason is None or "an encoder option" not in reason


@pytest.mark.parametrize("codec", NVENC_ENCODERS)
@pytest.mark.parametrize("option", ["preset", "tune", "rc", "rc-lookahead", "delay", "zerolatency", "forced-idr", "bf"])
def test_a_wrong_value_is_found_without_a_gpu(codec, option, monkeypatch):
    wrong = nvenc_options(RUNG, declared_fps=30.0) | {option: "bogus"}
    monkeypatch.setattr("pipeline.ladders.nvenc_codecs.nvenc_options", lambda *args, **kwargs: wrong)
    with pytest.raises(EncoderUnavailable, match=r"an encoder option has a value .*bogus"):
        HybridEncoder(RUNG.model_copy(update={"codec": codec}), preset="p4")


@pytest.mark.parametrize("name", [*NVENC_ENCODERS.values(), "h264_cuvid"])
def test_an_option_that_the_codec_does_not_have_is_an_error(name):
    context = av.CodecContext.create(name, "r" if name.endswith("cuvid") else "w")
    context.options = {"nosuch": "1"}
    with pytest.raises(RuntimeError, match=rf"{name} has no such options: {{'nosuch': '1'}}"):
        refuse_unknown_options(context)


def test_a_rung_is_given_its_bitrate_at_the_rate_that_is_declared():
    assert nvenc_options(RUNG, declared_fps=30.0)["maxrate"] == "3000000"
    assert nvenc_options(RUNG, declared_fps=60.0)["maxrate"] == "6000000"


def test_unknown_presets_are_refused():
    for name in BACKENDS:
        with pytest.raises(EncoderUnavailable, match="NVENC has no preset 'ultrafast'"):
            LADDER_BACKENDS[name](preset="ultrafast")
        assert LADDER_BACKENDS[name](preset="p1").preset == "p1"


@pytest.mark.parametrize("seconds", [4, pytest.param(120, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("name", BACKENDS)
def test_a_broadcast_through_the_backend(gpu, name, seconds):
    packets = clip(seconds=float(seconds), fps=60, b_frames=2).packets()
    run = Run(packets, RUNGS, open=LADDER_BACKENDS[name]().open)
    assert run.errors == [None]
    assert run.counters.fed == run.counters.decoded == len(packets)
    first = min(packet.pts for packet in packets)
    for rung in RUNGS.rungs:
        encoded = run.by_rung[rung.name]
        shown = pictures(encoded)
        assert len(shown) == len(encoded)
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}
        starts = [packet.pts for packet in encoded if packet.is_keyframe]
        assert starts == pytest.approx([first + 180_000 * number for number in range(seconds // 2)], abs=90)


def test_a_change_of_the_publishers_size_opens_decoders_and_keeps_the_encoders(gpu):
    before, after = clip(seconds=2.0).packets(), clip(seconds=2.0, width=480, height=270, gop=30).packets()
    later = before[-1].pts + 3000 - after[0].pts
    moved = [
        dataclasses.replace(packet, index=60 + packet.index, pts=packet.pts + later, dts=packet.dts + later)
        for packet in after
    ]
    backend = NvencBackend()
    backend.check(RUNGS)
    gpu.decoders.clear()
    gpu.encoders.clear()
    run = Run(before + moved, RUNGS, open=backend.open)
    assert run.errors == [None]
    assert (len(gpu.decoders), len(gpu.encoders)) == (6, 3)
    assert [len(pictures(run.by_rung[rung.name])) for rung in RUNGS.rungs] == [120] * 3


def test_on_the_gpu_every_rung_decodes_at_its_own_size_in_the_hybrid_none_does(gpu):
    packets = clip(seconds=2.0).packets()
    Run(packets, RUNGS, open=NvencBackend().open)
    sizes = ["320x192", "240x136", "160x96"]
    assert sorted(decoder.options["resize"] for decoder in gpu.decoders[1:]) == sorted(sizes)
    assert all(decoder.thread_count == 1 for decoder in gpu.decoders)
    assert [encoder.pix_fmt for encoder in gpu.encoders] == ["yuv420p"] + ["cuda"] * 3
    gpu.decoders.clear()
    Run(packets, RUNGS, open=HybridBackend().open)
    assert gpu.decoders == []


def test_the_encoders_are_told_what_live_needs(gpu):
    Run(clip(seconds=1.0).packets(), RUNGS, open=NvencBackend().open)
    by_height = {encoder.height: encoder for encoder in gpu.encoders[1:]}
    assert by_height[96].framerate == 30
    assert by_height[96].bit_rate == RUNGS.rungs[2].bitrate_bps
    for encoder in by_height.values():
        wanted = {"forced-idr": "1", "delay": "0", "bf": "0", "no-scenecut": "1", "zerolatency": "1", "rc": "cbr"}
        assert wanted.items() <= encoder.options.items()


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("name", BACKENDS)
def test_hevc_comes_out_as_annex_b_with_its_parameter_sets(gpu, name):
    rungs = with_codec(ladder((320, 192, 30)), "hevc")
    encoded = Run(clip(seconds=3.0).packets(), rungs, open=LADDER_BACKENDS[name]().open).by_rung["192p30"]
    second = next(at for at, packet in enumerate(encoded) if packet.is_keyframe and at > 0)
    told = probe_with_ffprobe(b"".join(packet.data for packet in encoded[second:]), "hevc")
    assert (told["codec_name"], told["width"], told["nb_read_frames"]) == ("hevc", 320, str(len(encoded) - second))


def test_codecs_that_the_gpu_lacks_are_refused_by_the_names_of_their_rungs(gpu):
    gpu.fail = lambda name, call, before: ["Codec not supported\n"] if name == "av1_nvenc" else None
    rungs = RUNGS.rungs
    mixed = RUNGS.model_copy(update={"rungs": (rungs[0].model_copy(update={"codec": "av1"}), *rungs[1:])})
    with pytest.raises(EncoderUnavailable) as caught:
        NvencBackend().check(mixed)
    assert str(caught.value).startswith("nvenc cannot encode 192p60 (av1): this GPU's NVENC does not encode that codec")
    NvencBackend().check(RUNGS)


def test_a_gpu_that_does_not_decode_is_refused_with_what_to_do(gpu):
    gpu.fail = lambda name, call, before: ["Failed loading nvcuvid.\n"] if name == "h264_cuvid" else None
    with pytest.raises(EncoderUnavailable, match=r"nvenc decodes on the GPU.*--encoder nvenc-hybrid"):
        NvencBackend().check(RUNGS)
    HybridBackend().check(RUNGS)


def test_what_worked_once_is_not_tried_again_for_every_broadcast(gpu):
    backend = NvencBackend()
    for _ in range(3):
        backend.check(RUNGS)
    assert gpu.calls["h264_nvenc", "open"] == gpu.calls["h264_cuvid", "open"] == 1


@pytest.mark.parametrize("name", BACKENDS)
def test_a_session_refused_to_one_broadcast_ends_it_with_the_reason_and_leaves_the_others_alone(gpu, name):
    """The driver's cap: sessions of the first broadcast go on, the second is told why, nothing falls back (P8)."""
    backend = LADDER_BACKENDS[name]()
    backend.check(RUNGS)
    most = gpu.calls["h264_nvenc", "open"] + 3
    refused = {("h264_nvenc", "open"): NO_MEMORY}
    gpu.fail = lambda codec, call, before: refused.get((codec, call)) if before >= most else None
    packets = clip(seconds=3.0).packets()
    first: dict[str, list] = {"encoded": [], "errors": []}
    session = backend.open(packets[0].avcc, RUNGS, first["encoded"].append, ended=first["errors"].append)
    for packet in packets[:45]:
        session.feed(packet)
    wait_until(lambda: len({packet.rung for packet in first["encoded"]}) == 3)
    (error,) = Run(packets, RUNGS, open=backend.open).errors
    assert isinstance(error, EncoderUnavailable)
    assert str(error).startswith("no further NVENC session: with 3 open here")
    for packet in packets[45:]:
        session.feed(packet)
    session.close()
    assert session.join(30.0)
    assert first["errors"] == [None]
    assert len(first["encoded"]) == 3 * len(packets)


def wait_until(holds, timeout_s: float = 30.0) -> None:
    until_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "codec", "call"),
    [
        ("nvenc", "h264_cuvid", "decode"),
        ("nvenc", "h264_nvenc", "encode"),
        ("nvenc-hybrid", "h264_nvenc", "encode"),
    ],
)
def test_cuda_that_is_lost_in_mid_stream_ends_the_broadcast_with_the_reason(gpu, name, codec, call):
    """P8: every rung fails at once; one error is told, with what FFmpeg logged and no raw traceback's words."""
    backend = LADDER_BACKENDS[name]()
    backend.check(RUNGS)
    lost_after = gpu.calls[codec, call] + 60
    gpu.fail = lambda which, what, before: CUDA_LOST if (which, what) == (codec, call) and before > lost_after else None
    run = Run(clip(seconds=3.0).packets(), RUNGS, open=backend.open)
    (error,) = run.errors
    assert isinstance(error, EncoderUnavailable)
    assert "the GPU or its driver failed while it was in use (cuvidMapVideoFrame() failed -> CUDA_ERROR" in str(error)
    assert sum(len(encoded) for encoded in run.by_rung.values()) > 10


def test_a_failure_that_nobody_knows_is_quoted(gpu):
    backend = NvencBackend()
    backend.check(RUNGS)
    gpu.fail = lambda name, call, before: ["never heard of\n"] if (name, call) == ("h264_nvenc", "encode") else None
    (error,) = Run(clip(seconds=1.0).packets(), RUNGS, open=backend.open).errors
    assert isinstance(error, GpuFailed)
    assert "never heard of" in str(error)


def test_an_encoder_that_holds_pictures_back_is_found_out(gpu, monkeypatch):
    monkeypatch.setattr("gpu_stand_ins.StandInEncoder.encode", lambda self, picture: [])
    encoder = NvencEncoder(RUNG, preset="p4", pix_fmt="yuv420p")
    with pytest.raises(GpuFailed, match="gave 0 packets for one picture"):
        encoder.encode(av.VideoFrame(1280, 720, "yuv420p"))
    assert "it holds pictures back though it was told not to" in probe_nvenc().reason


def test_a_decoder_without_cuda_is_not_taken_for_one_that_has_it(gpu, monkeypatch):
    monkeypatch.setattr("gpu_stand_ins.StandInDecoder.is_hwaccel", False)
    assert probe_nvdec().reason == "the FFmpeg that PyAV brings was built without CUDA"


@pytest.mark.requires_nvenc
@pytest.mark.requires_nvdec
@pytest.mark.parametrize("codec", NVENC_ENCODERS)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_broadcast_on_a_real_gpu(name, codec):
    found = [probe_nvenc(codec), *([probe_nvdec()] if name == "nvenc" else [])]
    reasons = [probe.reason for probe in found if probe.reason is not None]
    if reasons:
        pytest.skip(f"requires_nvenc, requires_nvdec: {reasons[0]}")
    packets = clip(seconds=4.0, fps=60, b_frames=2, width=640, height=360).packets()
    rungs = with_codec(RUNGS, codec)
    run = Run(packets, rungs, open=LADDER_BACKENDS[name]().open, pause_s=1 / 120)
    assert run.errors == [None]
    assert run.counters.fed == run.counters.decoded == len(packets)
    for rung in rungs.rungs:
        encoded = run.by_rung[rung.name]
        shown = pictures(encoded, codec)
        assert len(shown) == len(encoded) == len(packets) * rung.fps / 60
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}
        assert sum(packet.is_keyframe for packet in encoded) == 2
