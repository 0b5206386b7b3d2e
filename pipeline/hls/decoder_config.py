"""What a decoder must be told first: parameter sets in the stream, configuration records in an init segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.hls.boxes import Box, boxes

SAMPLE_TABLE_ENTRY = (b"trak", b"mdia", b"minf", b"stbl", b"stsd")
ENTRIES_AT = 8
"""Where the first sample entry of an `stsd` begins, after version and count."""
VISUAL_ENTRY_BYTES = 78
"""Fields of a visual sample entry before its own boxes (ISO/IEC 14496-12, 12.1.3)."""
H264_PARAMETER_SETS = frozenset((7, 8))
HEVC_PARAMETER_SETS = frozenset((32, 33, 34))
OBU_SEQUENCE_HEADER = 1


def nal_units(annex_b: bytes) -> Iterator[bytes]:
    """Yield the NAL units of an Annex B byte stream (ITU-T H.264 and H.265, annex B)."""
    at = annex_b.find(b"\0\0\1")
    while at >= 0:
        end = annex_b.find(b"\0\0\1", at + 3)
        yield annex_b[at + 3 : end if end >= 0 else None].rstrip(b"\0")
        at = end


def obus(temporal_unit: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of the OBUs of an AV1 temporal unit (AV1 specification, 5.3), each with its size."""
    at = 0
    while at < len(temporal_unit):
        header = temporal_unit[at]
        at += 2 if header & 0b100 else 1
        size = shift = 0
        while True:  # leb128
            byte = temporal_unit[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield header >> 3 & 0xF, temporal_unit[at : at + size]
        at += size


def parameter_sets(codec: str, data: bytes) -> tuple[bytes, ...]:
    """Return the parameter sets in one access unit, in order: all of a decoder's configuration."""
    if codec == "av1":
        return tuple(payload for kind, payload in obus(data) if kind == OBU_SEQUENCE_HEADER)
    if codec == "hevc":
        return tuple(unit for unit in nal_units(data) if unit and unit[0] >> 1 & 0x3F in HEVC_PARAMETER_SETS)
    return tuple(unit for unit in nal_units(data) if unit and unit[0] & 0x1F in H264_PARAMETER_SETS)


def codec_name(init: bytes) -> str:
    """Return the RFC 6381 name of the video in an init segment, such as `hvc1.1.6.L93.90`.

    Raises:
        ValueError: it holds no H.264, HEVC or AV1.
    """
    for moov in (box for box in boxes(init) if box.kind == b"moov"):
        for table in moov.all(*SAMPLE_TABLE_ENTRY):
            entry = next(boxes(table.body[ENTRIES_AT:]))
            if entry.kind in CODEC_NAMES:
                configuration, name = CODEC_NAMES[entry.kind]
                return next(name(box) for box in boxes(entry.body[VISUAL_ENTRY_BYTES:]) if box.kind == configuration)
    raise ValueError("the init segment describes no video that HLS has a name for")


def _avc1(record: Box) -> str:
    """Profile, constraints and level (ISO/IEC 14496-15, 5.3.3.1 and annex E.2)."""
    return f"avc1.{record.uint(1, 3):06x}"


def _hvc1(record: Box) -> str:
    """Profile, compatibility, tier and level, constraints (ISO/IEC 14496-15, 8.3.3.1 and annex E.3)."""
    space, tier, profile = record.uint(1, 1) >> 6, record.uint(1, 1) >> 5 & 1, record.uint(1, 1) & 0x1F
    compatibility = int(f"{record.uint(2, 4):032b}"[::-1], 2)
    constraints = record.uint(6, 6).to_bytes(6, "big").rstrip(b"\0")
    parts = [f"{['', 'A', 'B', 'C'][space]}{profile}", f"{compatibility:X}", f"{'LH'[tier]}{record.uint(12, 1)}"]
    return ".".join(["hvc1", *parts, *(f"{byte:X}" for byte in constraints)])


def _av01(record: Box) -> str:
    """Profile, level and tier, bit depth (AV1 in ISO base media files, 2.3.3 and 5); colours are left out."""
    profile, level = record.uint(1, 1) >> 5, record.uint(1, 1) & 0x1F
    flags = record.uint(2, 1)
    tier, high_depth, twelve_bit = flags >> 7, flags >> 6 & 1, flags >> 5 & 1
    return f"av01.{profile}.{level:02}{'MH'[tier]}.{8 + 2 * high_depth + 2 * twelve_bit:02}"


CODEC_NAMES: dict[bytes, tuple[bytes, Callable[[Box], str]]] = {
    b"avc1": (b"avcC", _avc1),
    b"hvc1": (b"hvcC", _hvc1),
    b"av01": (b"av1C", _av01),
}
"""By sample entry: the box of its configuration record, and how its name is read from that."""
