"""Marks: what the pipeline tells about each frame and segment while it works, if anyone listens.

The pipeline calls a `Marks`; `NoMarks` ignores it, `RecordingMarks` keeps it. Moments (`..._s`) are
`time.monotonic()`; CPU (`cpu_s`) is the difference of `time.thread_time()` around a stage in its own thread.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


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


class Marks(Protocol):
    """Receives every mark; called from many threads, must be quick and must not raise."""

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
        self.arrived = self.frames.append
        self.decoded = self.decodes.append
        self.encoded = self.encodes.append
        self.muxed = self.muxes.append
        self.segment_closed = self.segments.append
        self.dropped = self.drops.append
        self.restarted = self.restarts.append

    def published(self, stream: str, at_s: float) -> None:
        """Keep it."""
        self.publications.append((stream, at_s))
