"""Records every stream of a store: hears of each segment, never makes anyone wait, writes in one thread."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import IO

from pipeline.hls.store import StoreHooks
from pipeline.recording.intake import Intake
from pipeline.recording.layout import check_names
from pipeline.recording.lock import lock_folder
from pipeline.recording.repair import repair
from pipeline.recording.retention import Limits, Retention
from pipeline.recording.writer import Writer
from scenarios.ladder import Ladder

log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often what could not be written is tried again, and what is too old is looked for."""
TOO_SLOW_S = 10.0
"""How long a segment that was lost to a slow disk keeps the alert up."""


class Recorder:
    """Keeps what a store publishes below one folder; `hooks` are for the `Store`.

    A fault of the disk costs segments of the recording, each counted, and nothing else: it is tried again with
    every segment.
    """

    def __init__(self, root: Path, *, limits: Limits | None = None, intake: Intake | None = None) -> None:
        """Prepare; `start` takes the folder."""
        self._root, self._limits = root, limits or Limits()
        self._intake = intake or Intake()
        self._writer = Writer(root, Retention(self._limits))
        self._has_failed = False
        self._seen_refused, self._refused_s = 0, -TOO_SLOW_S
        self._lock: IO[str] | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)

    def start(self, ladder: Ladder) -> None:
        """Take the folder, repair what a killed server left there, and start to write.

        Raises:
            NotReady: the folder cannot be used or is in use, or a rung's name cannot be a folder's.
        """
        check_names(ladder)
        self._lock = lock_folder(self._root)
        try:
            self._writer = Writer(self._root, Retention(self._limits, repair(self._root)))
        except BaseException:
            self._lock.close()
            raise
        self._thread.start()

    def close(self, timeout_s: float) -> bool:
        """End every recording; return whether that took no longer than `timeout_s`. The next start repairs the rest."""
        self._intake.close()
        self._thread.join(timeout_s)
        if self._thread.is_alive() or self._lock is None:
            return False
        self._lock.close()
        return not self._writer.unfinished_count

    @property
    def hooks(self) -> StoreHooks:
        """What the store calls: it takes every segment, or counts it as lost when the disk is too slow.

        A stream that was ended and is published again is another recording.
        """
        return StoreHooks(on_segment=self._intake.segment, on_interrupt=self._intake.interrupt, on_end=self._intake.end)

    @property
    def lost_segments(self) -> int:
        """Segments that were published and are in no recording."""
        return self._writer.lost_segments + self._intake.refused

    @property
    def state(self) -> str:
        """`recording` or `idle`, else what is wrong: a value of `FAULTS`, `disk too slow` or `stopped by a bug`."""
        if self._has_failed:
            return "stopped by a bug"
        if self._writer.fault:
            return self._writer.fault
        if self._intake.refused > self._seen_refused:
            self._seen_refused, self._refused_s = self._intake.refused, time.monotonic()
        if time.monotonic() - self._refused_s < TOO_SLOW_S:
            return "disk too slow"
        return "recording" if self._writer.unfinished_count else "idle"

    def alert(self) -> str | None:
        """Return what is wrong with the recording as a sentence, or None."""
        state = self.state
        if state in ("recording", "idle"):
            return None
        return f"recording: {state}; {self.lost_segments} segments lost so far, the streams go on"

    def facts(self) -> dict[str, object]:
        """Return what `/healthz` says of the recording."""
        return {
            "state": self.state,
            "lost_segments": self.lost_segments,
            "live_recordings": self._writer.unfinished_count,
            "size_bytes": self._writer.size_bytes,
        }

    def _run(self) -> None:
        try:
            while True:
                self._writer.handle(self._intake.get(TICK_S))
        except EOFError:
            self._writer.end_all()
        except Exception:
            self._has_failed = True
            self._intake.close()
            log.exception("the recorder stopped; the streams go on")
