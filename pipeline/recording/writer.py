"""What the recorder's thread does on the disk, one item at a time; a fault costs segments, never the thread."""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.recording.intake import Ended, Feed, Taken
from pipeline.recording.layout import make_recording_folder
from pipeline.recording.recording import Recording
from pipeline.recording.retention import Finished, Retention

log = logging.getLogger(__name__)

FAULTS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk full",
    errno.EFBIG: "file too large",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "read-only disk",
    errno.EIO: "disk error",
    errno.ENOENT: "folder removed",
    errno.ENOTDIR: "folder removed",
    errno.EMFILE: "out of file descriptors",
    errno.ENFILE: "out of file descriptors",
}
"""How a failed write is called; others go by the system's own words."""
LOG_EVERY_S = 60.0
"""A fault that lasts is logged again after so long."""


class Writer:
    """Makes recordings below one folder out of what the intake gives.

    Its attributes may be read from other threads.

    Attributes:
        lost_segments: segments that it was given and that are in no recording.
        fault: a value of `FAULTS` while the disk fails, else empty.
        unfinished_count: recordings that are being made, or whose end could not be written yet.
        size_bytes: what all recordings take, finished ones included.
    """

    def __init__(self, root: Path, retention: Retention) -> None:
        self._root, self._retention = root, retention
        self._live: dict[Feed, Recording] = {}
        self._ending: list[Recording] = []
        self._met: list[str] = []
        self._logged_s: dict[str, float] = {}
        self.lost_segments = 0
        self.fault = ""
        self.unfinished_count = 0
        self.size_bytes = retention.size_bytes(())

    def handle(self, item: Taken | Ended | None) -> None:
        """Do one item's work, if there is one, and all that is overdue."""
        self._met = []
        if isinstance(item, Taken):
            with self._faults_noted():
                self._write(item)
        elif isinstance(item, Ended) and item.feed in self._live:
            self._ending.append(self._live.pop(item.feed))
            self._ending[-1].end()
        with self._faults_noted():
            self._retention.apply(self._unfinished)
        listed = self._publish()
        unfinished = self._unfinished
        self.unfinished_count, self.size_bytes = len(unfinished), self._retention.size_bytes(unfinished)
        if self._met:
            self.fault = self._met[0]
        elif listed or not unfinished:
            self.fault = ""

    def end_all(self) -> None:
        """Try once to end every recording."""
        for feed in list(self._live):
            self.handle(Ended(feed))
        self.handle(None)

    @property
    def _unfinished(self) -> tuple[Recording, ...]:
        return (*self._live.values(), *self._ending)

    def _write(self, taken: Taken) -> None:
        recording = self._live.get(taken.feed)
        if recording is None:
            try:
                recording = self._live[taken.feed] = self._open(taken)
            except OSError:
                self._lose(1)
                raise
        try:
            recording.add(taken.rung, taken.place, taken.segment)
        except FileNotFoundError:
            self._abandon(recording)
            raise

    def _abandon(self, recording: Recording) -> None:
        """Give up a recording whose folder was removed: what it lists is gone. The next segment starts another."""
        recording.abandon()
        self._live = {feed: live for feed, live in self._live.items() if live is not recording}
        self._ending = [ending for ending in self._ending if ending is not recording]

    def _open(self, taken: Taken) -> Recording:
        folder = make_recording_folder(self._root, taken.feed.stream.name, taken.segment.unix_s)
        try:
            return Recording(folder, taken.feed.stream, lost=self._lose)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _publish(self) -> bool:
        """Bring all playlists up to date, and move what has ended to the finished; return whether one was written."""
        listed = False
        for recording in [recording for recording in self._unfinished if recording.is_stale]:
            with self._faults_noted():
                try:
                    recording.publish()
                except FileNotFoundError:
                    self._abandon(recording)
                    raise
                listed = True
                if recording.is_ended:
                    self._finish(recording)
        return listed

    def _finish(self, recording: Recording) -> None:
        self._ending.remove(recording)
        if recording.rows:
            self._retention.finished.append(Finished(recording.folder, recording.size_bytes, ended_unix_s=time.time()))

    def _lose(self, segments: int) -> None:
        self.lost_segments += segments

    @contextmanager
    def _faults_noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fault = FAULTS.get(error.errno or 0, error.strerror or str(error))
            self._met.append(fault)
            now_s = time.monotonic()
            if now_s - self._logged_s.get(fault, -LOG_EVERY_S) >= LOG_EVERY_S:
                self._logged_s[fault] = now_s
                log.warning("recording: %s (%s); the streams go on", fault, error)
