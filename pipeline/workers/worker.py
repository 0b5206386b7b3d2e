"""One worker process: started, given broadcasts, watched, and ended."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pipeline
from pipeline.ladders.backend import RungPacket
from pipeline.marks import Marks
from pipeline.workers.link import STALL_S, Link
from pipeline.workers.protocol import OpenSession

log = logging.getLogger(__name__)

MODULE = "pipeline.workers.child"
WATCH_S = 0.5
"""How often a worker is looked at."""
LEAVE_S = 2.0
"""How long a worker that has no broadcast left, or has closed a link unasked, may take to go by itself."""
CONNECT_S = 5.0
"""How long a worker may take to accept one more broadcast."""


class Worker:
    """A fresh interpreter (never a fork: threads and CUDA do not survive one) that encodes broadcasts.

    Attributes:
        number: the name of its place; a replacement has the same.
        pid: its process.
    """

    def __init__(
        self, number: int, backend: str, options: Mapping[str, str], *, broadcasts: int, stall_s: float = STALL_S
    ) -> None:
        self.number = number
        self._stall_s = stall_s
        self._links: set[Link] = set()
        self._lock = threading.Lock()
        self._leaving = False
        self._killed_for = ""
        self._gone = threading.Event()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(CONNECT_S)
        with theirs:
            arguments = [str(theirs.fileno()), backend, json.dumps(dict(options)), str(broadcasts)]
            self._process = _start(arguments, theirs.fileno())
        self.pid = self._process.pid
        # A worker that is stopped or wedged does not read that its server has gone.
        atexit.register(self._process.kill)
        threading.Thread(target=self._watch, name=f"worker-{number}/watch", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can be given broadcasts."""
        return not self._gone.is_set()

    @contextmanager
    def link(self, opening: OpenSession, *, deliver: Callable[[RungPacket], None], marks: Marks) -> Iterator[Link]:
        """Give it a broadcast; leaving the context waits for the rest of what it makes."""
        ours, theirs = socket.socketpair()
        with theirs, contextlib.suppress(OSError):  # it is gone, or as good as: so `ours` is at its end
            socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
        link = Link(ours, opening, deliver=deliver, marks=marks, stall_s=self._stall_s)
        with self._lock:
            self._links.add(link)
        try:
            yield link
        finally:
            link.finish()
            with self._lock:
                self._links.discard(link)

    def death(self) -> str:
        """Return how it ended; one that has closed a link but lives on is killed."""
        if not self._gone.wait(LEAVE_S):
            self._kill("closed a broadcast without a word")
            self._gone.wait()
        return self._killed_for or _manner(self._process.returncode)

    def end(self) -> None:
        """Let it go; it must have no broadcast left. Does not block."""
        self._leaving = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        while not poll.poll(1000 * WATCH_S):  # it never says anything: this is its end
            self._kill_if_stuck()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        atexit.unregister(self._process.kill)
        self._control.close()
        self._gone.set()
        if not self._leaving:
            log.warning("worker %d %s", self.number, self._killed_for or _manner(self._process.returncode))

    def _kill_if_stuck(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.is_stuck = link.stands_still(time.monotonic())
        if any(link.is_stuck for link in links):
            self._kill(f"stood still for {self._stall_s:g} s and was killed")

    def _kill(self, why: str) -> None:
        self._killed_for = self._killed_for or why
        self._process.kill()


def _start(arguments: list[str], control: int) -> subprocess.Popen[bytes]:
    root = str(Path(pipeline.__file__).parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[control],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        # Ctrl-C at the terminal must reach the server, which then lets its workers flush.
        start_new_session=True,
    )


def _manner(status: int) -> str:
    if status < 0:
        return f"died (signal {-status}, {signal.Signals(-status).name})"
    return f"ended with status {status}"
