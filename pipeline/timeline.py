"""The publisher's clock made into one timeline of 90 kHz ticks that only goes forward, and into wall time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pipeline.ladders.backend import TICKS_PER_S

TICKS_PER_MS = TICKS_PER_S // 1000
JUMP_MS = 1000
"""A step of the publisher's clock beyond this, either way, is another timeline and not a late frame."""
NOMINAL_FRAME = 3000
"""Ticks left between the last frame of one timeline and the first of the next: 1/30 s."""
MAX_LAG_S = 5.0
"""How far behind its arrival a frame's wall time may fall before the estimate starts anew."""


class Placed(NamedTuple):
    """A frame's place on the timeline, in ticks; `epoch` counts the jumps of the publisher's clock."""

    pts: int
    dts: int
    epoch: int


@dataclass(slots=True)
class _Track:
    last_ms: int | None = None
    last_dts: int = -1
    epoch: int = 0
    offset: int = 0


class Timeline:
    """Places video and audio of one broadcast on a common timeline.

    A track jumps when its time is more than `JUMP_MS` from its own last time. If it is then near the other
    track, it only had a hole, or follows a jump that the other track made first; else a new epoch begins
    right after everything placed so far. Smaller steps back are repaired by one tick.
    """

    def __init__(self) -> None:
        self._video, self._audio = _Track(), _Track()
        self._epochs = -1
        self._latest = -NOMINAL_FRAME

    def video(self, pts_ms: int, dts_ms: int) -> Placed:
        """Return the place of a video frame; dts rises strictly, pts is 0 to `JUMP_MS` after it."""
        dts = self._place(self._video, self._audio, dts_ms)
        pts = dts + min(max(pts_ms - dts_ms, 0), JUMP_MS) * TICKS_PER_MS
        self._latest = max(self._latest, pts)
        return Placed(pts, dts, self._video.epoch)

    def audio(self, pts_ms: int) -> Placed:
        """Return the place of an audio frame."""
        pts = self._place(self._audio, self._video, pts_ms)
        self._latest = max(self._latest, pts)
        return Placed(pts, pts, self._audio.epoch)

    def _place(self, track: _Track, other: _Track, time_ms: int) -> int:
        if track.last_ms is None or abs(time_ms - track.last_ms) > JUMP_MS:
            if other.last_ms is not None and abs(time_ms - other.last_ms) <= JUMP_MS:
                track.epoch, track.offset = other.epoch, other.offset
            else:
                self._epochs += 1
                track.epoch = self._epochs
                track.offset = self._latest + NOMINAL_FRAME - time_ms * TICKS_PER_MS
        track.last_ms = time_ms
        track.last_dts = max(time_ms * TICKS_PER_MS + track.offset, track.last_dts + 1)
        return track.last_dts


class WallClock:
    """Estimates when a frame was made, for `EXT-X-PROGRAM-DATE-TIME`, from timestamps and arrivals.

    The timeline is anchored at one arrival and followed from there, so that jitter of the network does not
    show; it is anchored anew when the estimate lies in the future (the anchor had come late) or too far
    behind (the publisher's clock is slow, or it paused).
    """

    def __init__(self, unix_offset_s: float) -> None:
        """Take the difference of `time.time()` and `time.monotonic()`."""
        self._unix_offset_s = unix_offset_s
        self._anchor: tuple[int, float] | None = None

    def restart(self) -> None:
        """Forget the anchor: what comes does not continue in wall time."""
        self._anchor = None

    def unix_s(self, pts: int, arrival_s: float) -> float:
        """Return the wall time, in seconds since 1970, of the frame at `pts` that arrived at `arrival_s`."""
        arrived_s = arrival_s + self._unix_offset_s
        if self._anchor is not None:
            anchor_pts, anchor_s = self._anchor
            estimate_s = anchor_s + (pts - anchor_pts) / TICKS_PER_S
            if arrived_s - MAX_LAG_S <= estimate_s <= arrived_s:
                return estimate_s
        self._anchor = (pts, arrived_s)
        return arrived_s
