"""Headless Chromium for the tests: without the right to real-time scheduling, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

FLAGS = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--mute-audio",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WITHOUT_REAL_TIME = "setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice"
"""A Chromium that spins at real-time priority starves the whole machine."""
START_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 20.0
LOOK_EVERY_S = 0.5
GONE_TIMEOUT_S = 30.0


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Chromium, closed at the end; its process group is killed if it does not close in time, and waited for."""
    own_pid = folder / "pid"
    start = folder / "chromium"
    prefix = WITHOUT_REAL_TIME if os.geteuid() == 0 and shutil.which("setpriv") else ""
    start.write_text(f'#!/bin/sh\necho $$ > "{own_pid}"\nexec {prefix} "{shutil.which("chromium")}" "$@"\n')
    start.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=start, args=list(FLAGS), headless=True, timeout=1000 * START_TIMEOUT_S
        )
        leader = int(own_pid.read_text())
        watch = threading.Thread(target=_keep_ordinary, args=(leader,), daemon=True)
        watch.start()
        try:
            yield browser
        finally:
            last_resort = threading.Timer(CLOSE_TIMEOUT_S, _kill, [leader])
            last_resort.start()
            with suppress(Error):  # it may have been killed meanwhile
                browser.close()
            last_resort.cancel()
            last_resort.join()
            watch.join(GONE_TIMEOUT_S)


def _keep_ordinary(leader: int) -> None:
    """Take real-time priority from every thread of a process group, as long as it has a process.

    Processes of Chromium that were killed have been seen to go on at that priority for ever, and to end as soon as
    they had lost it.
    """
    while group := _processes_of(leader):
        for process in group:
            with suppress(OSError):
                for thread in (process / "task").iterdir():
                    if os.sched_getscheduler(int(thread.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                        os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
        time.sleep(LOOK_EVERY_S)


def _processes_of(leader: int) -> list[Path]:
    """Return the folders in /proc of a process group's living processes."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z":
                found.append(stat.parent)
    return found


def _kill(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


class Viewer:
    """A page in a context of its own, and whatever it did that no page of ours may do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.dialogs: list[str] = []
        self.complaints: list[str] = []
        page.context.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", self._dismiss)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)

    def figures(self) -> dict:
        return self.page.evaluate("window.headroomPlayer.figures()")

    def until(self, condition: Callable[[dict], bool], timeout_s: float = 40.0) -> dict:
        """Return the first figures that satisfy the condition; fails with the last ones."""
        until_s = time.monotonic() + timeout_s
        while not condition(figures := self.figures()):
            if time.monotonic() > until_s:
                pytest.fail(f"not within {timeout_s:g} s; the page says {figures}")
            self.page.wait_for_timeout(100)
        return figures

    @property
    def status(self) -> str:
        return self.page.text_content("#status") or ""

    def assert_kept_to(self, url: str) -> None:
        """Assert that nothing was asked of another origin, nothing popped up, no script failed, CSP stopped nothing."""
        origin = "{0.scheme}://{0.netloc}/".format(urlsplit(url))
        assert self.requests
        assert [asked for asked in self.requests if not asked.removeprefix("blob:").startswith(origin)] == []
        assert (self.dialogs, self.complaints) == ([], [])

    def _dismiss(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _hear(self, message) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


@contextmanager
def viewing(browser: Browser, **options) -> Iterator[Viewer]:
    """A viewer with nothing of earlier ones: its context ends with it."""
    context = browser.new_context(**options)
    try:
        yield Viewer(context.new_page())
    finally:
        context.close()
