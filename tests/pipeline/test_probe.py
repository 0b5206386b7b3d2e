"""Probing encoders: every known failure of NVENC from the lines FFmpeg logs, and the real thing on this machine."""

from __future__ import annotations

import builtins
import importlib.util

import av.logging
import pytest

from pipeline.ladders import choice, probe
from pipeline.ladders.choice import choose_backend
from pipeline.ladders.probe import NVENC_ERRORS, EncoderProbe, explain_nvenc, probe_nvenc, probe_x264, require_packages
from scenarios.errors import EncoderUnavailable, NotReady

NO_DEVICES = "No capable devices found\n"
RECORDED = {
    "no driver": (["Cannot load libcuda.so.1\n"], "no NVIDIA driver in this machine or container"),
    "no video part, decoder": (["Cannot load libnvcuvid.so.1\n", "Failed loading nvcuvid.\n"], "compute,utility,video"),
    "nvcuvid alone": (["Failed loading nvcuvid.\n"], "compute,utility,video"),
    "no CUDA": (["Could not dynamically load CUDA\n"], "no NVIDIA driver here, or the container"),
    "no video part, encoder": (["Cannot load libnvidia-encode.so.1\n"], "without its video part"),
    "old driver": (
        [
            "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1\n",
            "The minimum required Nvidia driver for nvenc is 570.0 or newer\n",
        ],
        "Required: 13.0 Found: 12.1",
    ),
    "no GPU": (["No CUDA capable devices found\n"], "sees no GPU"),
    "no engine": (
        ["OpenEncodeSessionEx failed: unsupported device (2): (no details)\n", NO_DEVICES],
        "no NVENC engine (A100, H100 and H200 have none)",
    ),
    "sessions": (
        ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n", NO_DEVICES],
        "cap on sessions is reached or the GPU's memory is full",
    ),
    "buffers": (["CreateBitstreamBuffer failed: out of memory (10)\n"], "lower the encoder's option surfaces to 8"),
    "client key": (["OpenEncodeSessionEx failed: incompatible client key (21)\n"], "driver is too old"),
    "size": (["InitializeEncoder failed: invalid param (8): (no details)\n"], "at least 145x49"),
    "option": (
        [
            "Undefined constant or missing '(' in 'bogus'\n",
            'Unable to parse "preset" option value "bogus"\n',
            "Error setting option preset to value bogus.\n",
        ],
        "in 'bogus'",
    ),
}


@pytest.mark.parametrize(("lines", "meaning"), RECORDED.values(), ids=RECORDED)
def test_each_known_failure_is_explained(lines, meaning):
    said = explain_nvenc(lines, PermissionError(1, "Operation not permitted"))
    assert meaning in said
    assert "Operation not permitted" not in said, "the raised error misleads"
    assert said == explain_nvenc(["a line about something else\n", *lines], PermissionError(1, "x"))


def test_every_row_of_the_table_has_its_recording():
    for pattern, _ in NVENC_ERRORS:
        explained = {name for name, (lines, _) in RECORDED.items() if any(pattern in line for line in lines)}
        assert explained, pattern
    means = [explain_nvenc([pattern], OSError()) for pattern, _ in NVENC_ERRORS]
    assert len(set(means)) >= len(NVENC_ERRORS) - 2, "three rows mean: no driver, or not its video part"


def test_an_unknown_failure_is_quoted_whole():
    said = explain_nvenc(["first line\n", "last line\n"], OSError(5, "Input/output error"))
    assert "first line; last line" in said
    assert "Input/output error" in said


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


@pytest.mark.requires_nvenc
def test_nvenc_really_encodes():
    found = probe_nvenc()
    if not found.available:
        pytest.skip(f"requires_nvenc: {found.reason}")
    assert found.encoder == "h264_nvenc"


def test_this_machines_answer_is_a_row_of_the_table_or_an_encoded_picture():
    found = probe_nvenc()
    assert found.available or not found.reason.startswith("h264_nvenc could not be opened"), found.reason


def test_a_wrong_option_is_found_without_a_gpu():
    found = probe._probe("h264_nvenc", {"preset": "bogus"}, explain_nvenc)
    assert "an encoder option has a value that this FFmpeg does not know" in found.reason


def test_an_encoder_that_was_not_built_in_is_a_reason_too():
    found = probe._probe("h264_nosuch", {}, explain_nvenc)
    assert "h264_nosuch" in found.reason


def test_auto_says_which_backend_and_why(monkeypatch):
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    backend, why = choose_backend("auto")
    assert backend.name == "x264"
    assert why == "encoder x264, chosen by auto: planted reason"


def test_auto_does_not_blame_a_gpu_that_works(monkeypatch):
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc"))
    assert "works on this machine, but this version has no backend for it" in choose_backend("auto").why
    with pytest.raises(EncoderUnavailable, match="has no backend for it"):
        choose_backend("nvenc")


def test_nvenc_is_refused_with_the_true_reason_and_never_replaced(monkeypatch):
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    with pytest.raises(EncoderUnavailable, match="--encoder nvenc: planted reason"):
        choose_backend("nvenc")


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
    assert module.NVENC_ERRORS
