"""What a replay may know of a run: who sent which frame when, into which ladder; nothing measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from sim.calibration.tables import Bundle

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SLOT_TOLERANCE = 0.25
"""Frame periods that a frame may come before its slot in a slower rung: publishers round to milliseconds."""
COLUMNS = ["stream", "frame", "arrival_s", "pts_s", "is_keyframe", "bytes"]
"""Of a bundle's frames: all that is read."""
USUAL_STAGGER_S = 0.31
"""Between the starts of two streams, where no run of the bundle shows it."""


@dataclass(frozen=True)
class StreamArrivals:
    """The frames of one stream, in arrival order; arrays of one length.

    Attributes:
        number: of the stream in its run.
        arrival_s: when each was complete at the server, since the start of the run.
        pts_s: presentation times.
        is_keyframe: of the source.
        frame: their numbers in the stream.
        bytes: their sizes.
    """

    number: int
    arrival_s: Floats
    pts_s: Floats
    is_keyframe: Bools
    frame: npt.NDArray[np.int64]
    bytes: Floats

    def copy(self, number: int, *, later_s: float) -> StreamArrivals:
        """Return the same frames as another stream, arriving later."""
        return dataclasses.replace(self, number=number, arrival_s=self.arrival_s + later_s)

    def until(self, end_s: float) -> StreamArrivals:
        """Return the frames that arrive up to a moment."""
        kept = self.arrival_s <= end_s
        return StreamArrivals(
            self.number,
            self.arrival_s[kept],
            self.pts_s[kept],
            self.is_keyframe[kept],
            self.frame[kept],
            self.bytes[kept],
        )

    def segments(self, segment_s: float) -> npt.NDArray[np.int64]:
        """Return the segment of each frame: a segment opens with the first frame at or after each boundary.

        Boundaries count from the first frame. After a hole the next boundary is at least half a segment away.
        """
        index = np.empty(self.pts_s.size, dtype=np.int64)
        segment, boundary = 0, self.pts_s[0] + segment_s
        for position, pts in enumerate(self.pts_s):
            if pts >= boundary - 1e-6:
                segment += 1
                boundary += (math.floor((pts - boundary) / segment_s + 0.5) + 1) * segment_s
            index[position] = segment
        return index

    def gop_segments(self, segment_s: float) -> npt.NDArray[np.int64]:
        """Return the segment of each frame where the publisher's own keyframes open them.

        One does if the next, expected after as long as the last took, would be further from a segment's length.
        """
        opens = np.zeros(self.pts_s.size, dtype=np.int64)
        start_s = keyframe_s = self.pts_s[0]
        for position in np.flatnonzero(self.is_keyframe):
            pts_s = self.pts_s[position]
            if position and pts_s - start_s + (pts_s - keyframe_s) / 2 >= segment_s - 1e-6:
                opens[position], start_s = 1, pts_s
            keyframe_s = pts_s
        return opens.cumsum()

    def kept(self, fps: float, segments: npt.NDArray[np.int64]) -> Bools:
        """Return which frames a rung of `fps` encodes: the first of each slot, counted within its segment."""
        opens = np.r_[True, np.diff(segments) > 0]
        origin = self.pts_s[opens][segments]
        slot = np.floor((self.pts_s - origin) * fps + SLOT_TOLERANCE)
        kept: Bools = opens | np.r_[True, np.diff(slot) > 0]
        return kept


@dataclass(frozen=True)
class Arrivals:
    """One load as it came to the server, and its configuration.

    Attributes:
        streams: one entry per stream, in the order of their numbers.
        source: what they sent.
        ladder: what was made of it.
        content: what they show.
        cores: logical processors of the machine.
        warm_up_segments: segments of the last stream to start that are not measured.
        has_generator: whether the load generator runs on the same cores.
    """

    streams: tuple[StreamArrivals, ...]
    source: Source
    ladder: Ladder
    content: str
    cores: int
    warm_up_segments: int
    has_generator: bool = True

    def segments(self, stream: StreamArrivals) -> npt.NDArray[np.int64]:
        """Return the segment of each frame of one of the streams, as its ladder is cut."""
        cut = stream.segments if self.ladder.copied is None else stream.gop_segments
        return cut(self.ladder.segment_s)

    def until(self, end_s: float) -> Arrivals:
        """Return the load as if it had ended at a moment."""
        return dataclasses.replace(self, streams=tuple(stream.until(end_s) for stream in self.streams))

    @property
    def window_end_s(self) -> float:
        """When the first stream ends: the load is smaller from then on."""
        return min(float(stream.arrival_s[-1]) for stream in self.streams)

    @property
    def window_start_s(self) -> float:
        """When the last stream has its warm-up behind it; what arrives from then on counts."""
        starts = []
        for stream in self.streams:
            opened = np.flatnonzero(self.segments(stream) >= self.warm_up_segments)
            if not opened.size:
                raise CalibrationError(
                    f"a stream ends within its warm-up of {self.warm_up_segments} segments; measure longer"
                )
            starts.append(float(stream.arrival_s[opened[0]]))
        return max(starts)


def arrivals_of(bundle: Bundle, run: int) -> Arrivals:
    """Return arrivals and configuration of one run; no other column of the bundle is read."""
    frames = bundle.frames.loc[bundle.frames["run"] == run, COLUMNS]
    frames = frames.dropna(subset=["arrival_s", "pts_s"])
    if frames.empty:
        raise CalibrationError(f"{bundle.folder}: no frame of run {run} arrived; there is nothing to replay")
    numbers = sorted(frames["stream"].unique().tolist())
    streams = tuple(_stream(number, frames[frames["stream"] == number]) for number in numbers)
    content, facts = bundle.content_of(run), bundle.meta
    return Arrivals(
        streams, content.source, bundle.ladder_of(run), content.shows, facts.machine.cores, facts.warm_up_segments
    )


def _stream(number: int, frames: pd.DataFrame) -> StreamArrivals:
    ordered = frames.sort_values("frame")
    return StreamArrivals(
        number,
        ordered["arrival_s"].to_numpy(float),
        ordered["pts_s"].to_numpy(float),
        ordered["is_keyframe"].to_numpy(bool),
        ordered["frame"].to_numpy(np.int64),
        ordered["bytes"].to_numpy(float),
    )


def replicated(pattern: Arrivals, streams: int, *, stagger_s: float) -> Arrivals:
    """Return a load that was not run: copies of the pattern's first stream, each started `stagger_s` later.

    A start is taken modulo the segment length. That keeps the phases in which the streams' keyframes fall, and
    the time in which all of them are live does not shrink as their number grows.
    """
    segment_s, first = pattern.ladder.segment_s, pattern.streams[0]
    starts_s = [math.fmod(number * stagger_s, segment_s) for number in range(streams)]
    copies = tuple(first.copy(number, later_s=start_s) for number, start_s in enumerate(starts_s))
    return dataclasses.replace(pattern, streams=copies)


def stagger_s(loads: Sequence[Arrivals]) -> float:
    """Return the time between the starts of two streams, the median over the loads of several."""
    starts = [np.sort([stream.arrival_s[0] for stream in load.streams]) for load in loads]
    steps = np.concatenate([np.diff(start) for start in starts])
    return float(np.median(steps)) if steps.size else USUAL_STAGGER_S
