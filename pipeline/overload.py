"""Overload of a running server, declared stream by stream: by the slope of the backlog, as `measure` judges a load."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.marks import NoMarks, SegmentMark
from scenarios.backlog import backlog_slope, grows

WINDOW_SEGMENTS = 8
"""Segments that a slope is fitted to; with fewer its interval tells nothing."""
RESOLUTION_S = 1 / 30
"""Growth over the window below one frame is none."""


@dataclass(slots=True)
class _Stream:
    """The newest segments of one stream, and whether it has been found to fall behind."""

    moments_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_SEGMENTS))
    lags_s: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_SEGMENTS))
    rung: str = ""
    usual_lag_s: float | None = None
    """The lag before it grew, while it is overloaded; a full queue stops growing, but the lag stays."""


class OverloadWatch(NoMarks):
    """Marks that are only watched for streams that fall behind.

    A stream is overloaded from the moment its lag grows with 95 % confidence until the lag is back where it was.
    Its lag is that of the rung that published its first segment: the rungs share a decoder and wait for each other.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Begin to watch; `say` is told in one line, from any thread, when a stream falls behind or has caught up."""
        self._say = say
        self._streams: dict[str, _Stream] = {}
        self._lock = threading.Lock()

    @property
    def overloaded(self) -> frozenset[str]:
        """Names of the streams that are behind."""
        with self._lock:
            return frozenset(name for name, stream in self._streams.items() if stream.usual_lag_s is not None)

    def published(self, stream: str, at_s: float) -> None:
        """A publisher begins: its lag has nothing to do with that of the one before."""
        with self._lock:
            self._streams[stream] = _Stream()

    def segment_closed(self, mark: SegmentMark) -> None:
        """Judge the stream anew."""
        if mark.closing_arrival_s is None:
            return
        with self._lock:
            stream = self._streams.setdefault(mark.stream, _Stream())
            stream.rung = stream.rung or mark.rung
            if mark.rung != stream.rung:
                return
            stream.moments_s.append(mark.closed_s)
            stream.lags_s.append(mark.closed_s - mark.closing_arrival_s)
            line = _judged(mark.stream, stream)
        if line is not None:
            self._say(line)


def _judged(name: str, stream: _Stream) -> str | None:
    """Note whether the stream is overloaded; return the line that says that this has changed, or None."""
    lag_s = stream.lags_s[-1]
    if stream.usual_lag_s is not None:
        if lag_s > stream.usual_lag_s + RESOLUTION_S:
            return None
        stream.usual_lag_s = None
        stream.moments_s.clear()
        stream.lags_s.clear()
        return f"{name} has caught up"
    if len(stream.lags_s) < WINDOW_SEGMENTS:
        return None
    slope = backlog_slope(stream.moments_s, stream.lags_s)
    if not grows(slope, window_s=stream.moments_s[-1] - stream.moments_s[0], frame_interval_s=RESOLUTION_S):
        return None
    stream.usual_lag_s = min(stream.lags_s)
    return f"{name} is overloaded: {lag_s:.2f} s behind, growing by {slope.middle:.3f} s/s; run fewer streams or rungs"
