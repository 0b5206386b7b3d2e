"""Marks: what the pipeline tells about each frame and segment while it works, if anyone listens.

The pipeline calls a `Marks`; `NoMarks` ignores it, `RecordingMarks` keeps it. Moments (`..._s`) are
`time.monotonic()`; CPU (`cpu_s`) is the difference of `time.thread_time()` around a stage in its own thread. Stages
that take microseconds a frame have no mark of each frame, which would cost more than they do, but a `StageClock`.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Literal, NamedTuple, Protocol, TypeAlias

Stage: TypeAlias = Literal["demux", "audio"]
"""`demux`: a received video message made into a timed source packet. `audio`: audio on its way from the received
message into the segments of every rung, part of it in the event loop and part in the packager's thread."""


class ArrivedMark(NamedTuple):
    """A source frame whose RTMP message was complete."""

    stream: str
    frame: int
    pts: int
    is_keyframe: bool
    bytes: int
    arrival_s: float


class DecodedMark(NamedTuple):
    """A source frame that left the decoder; `cpu_s` includes calls before it that gave no frame."""

    stream: str
    frame: int
    cpu_s: float
    at_s: float


class EncodedMark(NamedTuple):
    """A frame that left one rung's encoder; a copied rung has none."""

    stream: str
    rung: str
    frame: int
    starts_segment: bool
    scale_cpu_s: float
    encode_cpu_s: float
    at_s: float


class MuxedMark(NamedTuple):
    """A frame that the rung's muxer took."""

    stream: str
    rung: str
    frame: int
    cpu_s: float
    at_s: float
    starts_segment: bool


class SegmentMark(NamedTuple):
    """A published segment; `segment_publish_s` = `closed_s` − `closing_arrival_s`.

    `closing_arrival_s` is the arrival of the frame that closes it, the first frame of the next segment;
    None for a segment that the end of the stream, or of its timeline, closed.
    """

    stream: str
    rung: str
    segment: int
    first_arrival_s: float
    closing_arrival_s: float | None
    closed_s: float
    duration_s: float
    bytes: int


class DroppedMark(NamedTuple):
    """A source frame that no rung saw: before the first keyframe, in overload, undecodable or out of order."""

    stream: str
    frame: int


class RestartMark(NamedTuple):
    """The first frame that came out after an encoder process had died and was replaced.

    `cause` names the process and its end; `outage_s` runs from the death being noticed to this frame; `gap_s` is the
    time between the frames shown before and after the hole, `gap_segments` the same in segments.
    """

    stream: str
    cause: str
    at_s: float
    outage_s: float
    gap_s: float
    gap_segments: float

    def __str__(self) -> str:
        gap = f"gap {self.gap_s:.2f} s, {self.gap_segments:.2f} segments"
        return f"{self.stream}: {self.cause}, restarted in {self.outage_s:.2f} s: {gap}"


class StageClock:
    """Adds up the CPU that one thread spends on one stage; a thread has a clock of its own, so no lock is needed.

    Attributes:
        cpu_s: thread CPU between every `start` and the `stop` after it.
    """

    __slots__ = ("_began_s", "cpu_s")

    def __init__(self) -> None:
        self.cpu_s = self._began_s = 0.0

    def start(self) -> None:
        """Begin; a start that was never stopped, because the stage raised, is forgotten."""
        self._began_s = time.thread_time()

    def stop(self) -> None:
        """Add what was spent since `start`."""
        self.cpu_s += time.thread_time() - self._began_s


class _StillClock(StageClock):
    """A clock that nobody reads, and that does not run."""

    __slots__ = ()

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


STILL_CLOCK: StageClock = _StillClock()
"""What whoever does not listen gives for every stage."""


class Marks(Protocol):
    """Receives every mark; called from many threads, must be quick and must not raise."""

    def clock(self, stage: Stage) -> StageClock:
        """Return a new clock for one thread's part of a stage of one stream; `STILL_CLOCK` if nobody reads it."""

    def published(self, stream: str, at_s: float) -> None:
        """A publisher of `stream` was accepted."""

    def arrived(self, mark: ArrivedMark) -> None:
        """See `ArrivedMark`."""

    def decoded(self, mark: DecodedMark) -> None:
        """See `DecodedMark`."""

    def encoded(self, mark: EncodedMark) -> None:
        """See `EncodedMark`."""

    def muxed(self, mark: MuxedMark) -> None:
        """See `MuxedMark`."""

    def segment_closed(self, mark: SegmentMark) -> None:
        """See `SegmentMark`."""

    def dropped(self, mark: DroppedMark) -> None:
        """See `DroppedMark`."""

    def restarted(self, mark: RestartMark) -> None:
        """See `RestartMark`."""


class NoMarks:
    """Marks that nobody reads."""

    def clock(self, stage: Stage) -> StageClock:
        """Return the clock that does not run."""
        return STILL_CLOCK

    def published(self, stream: str, at_s: float) -> None:
        """Ignore it."""

    def arrived(self, mark: ArrivedMark) -> None:
        """Ignore it."""

    def decoded(self, mark: DecodedMark) -> None:
        """Ignore it."""

    def encoded(self, mark: EncodedMark) -> None:
        """Ignore it."""

    def muxed(self, mark: MuxedMark) -> None:
        """Ignore it."""

    def segment_closed(self, mark: SegmentMark) -> None:
        """Ignore it."""

    def dropped(self, mark: DroppedMark) -> None:
        """Ignore it."""

    def restarted(self, mark: RestartMark) -> None:
        """Ignore it."""


class RecordingMarks:
    """Marks kept in lists, in the order they came; one writer or many, as `list.append` is atomic.

    Attributes:
        publications: `(stream, at_s)` of every accepted publisher.
        frames, decodes, encodes, muxes, segments, drops, restarts: one list per kind of mark.
    """

    def __init__(self) -> None:
        self.publications: list[tuple[str, float]] = []
        self.frames: list[ArrivedMark] = []
        self.decodes: list[DecodedMark] = []
        self.encodes: list[EncodedMark] = []
        self.muxes: list[MuxedMark] = []
        self.segments: list[SegmentMark] = []
        self.drops: list[DroppedMark] = []
        self.restarts: list[RestartMark] = []
        self._clocks: dict[Stage, list[StageClock]] = defaultdict(list)
        self.arrived = self.frames.append
        self.decoded = self.decodes.append
        self.encoded = self.encodes.append
        self.muxed = self.muxes.append
        self.segment_closed = self.segments.append
        self.dropped = self.drops.append
        self.restarted = self.restarts.append

    def clock(self, stage: Stage) -> StageClock:
        """Return a clock that `cpu_s` reads."""
        clock = StageClock()
        self._clocks[stage].append(clock)
        return clock

    def cpu_s(self, stage: Stage) -> float | None:
        """Return the thread CPU of a stage so far, all streams and threads together; None if it has not run."""
        return sum(clock.cpu_s for clock in list(self._clocks[stage])) or None

    def published(self, stream: str, at_s: float) -> None:
        """Keep it."""
        self.publications.append((stream, at_s))
