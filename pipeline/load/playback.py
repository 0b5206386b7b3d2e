"""A player's clock without a player: what is buffered, when it runs dry, and when a playlist is due again."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.hls.parser import MediaPlaylist

HOLD_BACK_TARGETS = 3
"""Target durations that a player starts behind the live edge (RFC 8216, 6.3.3; hls.js `liveSyncDurationCount`)."""


class Playback:
    """The buffer of one session; starts to play with the first segment, as hls.js does.

    Attributes:
        first_s: when the first segment had come; None before.
        stalls: how often the buffer ran dry.
        stalled_s: for how long in all.
    """

    def __init__(self) -> None:
        self.first_s: float | None = None
        self.stalls = 0
        self.stalled_s = 0.0
        self._end_s = 0.0  # when what is buffered will have been played

    def add(self, duration_s: float, now_s: float) -> None:
        """Take in a segment."""
        if self.first_s is None:
            self.first_s = self._end_s = now_s
        self._run_dry(now_s)
        self._end_s = max(self._end_s, now_s) + duration_s

    def leave(self, now_s: float) -> None:
        """End the session; a stall that is under way counts up to now."""
        if self.first_s is not None:
            self._run_dry(now_s)
            self._end_s = max(self._end_s, now_s)

    def buffered_s(self, now_s: float) -> float:
        """Return how long playing can go on with what there is."""
        return max(self._end_s - now_s, 0.0)

    def _run_dry(self, now_s: float) -> None:
        if now_s > self._end_s:
            self.stalls += 1
            self.stalled_s += now_s - self._end_s


class Due(NamedTuple):
    """A request to come.

    Attributes:
        intended_s: when it should be sent, by the clock alone; its latency counts from here.
        at_s: when it is sent: later, if the answer before came later than that.
    """

    intended_s: float
    at_s: float


class PollSchedule:
    """When a media playlist is asked for, as hls.js 1.6 does: a chain of times that a late answer sets anew."""

    def __init__(self, start_s: float) -> None:
        """Ask first at `start_s`."""
        self._at_s = start_s

    def after(self, interval_s: float, *, answered_s: float) -> Due:
        """Return the next request, `interval_s` after the last one was due but not before its answer."""
        intended_s = self._at_s + interval_s
        self._at_s = max(intended_s, answered_s)
        return Due(intended_s, self._at_s)


def reload_interval_s(playlist: MediaPlaylist, before: MediaPlaylist | None) -> float:
    """Return how long to wait before the playlist is asked for again.

    The target duration, or half of it where nothing was new (RFC 8216, 6.3.4); the last segment's own duration where
    that is shorter, as hls.js does it near the live edge.
    """
    if before is not None and before.end_sequence == playlist.end_sequence:
        return playlist.target_duration_s / 2
    return min([float(playlist.target_duration_s), *(segment.duration_s for segment in playlist.segments[-1:])])


def start_sequence(playlist: MediaPlaylist) -> int:
    """Return the segment to start with: the one that is `HOLD_BACK_TARGETS` target durations before the end."""
    behind_s = 0.0
    for segment in reversed(playlist.segments):
        behind_s += segment.duration_s
        if behind_s >= HOLD_BACK_TARGETS * playlist.target_duration_s:
            return segment.sequence
    return playlist.media_sequence
