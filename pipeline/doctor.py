"""What this machine can run, and why not the rest: every answer comes from trying."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.gpus import DRIVER_FOLDER, driver_version, gpu_names
from pipeline.ladders.nvenc_options import NVENC_ENCODERS
from pipeline.ladders.probe import (
    DECODED_FRAMES,
    PROBE_FRAMES,
    EncoderProbe,
    probe_nvdec,
    probe_nvenc,
    probe_sessions,
    probe_x264,
)

NGINX_RTMP_MODULES = (
    Path("/usr/lib/nginx/modules/ngx_rtmp_module.so"),
    Path("/usr/lib64/nginx/modules/ngx_rtmp_module.so"),
)
SYSTEM_PATHS = "/usr/sbin:/sbin:/usr/local/sbin"
"""Where servers are installed and an ordinary user's PATH does not look."""
VERSION_TIMEOUT_S = 10.0
SESSIONS, NVDEC = "NVENC sessions", "h264_cuvid"
ENCODED = f"encoded {PROBE_FRAMES} frames"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        status: `ok`, `missing` (can be installed) or `unavailable` (this machine cannot).
        detail: what was found, or why it cannot be used and what to do.
    """

    name: str
    status: Literal["ok", "missing", "unavailable"]
    detail: str


def examine() -> list[Check]:
    """Return every check of this machine, in the order of the printed table."""
    checks = [
        Check("Python", "ok", platform.python_version()),
        Check("cores", "ok", str(len(os.sched_getaffinity(0)))),
        Check("memory", "ok", f"{_memory_bytes() / 2**30:.1f} GiB"),
    ]
    checks += [_aiohttp(), _nvidia_driver(), _gpus(), *_codecs()]
    checks += [
        _program("ffmpeg", "apt install ffmpeg"),
        _program("ffprobe", "apt install ffmpeg"),
        _program("nginx", "apt install nginx", "-v"),
        _nginx_rtmp(),
        _program("redis-server", "apt install redis-server", "--version"),
        _program("chromium", "apt install chromium", "--version"),
    ]
    return checks


def document(checks: Iterable[Check]) -> dict[str, Any]:
    """Return the checks as `doctor --json` prints them."""
    return {"checks": [asdict(check) for check in checks]}


def table(checks: Iterable[Check]) -> str:
    """Return the checks as lines of text, one each."""
    rows = list(checks)
    wide = max(len(check.name) for check in rows)
    return "\n".join(f"{check.status:<11}  {check.name:<{wide}}  {check.detail}" for check in rows)


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _aiohttp() -> Check:
    if importlib.util.find_spec("aiohttp") is None:
        return Check("aiohttp", "missing", "pip install 'headroom[pipeline]'")
    import aiohttp

    return Check("aiohttp", "ok", aiohttp.__version__)


def _codecs() -> list[Check]:
    if importlib.util.find_spec("av") is None:
        needs = "needs PyAV"
        names = ["x264", *NVENC_ENCODERS.values(), SESSIONS, NVDEC]
        return [
            Check("PyAV", "missing", "pip install 'headroom[pipeline]'"),
            *(Check(name, "unavailable", needs) for name in names),
        ]
    import av

    return [
        Check("PyAV", "ok", f"{av.__version__}, FFmpeg {av.ffmpeg_version_info}"),
        _codec("x264", probe_x264(), ENCODED),
        *(_codec(encoder, probe_nvenc(codec), ENCODED) for codec, encoder in NVENC_ENCODERS.items()),
        _sessions(),
        _codec(NVDEC, probe_nvdec(), f"decoded and scaled {DECODED_FRAMES} frames"),
    ]


def _codec(name: str, found: EncoderProbe, what: str) -> Check:
    if found.reason is not None:
        return Check(name, "unavailable", found.reason)
    return Check(name, "ok", " ".join(filter(None, [found.detail, what])))


def _sessions() -> Check:
    found = probe_sessions()
    if found.reason is None:
        return Check(SESSIONS, "ok", f"{found.sessions} opened at once; more were not tried")
    if found.sessions == 0:
        return Check(SESSIONS, "unavailable", found.reason)
    return Check(SESSIONS, "ok", f"{found.sessions} opened at once, then: {found.reason}")


def _nvidia_driver() -> Check:
    version = driver_version()
    if version is None:
        return Check("NVIDIA driver", "unavailable", f"no {DRIVER_FOLDER}/version: no driver is loaded")
    return Check("NVIDIA driver", "ok", version)


def _gpus() -> Check:
    names = gpu_names()
    if not names:
        return Check(
            "GPUs", "unavailable", f"none in {DRIVER_FOLDER}/gpus, and NVML (pip install 'headroom[gpu]') names none"
        )
    return Check("GPUs", "ok", ", ".join(names))


def _nginx_rtmp() -> Check:
    for module in NGINX_RTMP_MODULES:
        if module.is_file():
            return Check("nginx rtmp module", "ok", str(module))
    return Check("nginx rtmp module", "missing", "apt install libnginx-mod-rtmp")


def _program(name: str, remedy: str, version_flag: str = "-version") -> Check:
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), SYSTEM_PATHS])
    path = shutil.which(name, path=search)
    if path is None:
        return Check(name, "missing", remedy)
    try:
        answer = subprocess.run(
            [path, version_flag], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, "unavailable", f"{path} {version_flag} failed: {type(error).__name__}; {remedy}")
    found = re.search(r"\d+\.\d+[\w.\-+~]*", answer.stdout or answer.stderr)
    return Check(name, "ok", f"{found[0]} ({path})" if found else path)
