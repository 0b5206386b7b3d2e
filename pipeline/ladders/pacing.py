"""Which frames start a segment, and which frames a slower rung keeps: decided once, before the fan-out."""

from __future__ import annotations

import math

from pipeline.ladders.backend import TICKS_PER_S
from scenarios.ladder import Ladder

SLOT_TOLERANCE = 0.25
"""How far, in frame periods, a frame may come before its slot: publishers round to milliseconds."""


NO_GRID_S = 1e9
"""Longer than any broadcast: no boundary ever comes."""


def grid_s(ladder: Ladder) -> float:
    """Return the seconds between two boundaries after which the encoders start a segment of their own accord.

    With a copied rung there is no boundary: segments start where its own do, at a new `SourcePacket.part`.
    """
    return ladder.segment_s if ladder.copied is None else NO_GRID_S


class KeyframeSchedule:
    """Picks the first frame at or after every boundary, and of every part, as the start of a segment."""

    def __init__(self, segment_s: float) -> None:
        self._segment = round(segment_s * TICKS_PER_S)
        self._boundary: int | None = None
        self._part = 0

    def starts_segment(self, pts: int, part: int) -> bool:
        """Return whether this frame must be a keyframe; the first frame of every part is one.

        The grid counts from the first frame of the part. A frame that comes late (after a hole) starts its
        segment late; the next boundary is then at least half a segment away.
        """
        if self._boundary is None or part != self._part:
            self._part = part
            self._boundary = pts + self._segment
            return True
        if pts < self._boundary:
            return False
        missed = (pts - self._boundary + self._segment // 2) // self._segment
        self._boundary += (missed + 1) * self._segment
        return True


class GopSchedule:
    """Picks, of a publisher's keyframes, those that start a segment.

    A segment ends at the keyframe nearest to its nominal length, as far as can be known: the next one is expected
    after as long as the last one took. Rounded times do not matter then, and neither does a GOP that is a little
    shorter or longer than a segment; a segment has two thirds of its nominal length at least.
    """

    def __init__(self, segment_s: float) -> None:
        self._segment = round(segment_s * TICKS_PER_S)
        self._start: int | None = None
        self._keyframe = 0

    def restart(self) -> None:
        """Let the next keyframe start a segment, whatever came before."""
        self._start = None

    def starts_segment(self, pts: int) -> bool:
        """Return whether this keyframe starts a segment; to be asked of every one, in order."""
        gop, self._keyframe = pts - self._keyframe, pts
        if self._start is not None and 2 * (pts - self._start) + gop < 2 * self._segment:
            return False
        self._start = pts
        return True


class FramePacer:
    """Thins the source's frames to a rung's rate, phase-locked to the segment's first frame.

    Frames are dropped, never repeated: a source slower than the rung passes unchanged.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._origin = 0
        self._slot = -1

    def keeps(self, pts: int, *, starts_segment: bool) -> bool:
        """Return whether the rung encodes this frame; a segment's first frame is always kept."""
        if starts_segment:
            self._origin, self._slot = pts, 0
            return True
        slot = math.floor((pts - self._origin) * self._fps / TICKS_PER_S + SLOT_TOLERANCE)
        if slot <= self._slot:
            return False
        self._slot = slot
        return True
