"""One load at a time on a machine: two measurements beside each other spoil both."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from pipeline.load.clip import cache_folder
from scenarios.errors import NotReady

LOCK = "measuring.lock"
PATIENCE_S = 600.0
TICK_S = 0.25
AT_ONCE_S = 0.1
"""Waiting no longer than this is none."""


class _Taking:
    """A thread that waits for the lock, so that its place in the kernel's queue is kept while the user is told.

    Asking again and again instead would lose every time to those who queue.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._settled = threading.Lock()
        self._given_up = False
        self._taken = False
        self._thread = threading.Thread(target=self._take, name="measuring lock", daemon=True)
        self._thread.start()

    def _take(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._settled:
            self._taken = True
            if self._given_up:
                self._file.close()

    def taken_within(self, seconds: float) -> bool:
        """Return whether the lock is taken after at most so long."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def give_up(self) -> None:
        """Free the lock, at once or when its turn comes."""
        with self._settled:
            self._given_up = True
            if self._taken:
                self._file.close()


@contextmanager
def measuring_alone(
    *, say: Callable[[str], None], tick: Callable[[], None] = lambda: None, patience_s: float = PATIENCE_S
) -> Iterator[float]:
    """Yield the time waited for, once no other measurement runs a load; the system frees the lock of a dead process.

    Raises:
        NotReady: another one did not finish its load in time, or the lock's folder cannot be written.
    """
    path = cache_folder() / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise NotReady(f"{path} cannot be written ({error.strerror}); free space or set XDG_CACHE_HOME") from error
    started_s = time.monotonic()
    taking = _Taking(file)
    try:
        if not taking.taken_within(AT_ONCE_S):
            holder = path.read_text(encoding="utf-8").strip() or "unknown"
            say(f"waiting for the load of another measurement, process {holder}, to end")
            while not taking.taken_within(TICK_S):
                tick()
                if time.monotonic() - started_s > patience_s:
                    raise NotReady(
                        f"process {holder} has been measuring for {patience_s:.0f} s; wait until it is done, or stop it"
                    )
        waited_s = time.monotonic() - started_s
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield waited_s
    finally:
        taking.give_up()
