"""One load at a time on a machine: two measurements beside each other spoil both."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.load.clip import cache_folder
from scenarios.errors import NotReady

LOCK = "measuring.lock"
PATIENCE_S = 600.0
ASK_S = 0.2
"""Between two attempts to take the lock."""


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
    started_s, told = time.monotonic(), False
    with file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = path.read_text(encoding="utf-8").strip() or "unknown"
            if not told:
                say(f"waiting for the load of another measurement, process {holder}, to end")
                told = True
            if time.monotonic() - started_s > patience_s:
                raise NotReady(
                    f"process {holder} has been measuring for {patience_s:.0f} s; wait until it is done, or stop it"
                )
            tick()
            time.sleep(ASK_S)
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield time.monotonic() - started_s if told else 0.0
