"""What RFC 8216 (3.3) asks of fMP4: of an init segment, and of the fragments that follow it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.hls.boxes import Box, MalformedBox, boxes

BRANDS = frozenset((b"iso6", b"iso7", b"iso8", b"iso9", b"isoa", b"isob", b"cmfc", b"cmf2"))
"""Brands compatible with `iso6` or higher."""
BASE_DATA_OFFSET, DESCRIPTION_INDEX, DEFAULT_DURATION, BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x20000
"""Flags of a `tfhd` (ISO/IEC 14496-12, 8.8.7)."""
DATA_OFFSET, FIRST_FLAGS = 0x1, 0x4
"""Flags of a `trun` for fields that stand once (8.8.8)."""
SAMPLE_FIELDS = (0x100, 0x200, 0x400, 0x800)
"""Flags of a `trun` for fields that each sample has: duration, size, flags, composition offset."""


@dataclass(frozen=True, slots=True)
class Track:
    """One track as the init segment has it: ticks per second, and how long a sample lasts that does not say."""

    timescale: int
    default_duration: int


@dataclass(frozen=True, slots=True)
class Span:
    """What a segment holds of one track, in decode time: from its first sample to the end of its last."""

    start_s: float
    end_s: float


def tracks(init: bytes) -> dict[int, Track]:
    """Return the tracks of an init segment by their number.

    Raises:
        MalformedBox: it cannot be read.
    """
    found: dict[int, Track] = {}
    for moov in _of_kind(init, b"moov"):
        durations = {box.uint(4, 4): box.uint(12, 4) for box in moov.all(b"mvex", b"trex")}
        for trak in moov.all(b"trak"):
            number = _versioned(trak, (b"tkhd",), 12, 20)
            timescale = _versioned(trak, (b"mdia", b"mdhd"), 12, 20)
            found[number] = Track(timescale, durations.get(number, 0))
    return found


def init_faults(init: bytes) -> Iterator[str]:
    """Yield what is wrong with an init segment."""
    try:
        top = list(boxes(init))
        if [box.kind for box in top[:2]] != [b"ftyp", b"moov"]:
            yield "does not begin with a ftyp and a moov"
            return
        ftyp, moov = top[:2]
        brands = {bytes(ftyp.body[at : at + 4]) for at in range(0, len(ftyp.body), 4) if at != 4}
        if not brands & BRANDS:
            yield f"is of brand {ftyp.body[:4].tobytes().decode('latin-1')!r}, which is not compatible with 'iso6'"
        yield from _moov_faults(moov, tracks(init))
    except MalformedBox as error:
        yield f"cannot be read: {error}"


def _moov_faults(moov: Box, known: dict[int, Track]) -> Iterator[str]:
    kinds = [child.kind for child in moov.children()]
    if not known or 0 in (track.timescale for track in known.values()):
        yield "describes no track"
    if any(table.uint(8, 4) for table in moov.all(b"trak", b"mdia", b"minf", b"stbl", b"stsz")):
        yield "holds samples of its own"
    if b"mvex" not in kinds or b"trak" in kinds[kinds.index(b"mvex") :]:
        yield "has no mvex after its last trak"
    elif {box.uint(4, 4) for box in moov.all(b"mvex", b"trex")} != known.keys():
        yield "does not have a trex for every track"


def fragment_faults(data: bytes, known: dict[int, Track]) -> Iterator[str]:
    """Yield what is wrong with a segment whose init segment has these tracks."""
    try:
        pairs = [box.kind for box in boxes(data) if box.kind in (b"moof", b"mdat")]
        if not pairs or pairs != [b"moof", b"mdat"] * (len(pairs) // 2):
            yield "is not made of moof boxes, each with its mdat after it"
            return
        for moof in _of_kind(data, b"moof"):
            for traf in moof.all(b"traf"):
                yield from _traf_faults(traf, known)
    except MalformedBox as error:
        yield f"cannot be read: {error}"


def _traf_faults(traf: Box, known: dict[int, Track]) -> Iterator[str]:
    tfhd = _only(traf, b"tfhd")
    number, flags = tfhd.uint(4, 4), tfhd.uint(0, 4)
    if number not in known:
        yield f"has media of track {number}, which its init segment does not have"
    if flags & BASE_DATA_OFFSET or not flags & BASE_IS_MOOF:
        yield f"addresses the media of track {number} from elsewhere than its moof"
    if not traf.all(b"tfdt"):
        yield f"does not say the decode time of track {number} in a tfdt"


def decode_spans(data: bytes, known: dict[int, Track]) -> dict[int, Span]:
    """Return where each track of a segment begins and ends in decode time.

    Raises:
        MalformedBox: it cannot be read.
    """
    spans: dict[int, Span] = {}
    for moof in _of_kind(data, b"moof"):
        for traf in moof.all(b"traf"):
            tfhd, tfdt = _only(traf, b"tfhd"), _only(traf, b"tfdt")
            number = tfhd.uint(4, 4)
            start = tfdt.uint(4, 8 if tfdt.uint(0, 1) else 4)
            default = _default_duration(tfhd, known[number])
            end = start + sum(_run_duration(trun, default) for trun in traf.all(b"trun"))
            first_s = spans[number].start_s if number in spans else start / known[number].timescale
            spans[number] = Span(first_s, end / known[number].timescale)
    return spans


def _default_duration(tfhd: Box, track: Track) -> int:
    flags = tfhd.uint(0, 4)
    if not flags & DEFAULT_DURATION:
        return track.default_duration
    return tfhd.uint(8 + 8 * bool(flags & BASE_DATA_OFFSET) + 4 * bool(flags & DESCRIPTION_INDEX), 4)


def _run_duration(trun: Box, default: int) -> int:
    flags, count = trun.uint(0, 4), trun.uint(4, 4)
    if not flags & SAMPLE_FIELDS[0]:
        return count * default
    first = 8 + 4 * bool(flags & DATA_OFFSET) + 4 * bool(flags & FIRST_FLAGS)
    step = 4 * sum(bool(flags & field) for field in SAMPLE_FIELDS)
    if first + count * step > len(trun.body):
        raise MalformedBox(f"a trun of {count} samples is cut short")
    return sum(trun.uint(first + step * sample, 4) for sample in range(count))


def _of_kind(data: bytes, kind: bytes) -> Iterator[Box]:
    return (box for box in boxes(data) if box.kind == kind)


def _only(box: Box, *path: bytes) -> Box:
    found = box.all(*path)
    if len(found) != 1:
        raise MalformedBox(f"{len(found)} boxes {path[-1].decode('latin-1')} where one belongs")
    return found[0]


def _versioned(trak: Box, path: tuple[bytes, ...], at: int, at_of_version_1: int) -> int:
    """Return a number of four bytes that lies further on where times have 64 bits."""
    box = _only(trak, *path)
    return box.uint(at_of_version_1 if box.uint(0, 1) else at, 4)
