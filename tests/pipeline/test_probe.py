"""Probing codecs: the real thing on this machine, a GPU's answers from stand-ins, and what is chosen by them."""

from __future__ import annotations

import builtins
import importlib.util

import av.logging
import pytest
from gpu_stand_ins import Gpu, stand_in_gpu

from pipeline.ladders import choice
from pipeline.ladders.choice import choose_backend
from pipeline.ladders.nvenc_options import NVENC_ENCODERS
from pipeline.ladders.probe import (
    MOST_SESSIONS,
    EncoderProbe,
    SessionsProbe,
    probe_nvdec,
    probe_nvenc,
    probe_sessions,
    probe_x264,
    require_packages,
)
from scenarios.errors import EncoderUnavailable, NotReady


def test_x264_really_encodes():
    found = probe_x264()
    assert found.available, found.reason
    assert found.detail.startswith("core ")


def test_probing_leaves_ffmpegs_log_level_as_it_was():
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    probe_nvenc()
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before


def test_a_second_probe_gives_the_same_answer():
    """FFmpeg keeps a line to itself that it has just logged: the second probe would find no reason."""
    assert probe_nvenc() == probe_nvenc() == probe_nvenc()


@pytest.fixture
def gpu(monkeypatch) -> Gpu:
    return stand_in_gpu(monkeypatch)


@pytest.mark.requires_nvenc
@pytest.mark.parametrize("codec", NVENC_ENCODERS)
def test_nvenc_really_encodes(codec):
    found = probe_nvenc(codec)
    if not found.available:
        pytest.skip(f"requires_nvenc: {found.reason}")
    assert found.encoder == NVENC_ENCODERS[codec]


@pytest.mark.requires_nvdec
def test_nvdec_really_decodes():
    found = probe_nvdec()
    if not found.available:
        pytest.skip(f"requires_nvdec: {found.reason}")
    assert found.encoder == "h264_cuvid"


@pytest.mark.requires_nvenc
def test_sessions_are_given_back_after_counting_them():
    if not probe_nvenc().available:
        pytest.skip(f"requires_nvenc: {probe_nvenc().reason}")
    assert probe_sessions().sessions == probe_sessions().sessions > 0


@pytest.mark.parametrize("probe", [*(lambda codec=codec: probe_nvenc(codec) for codec in NVENC_ENCODERS), probe_nvdec])
def test_this_machines_answer_is_a_row_of_the_table_or_an_encoded_picture(probe):
    found = probe()
    assert found.available or " failed: " not in found.reason, found.reason


def test_a_gpu_that_does_everything(gpu):
    assert probe_nvenc("h264") == EncoderProbe("h264_nvenc")
    assert probe_nvenc("hevc") == EncoderProbe("hevc_nvenc")
    assert probe_nvdec() == EncoderProbe("h264_cuvid")
    assert gpu.decoders[0].options == {"resize": "160x96"}
    assert gpu.calls["h264_nvenc", "encode"] == 2


def test_a_decoder_that_gives_too_few_pictures_does_not_count_as_working(gpu, monkeypatch):
    monkeypatch.setattr("gpu_stand_ins.StandInDecoder.decode", lambda self, packet: [])
    assert probe_nvdec().reason == "h264_cuvid made 0 of 8 pictures, of set()"


def test_sessions_are_counted_until_one_is_refused(gpu):
    gpu.fail = refuses_after(3)
    found = probe_sessions()
    assert found.sessions == 3
    assert found.reason.startswith("no further NVENC session: with 3 open here it is most likely the driver's cap")
    gpu.fail = lambda name, call, before: None
    assert probe_sessions() == SessionsProbe(MOST_SESSIONS)


def refuses_after(sessions: int):
    def fail(name: str, call: str, before: int) -> list[str] | None:
        if call == "open" and before >= sessions:
            return ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n", "No capable devices found\n"]
        return None

    return fail


def test_auto_takes_a_gpu_that_works_and_says_so(gpu):
    backend, why = choose_backend("auto")
    assert backend.name == "nvenc"
    assert why == ("encoder nvenc (decoded, scaled and encoded on the GPU), chosen by auto: NVENC and NVDEC work here")


def test_auto_says_which_backend_and_why(monkeypatch):
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    backend, why = choose_backend("auto")
    assert backend.name == "x264"
    assert why == "encoder x264, chosen by auto: planted reason"


def test_a_gpu_that_does_not_decode_is_told_of_and_never_made_up_for_unasked(gpu):
    gpu.fail = lambda name, call, before: ["Codec h264_cuvid is not supported.\n"] if name == "h264_cuvid" else None
    backend, why = choose_backend("auto")
    assert backend.name == "x264"
    assert "h264_nvenc works, but not h264_cuvid: this GPU's NVDEC does not decode H.264" in why
    with pytest.raises(EncoderUnavailable, match="--encoder nvenc: h264_nvenc works, but not h264_cuvid"):
        choose_backend("nvenc")
    backend, why = choose_backend("nvenc-hybrid")
    assert backend.name == "nvenc-hybrid"
    assert why == "encoder nvenc (hybrid: decoded and scaled on the CPU), as asked"


@pytest.mark.parametrize("asked", ["nvenc", "nvenc-hybrid"])
def test_nvenc_is_refused_with_the_true_reason_and_never_replaced(monkeypatch, asked):
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    with pytest.raises(EncoderUnavailable, match=f"--encoder {asked}: planted reason"):
        choose_backend(asked)


def test_x264_that_does_not_open_is_refused_with_its_reason(monkeypatch):
    monkeypatch.setattr(choice, "probe_x264", lambda: EncoderProbe("libx264", reason="planted reason"))
    with pytest.raises(EncoderUnavailable, match="planted reason"):
        choose_backend("x264")


@pytest.mark.parametrize(("module", "name"), [("av", "PyAV"), ("aiohttp", "aiohttp")])
def test_a_missing_package_says_how_to_install_it(monkeypatch, module, name):
    present = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == module else present(wanted))
    with pytest.raises(NotReady, match=rf"{name} is not installed; pip install 'headroom\[pipeline\]'"):
        require_packages()


def test_the_probe_module_needs_no_pyav_to_be_imported(monkeypatch):
    real_import = builtins.__import__

    def without_av(name, *args, **kwargs):
        if name.split(".")[0] == "av":
            raise ImportError("planted: no PyAV")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_av)
    spec = importlib.util.find_spec("pipeline.ladders.probe")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, spec.name, module)
    spec.loader.exec_module(module)
    assert module.PACKAGES
