"""What RFC 8216 asks of the text of a playlist: one small function per rule, and a table of them per kind.

A rule's docstring says what it asks; where that goes beyond a MUST of the RFC, it says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import floor
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from pipeline.hls.parser import (
    BYTE_ORDER_MARK,
    INTEGER,
    Entry,
    Playlist,
    attribute_list,
    date_unix_s,
    extinf_s,
    map_uri,
)

Finding = tuple[int, str]
"""The 1-based line of the playlist and what is wrong there."""
Judged = TypeVar("Judged")

MEDIA_TAGS = ("EXTINF", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST")
ONCE = ("EXT-X-VERSION", "EXT-X-INDEPENDENT-SEGMENTS", *MEDIA_TAGS[1:])
VERSION_OF_TAG = {"EXT-X-BYTERANGE": 4, "EXT-X-I-FRAMES-ONLY": 4, "EXT-X-MAP": 6}
"""What RFC 8216, 7, asks; beside #EXT-X-I-FRAMES-ONLY, version 5 allows #EXT-X-MAP."""
URI = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
CODEC = (
    r"(?:avc1\.[0-9A-Fa-f]{6}|mp4a\.40\.\d{1,2}"
    r"|(?:hvc1|hev1)\.[ABC]?\d{1,2}\.[0-9A-Fa-f]{1,8}\.[LH]\d{1,3}(?:\.[0-9A-Fa-f]{1,2}){0,6}"
    r"|av01\.[012]\.\d\d[MH]\.(?:08|10|12)(?:\.\d{1,3}){0,6}"
    r"|(?!avc1|mp4a|hvc1|hev1|av01)[a-z0-9]{4}(?:\.[A-Za-z0-9]+)*)"
)
"""One name of RFC 6381, strictly for the codecs that we write ourselves."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[Judged]):
    """One rule: its name, the section of RFC 8216 it stands in, how it is seen, and what to do."""

    name: str
    section: str
    find: Callable[[Judged], Iterator[Finding]]
    remedy: str


# Any playlist


def _text(playlist: Playlist) -> Iterator[Finding]:
    """A playlist is UTF-8, without a byte order mark or control characters."""
    for number, line in enumerate(playlist.lines, start=1):
        if re.search("[\x00-\x1f\x7f-\x9f\ufeff\ufffd]", line):
            yield number, "a control character, a byte order mark or bytes that are not UTF-8"


def _extm3u(playlist: Playlist) -> Iterator[Finding]:
    """Its first line is #EXTM3U."""
    if playlist.lines[0].removeprefix(BYTE_ORDER_MARK) != "#EXTM3U":
        yield 1, f"starts with {playlist.lines[0][:20]!r}"


def _one_kind(playlist: Playlist) -> Iterator[Finding]:
    """It lists segments or variants, never both."""
    if playlist.is_multivariant:
        for tag in playlist.tags:
            if tag.name in MEDIA_TAGS:
                yield tag.line, f"#{tag.name} beside #EXT-X-STREAM-INF"


def _once(playlist: Playlist) -> Iterator[Finding]:
    """A tag about the whole playlist stands once."""
    for name in ONCE:
        for tag in playlist.all(name)[1:]:
            yield tag.line, f"#{name} stands here again"


def _claimed(playlist: Playlist) -> Iterator[Finding]:
    """A tag about a URI is followed by one."""
    for tag in playlist.unclaimed:
        yield tag.line, f"no URI follows this #{tag.name}"


def _uri(playlist: Playlist) -> Iterator[Finding]:
    """A URI is written as RFC 3986 has it."""
    for entry in playlist.entries:
        if not URI.fullmatch(entry.uri) or not _splits(entry.uri):
            yield entry.line, f"{entry.uri[:60]!r} is no URI"


def _splits(uri: str) -> bool:
    try:
        urlsplit(uri)
    except ValueError:  # such as a bracket that nothing closes
        return False
    return True


# Media playlists


def _version(playlist: Playlist) -> Iterator[Finding]:
    """The version allows what is used."""
    found = playlist.all("EXT-X-VERSION")
    version = int(found[0].value) if found and INTEGER.fullmatch(found[0].value) else 1
    for tag in playlist.tags:
        needs = VERSION_OF_TAG.get(tag.name, 1)
        if tag.name == "EXT-X-MAP" and playlist.all("EXT-X-I-FRAMES-ONLY"):
            needs = 5
        if tag.name == "EXTINF" and "." in tag.value.partition(",")[0]:
            needs = 3
        if version < needs:
            yield tag.line, f"#{tag.name}:{tag.value[:20]} needs version {needs}, the playlist declares {version}"
            return


def _target_duration(playlist: Playlist) -> Iterator[Finding]:
    """There is a target duration, in whole seconds."""
    found = playlist.all("EXT-X-TARGETDURATION")
    if not found:
        yield 1, "there is no #EXT-X-TARGETDURATION"
    elif not INTEGER.fullmatch(found[0].value) or int(found[0].value) == 0:
        yield found[0].line, f"the target duration is {found[0].value[:20]!r}"


def _covers(playlist: Playlist) -> Iterator[Finding]:
    """No rounded duration is above the target."""
    found = playlist.all("EXT-X-TARGETDURATION")
    if not found or not INTEGER.fullmatch(found[0].value) or int(found[0].value) == 0:
        return
    for entry in playlist.entries:
        duration_s = extinf_s(entry)
        if duration_s is not None and floor(duration_s + 0.5) > int(found[0].value):
            yield entry.line, f"{entry.uri} lasts {duration_s:g} s, the target duration is {found[0].value} s"


def _extinf(playlist: Playlist) -> Iterator[Finding]:
    """Each segment has one #EXTINF with seconds and a comma."""
    for entry in playlist.entries:
        if extinf_s(entry) is None:
            yield entry.line, f"{entry.uri} has {entry.values('EXTINF') or 'no'} #EXTINF before it"


def _before_segments(playlist: Playlist, name: str) -> Iterator[Finding]:
    first_uri = playlist.entries[0].line if playlist.entries else len(playlist.lines) + 1
    for tag in playlist.all(name)[:1]:
        if not INTEGER.fullmatch(tag.value):
            yield tag.line, f"#{name} is {tag.value[:20]!r}"
        elif tag.line > first_uri:
            yield tag.line, f"#{name} stands after the first segment"


def _media_sequence(playlist: Playlist) -> Iterator[Finding]:
    """The media sequence is a whole number before the first segment."""
    yield from _before_segments(playlist, "EXT-X-MEDIA-SEQUENCE")


def _discontinuity_sequence(playlist: Playlist) -> Iterator[Finding]:
    """The discontinuity sequence is a whole number before the first segment and discontinuity."""
    findings = list(_before_segments(playlist, "EXT-X-DISCONTINUITY-SEQUENCE"))
    breaks = playlist.all("EXT-X-DISCONTINUITY")
    found = playlist.all("EXT-X-DISCONTINUITY-SEQUENCE")
    if not findings and breaks and found and found[0].line > breaks[0].line:
        findings = [(found[0].line, "#EXT-X-DISCONTINUITY-SEQUENCE stands after an #EXT-X-DISCONTINUITY")]
    yield from findings


def _date(playlist: Playlist) -> Iterator[Finding]:
    """A date is full ISO 8601, with its time zone."""
    for tag in playlist.all("EXT-X-PROGRAM-DATE-TIME"):
        if date_unix_s(tag.value) is None:
            yield tag.line, f"{tag.value[:40]!r} is not a full date with a time zone"


def _date_advances(playlist: Playlist) -> Iterator[Finding]:
    """Dates advance within a timeline; ours, as the RFC only implies it."""

    def unix_s(entry: Entry) -> float | None:
        dates = entry.values("EXT-X-PROGRAM-DATE-TIME")
        return date_unix_s(dates[0]) if dates else None

    for earlier, later in pairwise(playlist.entries):
        before_s, after_s = unix_s(earlier), unix_s(later)
        broken = bool(later.values("EXT-X-DISCONTINUITY"))
        if before_s is not None and after_s is not None and not broken and after_s <= before_s:
            yield later.line, f"{later.uri} begins {before_s - after_s:g} s before {earlier.uri}"


def _map(playlist: Playlist) -> Iterator[Finding]:
    """#EXT-X-MAP names the URI of an init segment, in quotes."""
    for tag in playlist.all("EXT-X-MAP"):
        if map_uri(tag) is None:
            yield tag.line, f"{tag.value[:60]!r} is no list of attributes with a URI in quotes"


# Multivariant playlists


def _stream_inf(playlist: Playlist) -> Iterator[Finding]:
    """Each URI stands right after a #EXT-X-STREAM-INF of its own."""
    for entry in playlist.entries:
        if [tag.line for tag in entry.tags if tag.name == "EXT-X-STREAM-INF"] != [entry.line - 1]:
            yield entry.line, f"{entry.uri} has no #EXT-X-STREAM-INF of its own right before it"


def _attributes(playlist: Playlist) -> Iterator[Finding]:
    """Attributes are NAME=value, comma separated, each name once."""
    for tag in playlist.all("EXT-X-STREAM-INF"):
        if attribute_list(tag.value) is None:
            yield tag.line, f"{tag.value[:60]!r} is not a list of NAME=value"


def _variants(playlist: Playlist) -> Iterator[tuple[int, dict[str, str]]]:
    for tag in playlist.all("EXT-X-STREAM-INF"):
        attributes = attribute_list(tag.value)
        if attributes is not None:
            yield tag.line, attributes


def _bandwidth(playlist: Playlist) -> Iterator[Finding]:
    """BANDWIDTH is there, a positive whole number."""
    for line, variant in _variants(playlist):
        value = variant.get("BANDWIDTH", "")
        if not INTEGER.fullmatch(value) or int(value) == 0:
            yield line, f"BANDWIDTH is {value!r}"


def _codecs(playlist: Playlist) -> Iterator[Finding]:
    """CODECS lists RFC 6381 names; a SHOULD."""
    for line, variant in _variants(playlist):
        value = variant.get("CODECS", "")
        if not re.fullmatch(f'"{CODEC}(?:, ?{CODEC})*"', value):
            yield line, f"CODECS is {value!r}"


def _resolution(playlist: Playlist) -> Iterator[Finding]:
    """RESOLUTION, where given, is WIDTHxHEIGHT."""
    for line, variant in _variants(playlist):
        value = variant.get("RESOLUTION")
        if value is not None and not re.fullmatch(r"[1-9]\d{0,5}x[1-9]\d{0,5}", value):
            yield line, f"RESOLUTION is {value!r}"


def _frame_rate(playlist: Playlist) -> Iterator[Finding]:
    """FRAME-RATE, where given, is positive with at most three decimals."""
    for line, variant in _variants(playlist):
        value = variant.get("FRAME-RATE")
        if value is not None and (not re.fullmatch(r"\d{1,4}(?:\.\d{1,3})?", value) or float(value) == 0):
            yield line, f"FRAME-RATE is {value!r}"


COMMON_RULES: tuple[Rule[Playlist], ...] = (
    Rule("text", "4.1", _text, "write plain UTF-8"),
    Rule("extm3u", "4.3.1.1", _extm3u, "write #EXTM3U before all else"),
    Rule("one-kind", "4.3.3", _one_kind, "write two playlists"),
    Rule("once", "4.3.3", _once, "keep the first"),
    Rule("claimed", "4.3.2", _claimed, "write the URI or drop the tag"),
    Rule("uri", "4.1", _uri, "percent-encode what a URI may not hold"),
)
MEDIA_RULES: tuple[Rule[Playlist], ...] = (
    Rule("version", "7", _version, "raise #EXT-X-VERSION"),
    Rule("target-duration", "4.3.3.1", _target_duration, "write the longest duration, rounded"),
    Rule("target-covers", "4.3.3.1", _covers, "cut shorter segments or declare a longer target"),
    Rule("extinf", "4.3.2.1", _extinf, "write #EXTINF:seconds, before the URI"),
    Rule("media-sequence", "4.3.3.2", _media_sequence, "write it in the head"),
    Rule("discontinuity-sequence", "4.3.3.3", _discontinuity_sequence, "write it in the head"),
    Rule("map", "4.3.2.5", _map, 'write such as URI="init-0.mp4"'),
    Rule("date", "4.3.2.6", _date, "write such as 2026-01-31T12:00:00.000Z"),
    Rule("date-advances", "4.3.2.6", _date_advances, "declare a discontinuity, or look at the clock"),
)
MULTIVARIANT_RULES: tuple[Rule[Playlist], ...] = (
    Rule("stream-inf", "4.3.4.2", _stream_inf, "write one on the line before each URI"),
    Rule("attributes", "4.2", _attributes, "correct the list"),
    Rule("bandwidth", "4.3.4.2", _bandwidth, "write the highest rate of a segment, in bit/s"),
    Rule("codecs", "4.3.4.2", _codecs, 'write such as "avc1.42c01f,mp4a.40.2"'),
    Rule("resolution", "4.3.4.2", _resolution, "write such as 1280x720"),
    Rule("frame-rate", "4.3.4.2", _frame_rate, "write such as 29.970"),
)
