"""What one segment holds, in either container: read through PyAV and, for its structure, from its bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

import av

from pipeline.hls.boxes import MalformedBox
from pipeline.hls.decoder_config import nal_units
from pipeline.hls.fragments import Span, decode_spans, fragment_faults, init_faults, tracks
from pipeline.ladders.backend import TICKS_PER_S

PACKET_BYTES = 188
SYNC_BYTE = 0x47
PAT_PID, SDT_PID, NULL_PID = 0, 0x11, 0x1FFF
H264_SLICE, H264_IDR = 1, 5
HEVC_SLICE_END, HEVC_IRAP = 32, range(16, 22)
LENGTH_BYTES = 4
"""Size of the length before each NAL unit in fMP4, as every muxer known to us writes it."""
FRAGMENT_STARTS = frozenset((b"styp", b"moof", b"sidx", b"emsg", b"prft"))
"""First boxes of an fMP4 segment."""
PTS_MODULUS = 2**33
Part = Literal["tables", "map", "init", "fragment"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the structure of a segment, by the part that is judged."""

    part: Part
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFacts:
    """What the rules ask of a segment.

    Attributes:
        faults: what is wrong with its structure; its media is not judged then.
        starts_with_idr: the first video frame is an IDR picture, or what its codec has for one.
        first_pts: time of the earliest video frame, in 1/90000 s modulo 2³³; None if no video can be read.
        video_s: from the first video frame to the end of the last, which is taken to be as long as most.
        spans: decode times of each track, by its number; MPEG-TS has none.
    """

    faults: tuple[Fault, ...] = ()
    starts_with_idr: bool = False
    first_pts: int | None = None
    video_s: float = 0.0
    spans: dict[int, Span] = field(default_factory=dict)


def segment_facts(data: bytes, init: bytes | None = None) -> SegmentFacts:
    """Return what a segment's bytes hold; `init` is the init segment that its playlist names, if any.

    Bytes that are neither MPEG-TS nor fMP4 are taken for the container that the playlist speaks of.
    """
    if init is not None:
        return _fmp4_facts(data, init)
    if data[4:8] in FRAGMENT_STARTS:
        return SegmentFacts(faults=(Fault("map", "is fMP4, and no #EXT-X-MAP stands before it"),))
    if not _starts_with_tables(data):
        return SegmentFacts(faults=(Fault("tables", "does not start with a PAT and its PMT"),))
    return _media_facts(data, "mpegts", {})


def _fmp4_facts(data: bytes, init: bytes) -> SegmentFacts:
    faults = [Fault("init", message) for message in init_faults(init)]
    if not faults:
        faults = [Fault("fragment", message) for message in fragment_faults(data, tracks(init))]
    if faults:
        return SegmentFacts(faults=tuple(faults))
    try:
        spans = decode_spans(data, tracks(init))
    except MalformedBox as error:
        return SegmentFacts(faults=(Fault("fragment", f"cannot be read: {error}"),))
    return _media_facts(init + data, "mp4", spans)


def _media_facts(data: bytes, container_format: str, spans: dict[int, Span]) -> SegmentFacts:
    try:
        with av.open(io.BytesIO(data), format=container_format, metadata_errors="replace") as container:
            if not container.streams.video or container.streams.video[0].codec_context is None:
                return SegmentFacts(spans=spans)
            packets = [packet for packet in container.demux(video=0) if packet.size and packet.pts is not None]
    except av.error.FFmpegError:  # unreadable is a finding, not an error: `first_pts` stays None
        return SegmentFacts(spans=spans)
    if not packets:
        return SegmentFacts(spans=spans)
    times = sorted(packet.pts * packet.time_base * TICKS_PER_S for packet in packets)
    frame = median(b - a for a, b in pairwise(times)) if len(times) > 1 else 0
    return SegmentFacts(
        starts_with_idr=_is_idr(packets[0], lengths=container_format == "mp4"),
        first_pts=round(times[0]) % PTS_MODULUS,
        video_s=float(times[-1] - times[0] + frame) / TICKS_PER_S,
        spans=spans,
    )


def _is_idr(packet: av.Packet, *, lengths: bool) -> bool:
    """Whether decoding can start at an access unit, by its first slice (ITU-T H.264, table 7-1; H.265, table 7-1)."""
    codec = packet.stream.codec_context.name
    units = _length_prefixed(bytes(packet)) if lengths else nal_units(bytes(packet))
    for unit in units if codec in ("h264", "hevc") else ():
        kind = unit[0] & 0x1F if codec == "h264" else unit[0] >> 1 & 0x3F
        if codec == "h264" and H264_SLICE <= kind <= H264_IDR:
            return kind == H264_IDR and packet.is_keyframe
        if codec == "hevc" and kind < HEVC_SLICE_END:
            return kind in HEVC_IRAP and packet.is_keyframe
    return codec not in ("h264", "hevc") and packet.is_keyframe


def _length_prefixed(access_unit: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an access unit of fMP4 (ISO/IEC 14496-15, 5.3.3)."""
    at = 0
    while at + LENGTH_BYTES < len(access_unit):
        size = int.from_bytes(access_unit[at : at + LENGTH_BYTES], "big")
        at += LENGTH_BYTES + size
        if size and at <= len(access_unit):
            yield access_unit[at - size : at]


def pts_step_s(earlier: int, later: int) -> float:
    """Return the seconds from one time stamp to another, over the wrap at 2³³; negative if it goes back."""
    half = PTS_MODULUS // 2
    return ((later - earlier + half) % PTS_MODULUS - half) / TICKS_PER_S


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
