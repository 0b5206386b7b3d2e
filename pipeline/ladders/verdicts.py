"""What is decided about a source frame once, for all the rungs that each decode it for themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.ladders.backend import LadderCounters, SourcePacket
from pipeline.ladders.pacing import KeyframeSchedule
from pipeline.marks import DecodedMark, DroppedMark, Marks


class Verdict(NamedTuple):
    """What becomes of a frame.

    Attributes:
        is_shown: whether rungs go on with it; False for a frame that is out of order.
        starts_segment: whether it must be a keyframe.
        segment: number of the segment it belongs to, from 1.
    """

    is_shown: bool
    starts_segment: bool
    segment: int


@dataclass(slots=True)
class _Expected:
    """A packet that went to the rungs: what it cost to hand out, and how many have yet to tell what came of it."""

    hand_out_cpu_s: float
    rungs_left: int
    verdict: Verdict | None = None


class SharedVerdicts:
    """The rung that shows a frame first decides about it; the others find what was decided.

    Every rung tells of every packet once: `shown` with its picture, or `lost`. What all have told of is forgotten, so
    that as much is remembered as the rungs are apart. Counts into the session's counters, and marks, frame by frame.
    """

    def __init__(
        self,
        segment_s: float,
        *,
        rungs: int,
        stream: str,
        counters: LadderCounters,
        marks: Marks,
        undecodable: Callable[[int], None],
    ) -> None:
        """Begin with nothing decided.

        Args:
            segment_s: length of a segment.
            rungs: how many tell of every packet.
            stream: name of the broadcast in marks.
            counters: of the session; `decoded` and `out_of_order` are counted here.
            marks: told about every frame that is decided.
            undecodable: called with the index of each packet of which no rung made a picture.
        """
        self._schedule = KeyframeSchedule(segment_s)
        self._rungs, self._stream = rungs, stream
        self._counters, self._marks, self._undecodable = counters, marks, undecodable
        self._expected: dict[int, _Expected] = {}
        self._last_pts: int | None = None
        self._segment = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many frames are remembered."""
        return len(self._expected)

    def expect(self, index: int, *, hand_out_cpu_s: float) -> None:
        """Note a packet that every rung is about to get, and the CPU that handing it out took."""
        with self._lock:
            self._expected[index] = _Expected(hand_out_cpu_s, self._rungs)

    def shown(self, source: SourcePacket) -> Verdict:
        """Return what was decided about a frame that left a rung's decoder."""
        with self._lock:
            expected = self._expected[source.index]
            if expected.verdict is None:
                expected.verdict = self._decide(source, expected)
            self._told(source.index, expected)
            return expected.verdict

    def lost(self, index: int) -> None:
        """Note that a rung's decoder made nothing of a packet; undecodable is one of which none did."""
        with self._lock:
            self._told(index, self._expected[index])

    def _decide(self, source: SourcePacket, expected: _Expected) -> Verdict:
        if self._last_pts is not None and source.pts <= self._last_pts:
            self._counters.out_of_order += 1
            self._marks.dropped(DroppedMark(self._stream, source.index))
            return Verdict(False, False, self._segment)
        self._last_pts = source.pts
        self._counters.decoded += 1
        self._marks.decoded(DecodedMark(self._stream, source.index, expected.hand_out_cpu_s, time.monotonic()))
        starts_segment = self._schedule.starts_segment(source.pts, source.part)
        self._segment += starts_segment
        return Verdict(True, starts_segment, self._segment)

    def _told(self, index: int, expected: _Expected) -> None:
        expected.rungs_left -= 1
        if expected.rungs_left > 0:
            return
        del self._expected[index]
        if expected.verdict is None:
            self._undecodable(index)
