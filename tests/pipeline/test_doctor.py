"""The doctor: every row from trying, one JSON object, exit 0, also on a machine that lacks everything."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
from gpu_stand_ins import stand_in_gpu
from typer.testing import CliRunner

from pipeline import cli, doctor, gpus
from pipeline.ladders.probe import EncoderProbe

ROWS = [
    "Python",
    "cores",
    "memory",
    "aiohttp",
    "NVIDIA driver",
    "GPUs",
    "PyAV",
    "x264",
    "h264_nvenc",
    "hevc_nvenc",
    "av1_nvenc",
    "NVENC sessions",
    "h264_cuvid",
    "ffmpeg",
    "ffprobe",
    "nginx",
    "nginx rtmp module",
    "redis-server",
    "chromium",
]


def invoke(*arguments: str) -> str:
    """Return what the verb prints on stdout."""
    result = CliRunner().invoke(cli.app, ["doctor", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def rows() -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(invoke("--json"))["checks"]}


def test_every_row_is_there_once_and_in_words():
    found = json.loads(invoke("--json"))["checks"]
    assert [check["name"] for check in found] == ROWS
    assert all(check["status"] in ("ok", "missing", "unavailable") for check in found)
    assert all(check["detail"] for check in found)


def test_the_table_has_a_line_for_each_row():
    lines = invoke().splitlines()
    assert len(lines) == len(ROWS)
    for line, name in zip(lines, ROWS, strict=True):
        assert name in line


def test_what_is_installed_is_found_by_running_it():
    found = rows()
    assert found["Python"]["detail"] == ".".join(map(str, sys.version_info[:3]))
    assert "encoded 2 frames" in found["x264"]["detail"]
    for program in ("ffmpeg", "ffprobe"):
        path = shutil.which(program)
        assert (found[program]["status"] == "ok") == (path is not None)
        if path is not None:
            version = subprocess.run([path, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]
            assert version.split("-")[0] in found[program]["detail"]


def test_a_machine_without_anything_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda *args, **kwargs: None)
    monkeypatch.setattr(doctor, "NGINX_RTMP_MODULES", ())
    found = rows()
    assert found["PyAV"] == {
        "name": "PyAV",
        "status": "missing",
        "detail": "pip install 'headroom[pipeline]'",
    }
    codecs = ("x264", "h264_nvenc", "hevc_nvenc", "av1_nvenc", "NVENC sessions", "h264_cuvid")
    assert {found[name]["detail"] for name in codecs} == {"needs PyAV"}
    missing = [name for name, check in found.items() if check["status"] == "missing"]
    assert all("install" in found[name]["detail"] for name in missing)
    assert {"aiohttp", "ffmpeg", "nginx", "nginx rtmp module", "redis-server", "chromium"} <= set(missing)


def test_the_reason_of_an_encoder_is_passed_on(monkeypatch):
    monkeypatch.setattr(doctor, "probe_nvenc", lambda codec: EncoderProbe(codec, reason=f"planted {codec}"))
    assert rows()["hevc_nvenc"] == {"name": "hevc_nvenc", "status": "unavailable", "detail": "planted hevc"}


def test_a_gpu_is_named_and_its_codecs_and_sessions_are_tried(monkeypatch, tmp_path):
    gpu = stand_in_gpu(monkeypatch)
    refused = ["OpenEncodeSessionEx failed: out of memory (10): (no details)\n"]
    lacking = {"av1_nvenc": ["Codec not supported\n"]}
    gpu.fail = lambda name, call, before: refused if (name, before > 8) == ("h264_nvenc", True) else lacking.get(name)
    driver(tmp_path, monkeypatch)
    found = {name: (check["status"], check["detail"]) for name, check in rows().items()}
    assert found["NVIDIA driver"] == ("ok", "570.133.20")
    assert found["GPUs"] == ("ok", "Tesla T4, NVIDIA L4")
    assert found["h264_nvenc"] == found["hevc_nvenc"] == ("ok", "encoded 2 frames")
    assert found["h264_cuvid"] == ("ok", "decoded and scaled 8 frames")
    assert found["av1_nvenc"][1].startswith("this GPU's NVENC does not encode that codec")
    status, detail = found["NVENC sessions"]
    assert status == "ok"
    assert detail.startswith("8 opened at once, then: no further NVENC session: ")


def driver(folder, monkeypatch):
    """Put the driver's files of a machine with two GPUs where they are looked for."""
    version = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun Mar 30 03:20:40 UTC 2025\nGCC version: x\n"
    )
    (folder / "version").write_text(version, encoding="utf-8")
    for place, model in [("0000:00:1e.0", "Tesla T4"), ("0000:00:1f.0", "NVIDIA L4")]:
        (folder / "gpus" / place).mkdir(parents=True)
        (folder / "gpus" / place / "information").write_text(f"Model: \t\t {model}\nIRQ: 24\n", encoding="utf-8")
    monkeypatch.setattr(gpus, "DRIVER_FOLDER", folder)


def test_without_the_drivers_files_nvml_names_the_gpus(monkeypatch, tmp_path):
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda handle: "NVIDIA L4",
    )
    monkeypatch.setattr(gpus, "DRIVER_FOLDER", tmp_path)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert gpus.gpu_names() == ("NVIDIA L4",)
    assert gpus.driver_version() is None

    def fails():
        raise RuntimeError("NVML Shared Library Not Found")

    nvml.nvmlInit = fails
    assert gpus.gpu_names() == ()
    assert gpus.free_memory_bytes() is None


def test_a_program_that_does_not_run_is_not_called_ok(monkeypatch, tmp_path):
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check = doctor._program("redis-server", "apt install redis-server", "--version")
    assert check.status == "unavailable"
    assert "failed: CalledProcessError" in check.detail


@pytest.mark.parametrize("module", ["av", "aiohttp", "pydantic", "numpy", "asyncio"])
def test_the_command_line_itself_imports_nothing_heavy(module):
    """`headroom --help` imports this module: PyAV and friends wait for a verb."""
    code = f"import pipeline.cli, sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
