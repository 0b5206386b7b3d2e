"""The source rung: the publisher's own packets, passed on, and every rung's segments cut at its keyframes.

It stands between the backlog and the decoder. What it refuses no rung gets, so that all rungs hold the same frames;
what it passes on carries the number of its segment (`SourcePacket.segment`), which the encoders follow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.ladders.backend import TICKS_PER_S, Emit, LadderCounters, RungPacket, SourcePacket
from pipeline.ladders.decode import SourceDecoder
from pipeline.ladders.nal_units import NAL_IDR, NAL_PPS, NAL_SPS, annex_b, nal_type, nal_units, with_parameter_sets
from pipeline.ladders.pacing import GopSchedule
from scenarios.ladder import Ladder, Rung

LONGEST_GOP_SEGMENTS = 2
"""A publisher may leave this many segment lengths between two keyframes; viewers cannot start anywhere else."""
LONGEST_STEP = TICKS_PER_S
"""What one frame may count towards that: a hole in the video is not the publisher's keyframe interval."""


class SourceRefused(Exception):  # noqa: N818 - the end of a stream, read as "source refused: ..."
    """The publisher's video cannot be passed on as it is; the text says why and what to set."""


def source_packets(
    packets: Iterable[SourcePacket],
    ladder: Ladder,
    *,
    emit: Emit,
    counters: LadderCounters,
    refuse: Callable[[SourcePacket], None],
) -> Iterable[SourcePacket]:
    """Return the packets that are to be decoded; those of a copied rung are emitted on the way.

    Args:
        packets: from the backlog, in arrival order.
        ladder: without a copied rung the packets come back as they are.
        emit: gets the packets of the copied rung, from the thread that iterates.
        counters: of the session.
        refuse: told of each packet that goes to no rung.

    Raises:
        SourceRefused: while iterating.
    """
    if ladder.copied is None:
        return packets
    passed = _passed(packets, SourceCopy(ladder.copied, ladder.segment_s, emit), counters, refuse)
    # Where nothing is encoded, nothing is decoded either.
    return passed if ladder.encoded else _exhausted(passed, counters)


def _passed(
    packets: Iterable[SourcePacket],
    copy: SourceCopy,
    counters: LadderCounters,
    refuse: Callable[[SourcePacket], None],
) -> Iterator[SourcePacket]:
    for packet in packets:
        passed = copy.take(packet)
        if passed is None:
            refuse(packet)
        else:
            counters.encoded[copy.rung.name] += 1
            yield passed


def _exhausted(packets: Iterable[SourcePacket], counters: LadderCounters) -> Iterator[SourcePacket]:
    for _ in packets:
        counters.decoded += 1
    yield from ()


class SourceCopy:
    """Turns source packets into packets of the copied rung, and numbers the segments of the whole ladder."""

    def __init__(self, rung: Rung, segment_s: float, emit: Emit) -> None:
        self.rung = rung
        self._segment_s, self._emit = segment_s, emit
        self._schedule = GopSchedule(segment_s)
        self._segment = -1
        self._part: tuple[int, list[bytes]] | None = None
        self._breaks = 0
        self._avcc = b""
        self._sized: tuple[bytes, list[bytes]] | None = None
        self._next_index = -1
        self._last_dts: int | None = None
        self._since_keyframe = 0

    def take(self, packet: SourcePacket) -> SourcePacket | None:
        """Emit the packet and return it with the number of its segment, or None: a rung cannot use it.

        That is a packet that is no H.264, and what follows it or another loss up to the next keyframe.

        Raises:
            SourceRefused: no keyframe came for too long, or the picture has another size than the rung says.
        """
        is_whole, self._next_index = packet.index == self._next_index, packet.index + 1
        units = _units(packet)
        is_keyframe = any(nal_type(unit) == NAL_IDR for unit in units)
        self._check_interval(packet, is_keyframe=is_keyframe)
        if not is_keyframe:
            is_usable = bool(units) and is_whole and self._part is not None and packet.avcc == self._avcc
        else:
            is_usable = self._has_size(packet, units)
        if not is_usable:
            self._next_index = -1
            return None
        units = with_parameter_sets(units, packet.avcc) if is_keyframe else units
        starts_segment = is_keyframe and self._starts_segment(packet, units)
        passed = dataclasses.replace(packet, segment=self._segment, epoch=packet.epoch + self._breaks)
        self._emit(_rung_packet(self.rung.name, passed, annex_b(units), starts_segment=starts_segment))
        return passed

    def _starts_segment(self, keyframe: SourcePacket, units: Sequence[bytes]) -> bool:
        """Return whether a segment starts here: always where the publisher's parameter sets change.

        That is a discontinuity of the copied rung, so it is made one of every rung (RFC 8216, 6.2.4).
        """
        part = (keyframe.epoch, [unit for unit in units if nal_type(unit) in (NAL_SPS, NAL_PPS)])
        self._avcc = keyframe.avcc
        if part != self._part:
            self._breaks += self._part is not None and part[1] != self._part[1]
            self._part = part
            self._schedule.restart()
        starts_segment = self._schedule.starts_segment(keyframe.pts)
        self._segment += starts_segment
        return starts_segment

    def _check_interval(self, packet: SourcePacket, *, is_keyframe: bool) -> None:
        step = packet.dts - self._last_dts if self._last_dts is not None else 0
        self._since_keyframe = 0 if is_keyframe else self._since_keyframe + min(step, LONGEST_STEP)
        self._last_dts = packet.dts
        longest_s = LONGEST_GOP_SEGMENTS * self._segment_s
        if self._since_keyframe > longest_s * TICKS_PER_S:
            frames = round(self._segment_s * self.rung.fps)
            raise SourceRefused(
                f"the source rung {self.rung.name!r} is copied and needs a keyframe every {self._segment_s:g} s; the "
                f"publisher sent none for {longest_s:g} s; set its keyframe interval to {self._segment_s:g} s (OBS: "
                f"Output, Keyframe Interval; ffmpeg: -g {frames}), with closed groups of pictures"
            )

    def _has_size(self, keyframe: SourcePacket, units: Sequence[bytes]) -> bool:
        """Return whether a picture can be made of the keyframe; one is, whenever its parameter sets are new."""
        sized = (keyframe.avcc, [unit for unit in units if nal_type(unit) == NAL_SPS])
        if sized == self._sized:
            return True
        size = _picture_size(keyframe)
        if size is None:
            return False
        if size != (self.rung.width, self.rung.height):
            raise SourceRefused(
                f"the source rung {self.rung.name!r} is copied and declared as {self.rung.width}x{self.rung.height}; "
                f"the publisher sends {size[0]}x{size[1]}; set its output to the size of the ladder's first rung"
            )
        self._sized = sized
        return True


def _units(packet: SourcePacket) -> list[bytes]:
    try:
        return nal_units(packet.data)
    except ValueError:
        return []


def _picture_size(keyframe: SourcePacket) -> tuple[int, int] | None:
    """Return width and height of a keyframe's picture, None if there is none in it."""
    decoder = SourceDecoder(keyframe.avcc)
    for decoded in (*decoder.decode(keyframe), *decoder.flush()):
        return decoded.picture.width, decoded.picture.height
    return None


def _rung_packet(rung: str, packet: SourcePacket, data: bytes, *, starts_segment: bool) -> RungPacket:
    return RungPacket(
        rung=rung,
        pts=packet.pts,
        dts=packet.dts,
        data=data,
        is_keyframe=starts_segment,
        frame_index=packet.index,
        arrival_s=packet.arrival_s,
        epoch=packet.epoch,
    )
