"""H.264 access units taken apart into NAL units, and put together again with start codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAL_IDR, NAL_SPS, NAL_PPS, NAL_AUD = 5, 7, 8, 9
"""Types of NAL units (ITU-T H.264, table 7-1)."""
START_CODE = b"\0\0\0\1"


def nal_type(unit: bytes) -> int:
    """Return the type of a NAL unit."""
    return unit[0] & 0x1F


def nal_units(avcc_frame: bytes) -> list[bytes]:
    """Return the NAL units of a frame in which each follows its length of 4 bytes.

    Raises:
        ValueError: the lengths do not add up to the frame, or there is none.
    """
    units, position = [], 0
    while position < len(avcc_frame):
        size = int.from_bytes(avcc_frame[position : position + 4], "big")
        position += 4 + size
        if size == 0 or position > len(avcc_frame):
            raise ValueError("a NAL unit that is empty or cut short")
        units.append(avcc_frame[position - size : position])
    if not units:
        raise ValueError("a frame without a NAL unit")
    return units


def annex_b(units: Iterable[bytes]) -> bytes:
    """Return NAL units as a byte stream with start codes (ITU-T H.264, annex B)."""
    return b"".join(START_CODE + unit for unit in units)


def parameter_sets(avcc: bytes) -> list[bytes]:
    """Return the SPS and PPS of an avcC record (ISO/IEC 14496-15, 5.3.3.1).

    The record was checked at ingest: its parameter sets lie inside it.
    """
    sets, position = [], 5
    for mask in (0x1F, 0xFF):  # the number of SPS shares its byte with reserved bits
        count, position = avcc[position] & mask, position + 1
        for _ in range(count):
            size = int.from_bytes(avcc[position : position + 2], "big")
            sets.append(avcc[position + 2 : position + 2 + size])
            position += 2 + size
    return sets


def with_parameter_sets(units: Sequence[bytes], avcc: bytes) -> list[bytes]:
    """Return a keyframe with its SPS and PPS before it, unless it brings its own.

    An access unit delimiter stays first, where it must stand (ITU-T H.264, 7.4.1.2.3).
    """
    if any(nal_type(unit) == NAL_SPS for unit in units):
        return list(units)
    delimiters = 1 if nal_type(units[0]) == NAL_AUD else 0
    return [*units[:delimiters], *parameter_sets(avcc), *units[delimiters:]]
