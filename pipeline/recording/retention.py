"""What the recordings may take of the disk, and what goes first when they take more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.recording.layout import TEMPORARY
from pipeline.recording.recording import Recording

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept.

    Attributes:
        hours: a recording is kept for so long after its end; one being made keeps its last so many hours.
        gib: segments of all recordings together, in GiB; passed by no more than one row of segments.
    """

    hours: float = 24.0
    gib: float = 20.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A recording that has ended."""

    folder: Path
    size_bytes: int
    ended_unix_s: float


class Retention:
    """Removes the oldest finished recordings, and only when none is left cuts those being made.

    Attributes:
        finished: recordings that have ended, the earliest first.
    """

    def __init__(self, limits: Limits, finished: Collection[Finished] = ()) -> None:
        self._limits = limits
        self.finished = sorted(finished, key=lambda recording: recording.ended_unix_s)

    def size_bytes(self, live: Collection[Recording]) -> int:
        """Return what all recordings take."""
        return sum(recording.size_bytes for recording in (*self.finished, *live))

    def apply(self, live: Collection[Recording]) -> None:
        """Remove and cut until the limits hold; cut recordings are stale and wait for their `publish`.

        Raises:
            OSError: a finished recording cannot be removed; it is tried again with the next call.
        """
        oldest_unix_s = time.time() - 3600 * self._limits.hours
        while self.finished and (self._is_too_much(live) or self.finished[0].ended_unix_s < oldest_unix_s):
            _remove(self.finished[0].folder)
            self.finished.pop(0)
        while cuttable := [recording for recording in live if recording.rows > 1]:
            oldest = min(cuttable, key=lambda recording: recording.oldest_unix_s)
            if not self._is_too_much(live) and oldest.oldest_unix_s >= oldest_unix_s:
                break
            oldest.cut()

    def _is_too_much(self, live: Collection[Recording]) -> bool:
        return self.size_bytes(live) > self._limits.gib * _GIB


def _remove(folder: Path) -> None:
    """Remove a recording; once begun, it no longer looks like one."""
    condemned = folder.with_name(folder.name + TEMPORARY)
    with suppress(FileNotFoundError):  # begun before, or removed by hand
        folder.rename(condemned)
    with suppress(FileNotFoundError):
        shutil.rmtree(condemned)
