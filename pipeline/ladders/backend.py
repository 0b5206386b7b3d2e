"""The seam of the ladder: timed source packets in, timed packets per rung out.

A backend knows codecs, not HLS and not RTMP. It opens one session per broadcast; the session owns its threads
or processes, takes packets without ever blocking, and hands encoded packets to `emit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.marks import Marks
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder

TICKS_PER_S = 90_000
"""The clock of every `pts` and `dts` after ingest, that of MPEG-TS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePacket:
    """One video frame of the publisher, as it arrived.

    Attributes:
        index: its number in the stream, from 0, in arrival order.
        pts, dts: in ticks of 1/90,000 s; dts rises strictly within a stream.
        is_keyframe: whether a decoder can start here.
        data: the frame as AVCC (4-byte lengths).
        avcc: the decoder configuration record that belongs to it.
        arrival_s: when its last byte was here, by `time.monotonic()`.
        epoch: number of the timeline it belongs to; another one than before asks for a discontinuity.
        segment: number of the segment it belongs to, if a copied rung decides that; else None.
    """

    index: int
    pts: int
    dts: int
    is_keyframe: bool
    data: bytes
    avcc: bytes
    arrival_s: float
    epoch: int = 0
    segment: int | None = None

    @property
    def part(self) -> int:
        """A number whose change starts a segment in every encoded rung, whatever its time."""
        return self.epoch if self.segment is None else self.segment


@dataclass(frozen=True, slots=True, kw_only=True)
class RungPacket:
    """One coded frame of one rung.

    Attributes:
        rung: name of the rung.
        pts, dts: in ticks of 1/90,000 s, on the source's timeline; dts rises strictly, and 0 <= dts <= pts.
        data: the frame as Annex B; every keyframe is an IDR preceded by its SPS and PPS.
        is_keyframe: whether it starts a segment; all rungs start theirs at the same source frames. A copied rung
            has further IDRs within its segments, as its publisher sent them.
        frame_index: `SourcePacket.index` of the frame it was made from.
        arrival_s: arrival of that source frame.
        epoch: epoch of that source frame.
    """

    rung: str
    pts: int
    dts: int
    data: bytes
    is_keyframe: bool
    frame_index: int
    arrival_s: float
    epoch: int


@dataclass(slots=True)
class LadderCounters:
    """What became of the frames of one session; each field has one writing thread, any may read.

    At the end of a session fed = decoded + dropped + undecodable + out_of_order + lost, unless a thread failed.
    """

    fed: int = 0
    """Packets given to `feed`."""
    dropped: int = 0
    """Packets refused: before the first keyframe, or in overload up to the next keyframe."""
    undecodable: int = 0
    """Packets of which the decoder made no frame, or that a copied rung could not pass on."""
    out_of_order: int = 0
    """Frames whose pts is not after that of the frame shown before them."""
    lost: int = 0
    """Packets given to an encoder process that died before it had decoded them."""
    decoded: int = 0
    """Frames that left the decoder and went on to the rungs; where every rung is copied, packets passed on."""
    encoded: dict[str, int] = field(default_factory=dict)
    """Packets emitted, by rung."""


Emit = Callable[[RungPacket], None]
Ended = Callable[[BaseException | None], None]


class LadderSession(Protocol):
    """One broadcast being encoded."""

    counters: LadderCounters

    def feed(self, packet: SourcePacket) -> None:
        """Take one packet; never blocks. In overload packets are dropped up to a keyframe, and counted."""

    def close(self) -> None:
        """Take no more; what was fed is still encoded and emitted. Never blocks; harmless a second time."""

    def join(self, timeout_s: float) -> bool:
        """Wait until everything was emitted; return whether it was within `timeout_s`."""


class LadderBackend(Protocol):
    """A way to encode a ladder on this machine."""

    name: str

    def check(self, ladder: Ladder) -> None:
        """Raise EncoderUnavailable, with the reason, if this backend cannot encode the ladder."""

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> LadderSession:
        """Return a running session; encoders are opened in its threads, so this does not block.

        Args:
            source_avcc: the publisher's first decoder configuration record.
            ladder: the rungs and the length of segments.
            emit: called with every packet, from one thread per rung, in dts order per rung.
            ended: called once, after the last `emit`, with the error that ended the session or None.
            stream: name of the broadcast in marks and thread names.
            marks: told about every frame, if given.

        Raises:
            EncoderUnavailable: as `check`.
        """


def require_h264(ladder: Ladder, encoder: str) -> None:
    """Raise EncoderUnavailable, naming the rungs, if the ladder asks an H.264 encoder for another codec."""
    others = [f"{rung.name} ({rung.codec})" for rung in ladder.rungs if rung.codec != "h264"]
    if others:
        raise EncoderUnavailable(f"{encoder} encodes H.264 only, the ladder asks for {', '.join(others)}")
