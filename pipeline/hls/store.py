"""The segments of every live stream, in memory: one writer per stream, any number of readers.

A rung keeps a window: the newest segments are listed in its playlist, a few older ones stay for readers who
hold an older playlist. What readers see is one immutable snapshot, replaced whole, so they need no lock and
never meet a half-written state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.hls.containers import MPEGTS, Container
from scenarios.ladder import Ladder, Rung

LISTED_SEGMENTS = 6
"""Segments in a playlist: three target durations that players stay behind, and as much again."""


@dataclass(frozen=True, slots=True)
class Init:
    """An init segment: what a player reads before the segments that refer to it (`EXT-X-MAP`)."""

    number: int
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """Its file name, beside the segments."""
        return f"init-{self.number}.mp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One media file, complete.

    Attributes:
        sequence: its media sequence number, from 0, unbroken per rung over reconnections.
        duration_s: from its first frame to the next segment's, or to the end.
        unix_s: estimated wall time of its first frame, for `EXT-X-PROGRAM-DATE-TIME`.
        discontinuity: whether its timestamps do not continue the segment before.
        data: its bytes, in the container of its rung.
        init: its init segment, where the container has any.
        suffix: of its file name, the container's.
    """

    sequence: int
    duration_s: float
    unix_s: float
    discontinuity: bool
    data: bytes = field(repr=False)
    init: Init | None = None
    suffix: str = MPEGTS.suffix

    @property
    def name(self) -> str:
        """Its file name, relative to its playlist."""
        return f"{self.sequence}{self.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one rung offers at one instant.

    Attributes:
        kept: all fetchable segments, oldest first; their sequence numbers are unbroken.
        limit: how many of the newest are listed.
        container: what the segments come in.
        discontinuity_sequence: discontinuities that have left the list.
        target_duration_s: whole seconds, never below a rounded segment duration; grows if it must.
        ended: no segment will follow.
        codecs: RFC 6381 names, set with the first segment.
        peak_bps: highest rate of a segment; one shorter than half a target duration does not count, as in RFC
            8216, 4.1.
        total_bytes, total_s: of all segments since the stream began.
    """

    kept: tuple[Segment, ...] = ()
    limit: int
    container: Container = MPEGTS
    discontinuity_sequence: int = 0
    target_duration_s: int
    ended: bool = False
    codecs: tuple[str, ...] = ()
    peak_bps: float = 0.0
    total_bytes: int = 0
    total_s: float = 0.0

    @property
    def listed(self) -> tuple[Segment, ...]:
        """The segments of the playlist, oldest first."""
        return self.kept[-self.limit :]

    def find(self, sequence: int) -> Segment | None:
        """Return the segment of that number, or None: never there, or no longer."""
        at = sequence - self.kept[0].sequence if self.kept else -1
        return self.kept[at] if 0 <= at < len(self.kept) else None

    def find_init(self, number: int) -> Init | None:
        """Return the init segment of that number, or None: there as long as a segment that refers to it."""
        inits = (segment.init for segment in self.kept)
        return next((init for init in inits if init is not None and init.number == number), None)

    @property
    def kept_limit(self) -> int:
        """How many stay: one that left, for its own duration and the longest playlist's (RFC 8216, 6.2.2)."""
        return 2 * self.limit + 1

    def with_segment(self, segment: Segment, codecs: tuple[str, ...]) -> Window:
        """Return the window after one more segment."""
        leaves_list = self.listed[0] if len(self.kept) >= self.limit else None
        counts = segment.duration_s >= self.target_duration_s / 2
        segment_bps = 8 * len(segment.data) / segment.duration_s
        return Window(
            kept=(*self.kept, segment)[-self.kept_limit :],
            limit=self.limit,
            container=self.container,
            discontinuity_sequence=self.discontinuity_sequence
            + (leaves_list is not None and leaves_list.discontinuity),
            target_duration_s=max(self.target_duration_s, whole_seconds(segment.duration_s)),
            codecs=codecs,
            peak_bps=max(self.peak_bps, segment_bps) if counts else self.peak_bps,
            total_bytes=self.total_bytes + len(segment.data),
            total_s=self.total_s + segment.duration_s,
        )


class RungStore:
    """One rung of one stream; written by the stream's packager only."""

    def __init__(
        self,
        rung: Rung,
        *,
        segment_s: float,
        listed: int,
        container: Container = MPEGTS,
        on_segment: Callable[[Segment], None] = lambda _: None,
    ) -> None:
        self.rung, self.container = rung, container
        self._on_segment = on_segment
        self._sequence = self._inits = 0
        self._broken = False
        target_s = max(1, whole_seconds(segment_s))
        self.window = Window(limit=listed, container=container, target_duration_s=target_s)

    def append(
        self,
        data: bytes,
        *,
        duration_s: float,
        unix_s: float,
        codecs: tuple[str, ...],
        discontinuity: bool = False,
        init: bytes | None = None,
    ) -> Segment:
        """Publish a segment: when this returns it and its init can be fetched and its playlist lists it."""
        segment = Segment(
            sequence=self._sequence,
            duration_s=duration_s,
            unix_s=unix_s,
            discontinuity=discontinuity or self._broken,
            data=data,
            init=self._numbered(init) if init is not None else None,
            suffix=self.container.suffix,
        )
        self._sequence += 1
        self._broken = False
        self.window = self.window.with_segment(segment, codecs)
        self._on_segment(segment)
        return segment

    def _numbered(self, data: bytes) -> Init:
        """Return the init segment of these bytes: the same one as before, also for another muxer, else a new one."""
        for segment in reversed(self.window.kept):
            if segment.init is not None and segment.init.data == data:
                return segment.init
        self._inits += 1
        return Init(self._inits - 1, data)

    def end(self) -> None:
        """Say that no segment will follow; if one does after all, it is a discontinuity."""
        self.window = replace(self.window, ended=True)
        self.interrupt()

    def interrupt(self) -> None:
        """Say that the next segment, from another publisher, does not continue the last."""
        self._broken = bool(self.window.listed)


def whole_seconds(duration_s: float) -> int:
    """Round as RFC 8216 means it: halves go up."""
    return math.floor(duration_s + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHooks:
    """Who else hears of what is published; none may block or raise.

    Attributes:
        on_segment: called with stream, rung name and segment, from the packager's thread, once it can be fetched.
        on_interrupt: called when a publisher is gone and another may come, from the packager's thread.
        on_end: called when no segment will follow, from the event loop.
    """

    on_segment: Callable[[StreamStore, str, Segment], None] = lambda *_: None
    on_interrupt: Callable[[StreamStore], None] = lambda _: None
    on_end: Callable[[StreamStore], None] = lambda _: None


class StreamStore:
    """All rungs of one stream, by name, highest first."""

    def __init__(
        self,
        name: str,
        ladder: Ladder,
        *,
        listed: int = LISTED_SEGMENTS,
        container: Container = MPEGTS,
        hooks: StoreHooks | None = None,
    ) -> None:
        self.name = name
        self.ladder = ladder
        self._hooks = hooks or StoreHooks()
        self.rungs = {
            rung.name: RungStore(
                rung,
                segment_s=ladder.segment_s,
                listed=listed,
                container=container,
                on_segment=partial(self._hooks.on_segment, self, rung.name),
            )
            for rung in ladder.rungs
        }

    @property
    def playable(self) -> bool:
        """Whether every rung has a segment: only then is there a multivariant playlist."""
        return all(rung.window.listed for rung in self.rungs.values())

    def end(self) -> None:
        """End every rung."""
        for rung in self.rungs.values():
            rung.end()
        self._hooks.on_end(self)

    def interrupt(self) -> None:
        """Interrupt every rung: its publisher is gone, another may come."""
        for rung in self.rungs.values():
            rung.interrupt()
        self._hooks.on_interrupt(self)


class Store:
    """Every stream this origin knows; the only place that names of files come from."""

    def __init__(
        self, *, listed: int = LISTED_SEGMENTS, container: Container = MPEGTS, hooks: StoreHooks | None = None
    ) -> None:
        self._listed, self._container, self._hooks = listed, container, hooks
        self._streams: dict[str, StreamStore] = {}

    def stream(self, name: str, ladder: Ladder) -> StreamStore:
        """Return the stream of that name, made on its first publish and kept over reconnections."""
        found = self._streams.get(name)
        if found is None:
            found = StreamStore(name, ladder, listed=self._listed, container=self._container, hooks=self._hooks)
            self._streams[name] = found
        elif found.ladder != ladder:
            raise ValueError(f"stream {name!r} has another ladder")
        return found

    def find(self, name: str) -> StreamStore | None:
        """Return the stream of that name, or None."""
        return self._streams.get(name)

    def count(self, predicate: Callable[[StreamStore], bool] = lambda _: True) -> int:
        """Return how many streams satisfy the predicate."""
        return sum(map(predicate, self._streams.values()))
