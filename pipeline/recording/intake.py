"""Where the packagers' threads leave segments and never wait, and where the writer picks them up."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from pipeline.hls.store import Segment, StreamStore
from pipeline.recording.recording import Place

MAX_WAITING_BYTES = 128 * 2**20
"""Segments that may wait for the disk: some 15 s of ten 720p ladders and more."""
MAX_WAITING_SEGMENTS = 1024


@dataclass(eq=False, slots=True)
class Feed:
    """One broadcast as it comes in; a stream that was ended and is published again is another one."""

    stream: StreamStore
    run: int = 0
    first: dict[str, int] = field(default_factory=dict)
    """Sequence of each rung's first segment in this run."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One segment on its way to the disk."""

    feed: Feed
    rung: str
    place: Place
    segment: Segment


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more comes of this broadcast."""

    feed: Feed


class Intake:
    """A queue bounded in segments and bytes: what does not fit is refused and counted. Safe from any thread.

    Attributes:
        refused: segments that found it full.
    """

    def __init__(self, *, max_bytes: int = MAX_WAITING_BYTES, max_segments: int = MAX_WAITING_SEGMENTS) -> None:
        self._max_bytes, self._max_segments = max_bytes, max_segments
        self._changed = threading.Condition()
        self._waiting: deque[Taken | Ended] = deque()
        self._waiting_bytes = 0
        self._feeds: dict[str, Feed] = {}
        self._is_closed = False
        self.refused = 0

    def segment(self, stream: StreamStore, rung: str, segment: Segment) -> None:
        """Take a segment, if there is room for it."""
        with self._changed:
            if self._is_closed:
                return
            feed = self._feeds.setdefault(stream.name, Feed(stream))
            place = Place(feed.run, segment.sequence - feed.first.setdefault(rung, segment.sequence))
            size = len(segment.data)
            if len(self._waiting) >= self._max_segments or self._waiting_bytes + size > self._max_bytes:
                self.refused += 1
                return
            self._waiting_bytes += size
            self._waiting.append(Taken(feed, rung, place, segment))
            self._changed.notify()

    def interrupt(self, stream: StreamStore) -> None:
        """Note that the publisher is gone: the rungs of the next one start in step."""
        with self._changed:
            feed = self._feeds.get(stream.name)
            if feed is not None and feed.first:
                feed.run, feed.first = feed.run + 1, {}

    def end(self, stream: StreamStore) -> None:
        """Note that nothing more comes of this broadcast."""
        with self._changed:
            feed = self._feeds.pop(stream.name, None)
            if feed is not None:
                self._waiting.append(Ended(feed))
                self._changed.notify()

    def close(self) -> None:
        """End every broadcast and take no more."""
        with self._changed:
            self._is_closed = True
            self._waiting.extend(map(Ended, self._feeds.values()))
            self._feeds.clear()
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Taken | Ended | None:
        """Return what came first, waiting for it up to `timeout_s`; None if there is nothing.

        Raises:
            EOFError: it is closed and empty.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._is_closed, timeout_s):
                return None
            if not self._waiting:
                raise EOFError
            item = self._waiting.popleft()
            if isinstance(item, Taken):
                self._waiting_bytes -= len(item.segment.data)
            return item
