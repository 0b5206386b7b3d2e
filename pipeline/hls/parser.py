"""HLS playlists read back from text, with line numbers (RFC 8216, 4): what the checker judges.

Reading never fails: what is malformed stays visible for a rule to name it.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

BYTE_ORDER_MARK = "\ufeff"
INTEGER = re.compile(r"\d{1,20}")
EXTINF = re.compile(r"(\d{1,9}(?:\.\d{1,9})?),.*")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d(?::?\d\d)?)")
ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",\s]+)(?:,(?=.)|$)')
OF_ONE_URI = ("EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-STREAM-INF")
"""Tags that belong to the next URI alone; all others speak about the playlist or about all that follows."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: its name without `#`, what follows the colon, and its 1-based line."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One URI, its line, and the tags that belong to it alone."""

    uri: str
    line: int
    tags: tuple[Tag, ...]

    def values(self, name: str) -> list[str]:
        """Return the values of the entry's tags of that name."""
        return [tag.value for tag in self.tags if tag.name == name]


@dataclass(frozen=True, slots=True)
class Playlist:
    """A playlist's lines, of either kind.

    Attributes:
        name: where it was read; stands in every violation.
        lines: the text, line by line.
        tags: every tag, in order.
        entries: every URI, in order.
        unclaimed: tags of one URI that no URI follows.
    """

    name: str
    lines: tuple[str, ...]
    tags: tuple[Tag, ...]
    entries: tuple[Entry, ...]
    unclaimed: tuple[Tag, ...]

    @classmethod
    def read(cls, name: str, data: bytes) -> Playlist:
        """Read a playlist; bytes that are not UTF-8 become U+FFFD."""
        lines = tuple(data.decode("utf-8", errors="replace").replace("\r\n", "\n").split("\n"))
        tags: list[Tag] = []
        entries: list[Entry] = []
        pending: list[Tag] = []
        for number, line in enumerate((line.removeprefix(BYTE_ORDER_MARK) for line in lines), start=1):
            if line.startswith("#EXT"):
                tag_name, _, value = line[1:].partition(":")
                tags.append(Tag(tag_name, value, number))
                if tag_name in OF_ONE_URI:
                    pending.append(tags[-1])
            elif line.strip() and not line.startswith("#"):
                entries.append(Entry(line, number, tuple(pending)))
                pending.clear()
        return cls(name, lines, tuple(tags), tuple(entries), tuple(pending))

    @property
    def is_multivariant(self) -> bool:
        """Whether it lists variants rather than segments."""
        return bool(self.all("EXT-X-STREAM-INF"))

    def all(self, name: str) -> list[Tag]:
        """Return the tags of that name, in order."""
        return [tag for tag in self.tags if tag.name == name]

    def number(self, name: str, default: int) -> int:
        """Return the whole number that a tag holds; `default` where there is no such tag.

        Raises:
            ValueError: the tag holds something else.
        """
        found = self.all(name)
        return int(found[0].value) if found else default


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSegment:
    """A segment as its playlist describes it.

    Attributes:
        unix_s: its date, if it has one.
        map_uri: the `EXT-X-MAP` that applies to it, and `map_line` its line; None and 0 without one.
    """

    sequence: int
    uri: str
    line: int
    duration_s: float
    unix_s: float | None
    discontinuity: bool
    map_uri: str | None = None
    map_line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaPlaylist:
    """A media playlist's meaning, and when it was read on the reader's clock."""

    name: str
    read_s: float
    target_duration_s: int
    media_sequence: int
    discontinuity_sequence: int
    segments: tuple[ListedSegment, ...]
    ended: bool

    @classmethod
    def of(cls, playlist: Playlist, read_s: float) -> MediaPlaylist:
        """Return the meaning of a playlist that breaks no rule of its own.

        Raises:
            ValueError: it does break one.
        """
        first = playlist.number("EXT-X-MEDIA-SEQUENCE", 0)
        return cls(
            name=playlist.name,
            read_s=read_s,
            target_duration_s=playlist.number("EXT-X-TARGETDURATION", 0),
            media_sequence=first,
            discontinuity_sequence=playlist.number("EXT-X-DISCONTINUITY-SEQUENCE", 0),
            segments=tuple(_segment(playlist, entry, first + at) for at, entry in enumerate(playlist.entries)),
            ended=bool(playlist.all("EXT-X-ENDLIST")),
        )

    @property
    def end_sequence(self) -> int:
        """The number that the next segment will have."""
        return self.media_sequence + len(self.segments)


def _segment(playlist: Playlist, entry: Entry, sequence: int) -> ListedSegment:
    duration_s = extinf_s(entry)
    if duration_s is None:
        raise ValueError(f"line {entry.line}: a segment without a duration")
    dates = entry.values("EXT-X-PROGRAM-DATE-TIME")
    maps = [tag for tag in playlist.all("EXT-X-MAP") if tag.line < entry.line]
    return ListedSegment(
        sequence=sequence,
        uri=entry.uri,
        line=entry.line,
        duration_s=duration_s,
        unix_s=date_unix_s(dates[0]) if dates else None,
        discontinuity=bool(entry.values("EXT-X-DISCONTINUITY")),
        map_uri=map_uri(maps[-1]) if maps else None,
        map_line=maps[-1].line if maps else 0,
    )


def map_uri(tag: Tag) -> str | None:
    """Return the URI of an EXT-X-MAP; None if its attributes are malformed or it has none in quotes."""
    quoted = (attribute_list(tag.value) or {}).get("URI", "")
    return quoted[1:-1] if len(quoted) > 2 and quoted.startswith('"') else None


def extinf_s(entry: Entry) -> float | None:
    """Return a segment's duration; None unless exactly one well-formed EXTINF gives it."""
    values = entry.values("EXTINF")
    match = EXTINF.fullmatch(values[0]) if len(values) == 1 else None
    return float(match[1]) if match else None


def date_unix_s(value: str) -> float | None:
    """Return the seconds since 1970 of a full ISO 8601 date with its zone; None if it is not one."""
    if not DATE.fullmatch(value):
        return None
    try:
        return datetime.datetime.fromisoformat(value).timestamp()
    except ValueError:  # such as a month 13: the grammar is right, the date is not
        return None


def attribute_list(value: str) -> dict[str, str] | None:
    """Return an attribute list (RFC 8216, 4.2), quotes kept; None if it is malformed or names one twice."""
    found: dict[str, str] = {}
    at = 0
    while at < len(value):
        match = ATTRIBUTE.match(value, at)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2]
        at = match.end()
    return found or None
