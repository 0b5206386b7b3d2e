"""One broadcast on disk: rows of segments, and playlists that list nothing but whole files.

A row is the segments of one number, one for each rung. It is listed in all rungs at once or in none, so the rungs
stay alike and their discontinuities match, as RFC 8216, 6.2.4 wants it.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.hls.playlist import ENDLIST, media_head, multivariant_playlist, segment_entry
from pipeline.hls.store import Init, Segment, StreamStore, whole_seconds
from pipeline.recording.layout import PLAYLIST, write_whole


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment belongs.

    Attributes:
        run: counts the publishers of this broadcast, from 0: rungs start anew, in step, with each.
        row: counts the rung's segments within the run, from 0, published or lost.
    """

    run: int
    row: int


@dataclass(slots=True)
class _Row:
    """The segments of one number, on disk, without their bytes."""

    segments: dict[str, Segment] = field(default_factory=dict)
    size_bytes: int = 0
    arrived: int = 0
    failed: bool = False


@dataclass(slots=True)
class _Rung:
    """What the media playlist of one rung says."""

    target_duration_s: int
    version: int
    """Of its playlist."""
    init: Init | None = None
    """Of its latest listed segment, without its bytes."""
    kept_inits: set[int] = field(default_factory=set)
    """Numbers of the init segments on disk."""
    entries: deque[str] = field(default_factory=deque)
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    reached: int = -1
    """The row of its latest segment in this run."""


class Recording:
    """A broadcast that is being recorded; used by one thread.

    Attributes:
        folder: where it lies.
        size_bytes: what its segments take.
        is_stale: whether the playlists on disk are behind; `publish` brings them up.
        is_ended: whether no segment will follow.
    """

    def __init__(self, folder: Path, stream: StreamStore, *, lost: Callable[[int], None]) -> None:
        """Start in an empty folder; `lost` is called with the number of segments that will never be listed.

        Raises:
            OSError: the rungs' folders cannot be made.
        """
        self.folder, self.size_bytes = folder, 0
        self.is_stale = self.is_ended = False
        self._stream, self._lost = stream, lost
        target_duration_s = max(1, whole_seconds(stream.ladder.segment_s))
        self._rungs = {
            name: _Rung(target_duration_s, rung.container.playlist_version) for name, rung in stream.rungs.items()
        }
        self._run = 0
        self._open: dict[int, _Row] = {}
        self._rows: deque[_Row] = deque()
        self._doomed: list[Path] = []
        self._is_broken = self._was_cut = False
        for name in self._rungs:
            (folder / name).mkdir()

    @property
    def rows(self) -> int:
        """Rows that are listed, or will be with the next `publish`."""
        return len(self._rows)

    @property
    def oldest_unix_s(self) -> float:
        """Wall time of the first frame of the oldest row."""
        return min(segment.unix_s for segment in self._rows[0].segments.values())

    def add(self, rung: str, place: Place, segment: Segment) -> None:
        """Write one segment, and settle the rows that nothing can be added to any more.

        Raises:
            OSError: it could not be written; its row is lost in every rung, and the next goes on after a
                discontinuity.
        """
        if place.run != self._run:
            self._close_run()
            self._run = place.run
        row = self._open.setdefault(place.row, _Row())
        row.arrived += 1
        self._rungs[rung].reached = place.row
        try:
            if not row.failed:
                row.segments[rung] = self._write(rung, segment)
                row.size_bytes += len(segment.data)
                self.size_bytes += len(segment.data)
        except OSError:
            row.failed = True
            raise
        finally:
            self._settle(min(rung.reached for rung in self._rungs.values()))

    def _write(self, rung: str, segment: Segment) -> Segment:
        """Write a segment, after its init segment if that is new; return it without bytes."""
        folder, kept = self.folder / rung, self._rungs[rung].kept_inits
        init = segment.init
        if init is not None and init.number not in kept:
            write_whole(folder / init.name, init.data)
            kept.add(init.number)
        write_whole(folder / segment.name, segment.data)
        return replace(segment, data=b"", init=replace(init, data=b"") if init is not None else None)

    def cut(self) -> None:
        """Take the oldest row out of the playlists; its files go after the next `publish`."""
        row = self._rows.popleft()
        for name, segment in row.segments.items():
            rung = self._rungs[name]
            rung.entries.popleft()
            rung.media_sequence += 1
            rung.discontinuity_sequence += segment.discontinuity
            if self._rows and name in self._rows[0].segments:
                rung.entries[0] = segment_entry(self._rows[0].segments[name])  # it names its init: none before it does
        self.size_bytes -= row.size_bytes
        self._doomed += self._files(row)
        self._was_cut = self.is_stale = True

    def end(self) -> None:
        """Say that no segment will follow; the playlists hear of it with the next `publish`."""
        self._close_run()
        self.is_ended = self.is_stale = True

    def abandon(self) -> None:
        """Forget it: its folder is gone."""
        for row in self._open.values():
            self._lost(row.arrived)

    def publish(self) -> None:
        """Bring the playlists on disk up to date, then remove the files that they no longer list.

        Raises:
            OSError: not all could be written; those on disk stay true, and `is_stale` stays set.
        """
        listed = {name: rung for name, rung in self._rungs.items() if rung.entries}
        for name, rung in listed.items():
            write_whole(self.folder / name / PLAYLIST, self._media_playlist(rung).encode())
        if listed and len(listed) == len(self._rungs):
            write_whole(self.folder / PLAYLIST, multivariant_playlist(self._stream).encode())
        while self._doomed:
            self._doomed[-1].unlink(missing_ok=True)
            self._doomed.pop()
        if self.is_ended and not self._rows:
            shutil.rmtree(self.folder)
        self.is_stale = False

    def _media_playlist(self, rung: _Rung) -> str:
        """Return the text; `EVENT` promises that nothing is taken away, which a cut recording cannot."""
        head = media_head(
            version=rung.version,
            target_duration_s=rung.target_duration_s,
            media_sequence=rung.media_sequence,
            discontinuity_sequence=rung.discontinuity_sequence,
            playlist_type="VOD" if self.is_ended else "" if self._was_cut else "EVENT",
        )
        return head + "".join(rung.entries) + (ENDLIST if self.is_ended else "")

    def _settle(self, up_to: int) -> None:
        """List or lose the rows up to that number: every rung has come as far."""
        for number in sorted(number for number in self._open if number <= up_to):
            row = self._open.pop(number)
            if row.failed or len(row.segments) < len(self._rungs):
                self._lose(row)
            else:
                self._list(row)

    def _close_run(self) -> None:
        """List what a publisher left behind: rungs may end a row apart."""
        for number in sorted(self._open):
            row = self._open.pop(number)
            if row.failed:
                self._lose(row)
            else:
                self._list(row)
        for rung in self._rungs.values():
            rung.reached = -1

    def _list(self, row: _Row) -> None:
        for name, segment in row.segments.items():
            rung = self._rungs[name]
            broken = (segment.discontinuity or self._is_broken) and bool(self._rows)
            row.segments[name] = replace(segment, discontinuity=broken)
            rung.entries.append(segment_entry(row.segments[name], rung.init))
            rung.init = row.segments[name].init
            rung.target_duration_s = max(rung.target_duration_s, whole_seconds(segment.duration_s))
        self._rows.append(row)
        self._is_broken = False
        self.is_stale = True

    def _lose(self, row: _Row) -> None:
        """Remove at once what no playlist has listed."""
        self._lost(row.arrived)
        self._is_broken = True
        self.size_bytes -= row.size_bytes
        for path in self._files(row):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                self._doomed.append(path)

    def _files(self, row: _Row) -> list[Path]:
        return [self.folder / name / segment.name for name, segment in row.segments.items()]
