"""Markers, system tools, and the rule that nothing is skipped in silence."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
for folder in (ROOT, ROOT / "sim", ROOT / "theory", ROOT / "calibration", ROOT / "pipeline"):
    sys.path.insert(0, str(folder))
# Several processes share the cores, and those that tests start as well: threads of BLAS would only spin on them.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
TOOLS = {
    "requires_ffmpeg": ("ffmpeg", "ffprobe"),
    "requires_nginx": ("nginx", "/usr/lib/nginx/modules/ngx_rtmp_module.so"),
    "requires_chromium": ("chromium",),
}
"""Commands, and files, that each marker stands for."""
MAY_SKIP_IN_CI = ("requires_nvenc", "requires_nvdec", "validation_data")
IN_CI = os.environ.get("CI") == "true"

_skipped: list[str] = []
"""What CI does not allow to be skipped: in a process of `pytest -n` what it met itself, else what anybody met."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """What publishes, encodes or serves real video needs the machine alone: its figures and deadlines are of time."""
    if ROOT / "pipeline" in item.path.parents:
        item.add_marker("alone")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, by name, what needs a tool this machine lacks."""
    for marker, tools in TOOLS.items():
        missing = [tool for tool in tools if not _is_there(tool)]
        if item.get_closest_marker(marker) and missing:
            pytest.skip(f"{marker}: {', '.join(missing)} not installed")


def _is_there(tool: str) -> bool:
    return Path(tool).is_file() if "/" in tool else shutil.which(tool, path=SYSTEM_PATH) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Remember skips that CI does not allow."""
    report = yield
    if report.skipped and not any(item.get_closest_marker(name) for name in MAY_SKIP_IN_CI):
        _skipped.append(item.nodeid)
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember a module that skipped itself whole: its markers are not known, so none excuses it."""
    if report.skipped:
        _skipped.append(report.nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error: object | None) -> None:
    """Take over what a process of `pytest -n` skipped; every one of them collects all files, so names may repeat."""
    told = getattr(node, "workeroutput", {}).get("skipped", [])
    _skipped.extend(name for name in told if name not in _skipped)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a CI run that skipped something; a process of `pytest -n` tells it to the one that decides."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["skipped"] = _skipped
    elif IN_CI and _skipped and exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which skips made a CI run fail."""
    if IN_CI and _skipped:
        terminalreporter.write_line("skipped in CI, which counts as failed: " + ", ".join(_skipped), red=True)
