"""The doctor: every row from trying, one JSON object, exit 0, also on a machine that lacks everything."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from pipeline import cli, doctor
from pipeline.ladders.probe import EncoderProbe

ROWS = [
    "Python",
    "cores",
    "memory",
    "aiohttp",
    "PyAV",
    "x264",
    "h264_nvenc",
    "NVIDIA driver",
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
    assert found["x264"]["status"] == found["h264_nvenc"]["status"] == "unavailable"
    missing = [name for name, check in found.items() if check["status"] == "missing"]
    assert all("install" in found[name]["detail"] for name in missing)
    assert {"aiohttp", "ffmpeg", "nginx", "nginx rtmp module", "redis-server", "chromium"} <= set(missing)


def test_the_reason_of_an_encoder_is_passed_on(monkeypatch):
    monkeypatch.setattr(doctor, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    assert rows()["h264_nvenc"] == {"name": "h264_nvenc", "status": "unavailable", "detail": "planted reason"}


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
