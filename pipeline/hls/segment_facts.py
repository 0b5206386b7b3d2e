"""What one MPEG-TS segment holds, read through PyAV and, for the tables, from its packets."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import av

from pipeline.ladders.backend import TICKS_PER_S

PACKET_BYTES = 188
SYNC_BYTE = 0x47
PAT_PID, SDT_PID, NULL_PID = 0, 0x11, 0x1FFF
NAL_SLICE, NAL_IDR = 1, 5
PTS_MODULUS = 2**33


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFacts:
    """What the rules ask of a segment.

    Attributes:
        starts_with_tables: a PAT and its PMT stand before any media.
        starts_with_idr: the first video frame is an IDR picture.
        first_pts: time of the earliest video frame, in 1/90000 s modulo 2³³; None if no video can be read.
        video_s: from the first video frame to the end of the last, which is taken to be as long as most.
    """

    starts_with_tables: bool
    starts_with_idr: bool = False
    first_pts: int | None = None
    video_s: float = 0.0


def segment_facts(data: bytes) -> SegmentFacts:
    """Return what a segment's bytes hold; bytes that are no MPEG-TS hold nothing."""
    tables = _starts_with_tables(data)
    try:
        with av.open(io.BytesIO(data), format="mpegts") as container:
            if not container.streams.video:
                return SegmentFacts(starts_with_tables=tables)
            packets = [packet for packet in container.demux(video=0) if packet.size and packet.pts is not None]
    except av.error.FFmpegError:  # unreadable is a finding, not an error: `first_pts` stays None
        return SegmentFacts(starts_with_tables=tables)
    if not packets:
        return SegmentFacts(starts_with_tables=tables)
    times = sorted(packet.pts for packet in packets)
    frame = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 0
    return SegmentFacts(
        starts_with_tables=tables,
        starts_with_idr=_is_idr(bytes(packets[0])),
        first_pts=times[0] % PTS_MODULUS,
        video_s=(times[-1] - times[0] + frame) / TICKS_PER_S,
    )


def pts_step_s(earlier: int, later: int) -> float:
    """Return the seconds from one time stamp to another, over the wrap at 2³³; negative if it goes back."""
    half = PTS_MODULUS // 2
    return ((later - earlier + half) % PTS_MODULUS - half) / TICKS_PER_S


def _is_idr(annex_b: bytes) -> bool:
    """Whether the first slice of an access unit is of an IDR picture (ITU-T H.264, table 7-1)."""
    at = annex_b.find(b"\0\0\1")
    while 0 <= at < len(annex_b) - 3:
        kind = annex_b[at + 3] & 0x1F
        if NAL_SLICE <= kind <= NAL_IDR:
            return kind == NAL_IDR
        at = annex_b.find(b"\0\0\1", at + 3)
    return False


def _starts_with_tables(data: bytes) -> bool:
    """Whether the PAT, and the PMT it names, come before any other packet (ISO/IEC 13818-1, 2.4.4)."""
    pmt_pid = None
    for start in range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES):
        packet = data[start : start + PACKET_BYTES]
        if packet[0] != SYNC_BYTE:
            return False
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        if pid == PAT_PID:
            pmt_pid = _first_pmt_pid(packet)
        elif pid == pmt_pid:
            return True
        elif pid not in (SDT_PID, NULL_PID):
            return False
    return False


def _first_pmt_pid(packet: bytes) -> int | None:
    """Return the PID of the first program in a PAT of one packet, or None."""
    at = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)  # past an adaptation field
    if at >= PACKET_BYTES:
        return None
    program = at + 1 + packet[at] + 8  # past the pointer and the table's header
    if program + 4 > PACKET_BYTES:
        return None
    return (packet[program + 2] & 0x1F) << 8 | packet[program + 3]
