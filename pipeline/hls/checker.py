"""Is what we serve valid HLS? Reads streams as a player does and reports every broken rule of RFC 8216 once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urljoin

import aiohttp

from pipeline.hls.live_rules import CHANGE_RULES, SEGMENT_RULES, Change, Received
from pipeline.hls.parser import Entry, ListedSegment, MediaPlaylist, Playlist
from pipeline.hls.rules import COMMON_RULES, MEDIA_RULES, MULTIVARIANT_RULES, Judged, Rule
from pipeline.hls.segment_facts import SegmentFacts, segment_facts

POLL_S = 0.5
"""Time between two readings of a stream: well below any target duration."""
FETCH_S = 5.0
"""Longest wait for one answer."""
COMPARED_SEGMENTS = 64
"""Segments whose first time stamps are remembered, to compare the rungs."""
MAX_REPORTED = 200
"""Violations told one by one; a stream that is wrong throughout must not fill a disk with it."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: its name and section, `playlist:line`, what is wrong there, and what to do."""

    rule: str
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message} ({self.rule}); {self.remedy}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a URL: the body, or why there is none."""

    body: bytes = b""
    refusal: str = ""


Fetch = Callable[[str], Awaitable[Answer]]


def check_playlist(name: str, data: bytes) -> list[Violation]:
    """Return what is wrong with the text of one playlist of either kind; `name` stands in the places."""
    return _violations_of(Playlist.read(name, data))


def _violations_of(playlist: Playlist) -> list[Violation]:
    of_kind = MULTIVARIANT_RULES if playlist.is_multivariant else MEDIA_RULES
    return broken((*COMMON_RULES, *of_kind), playlist, playlist.name)


def broken(rules: Iterable[Rule[Judged]], judged: Judged, playlist: str) -> list[Violation]:
    """Return every violation of these rules by one thing they judge, in a playlist of that name."""
    return [
        Violation(f"{rule.name}, RFC 8216 {rule.section}", f"{playlist}:{line}", message, rule.remedy)
        for rule in rules
        for line, message in rule.find(judged)
    ]


@dataclass
class _Rung:
    """What is remembered of one media playlist."""

    reading: MediaPlaylist | None = None
    former: tuple[ListedSegment, SegmentFacts] | None = None
    next_sequence: int = 0
    first_pts: dict[int, int] = field(default_factory=dict)


class StreamChecker:
    """Follows one stream from its multivariant playlist on; `poll` reads what is new and judges it.

    Attributes:
        segments: segments received so far, over all rungs.
    """

    def __init__(self, url: str, fetch: Fetch) -> None:
        self._url, self._fetch = url, fetch
        self._rungs: dict[str, _Rung] = {}
        self._started = False
        self.segments = 0

    async def poll(self, now_s: float) -> list[Violation]:
        """Return what is wrong at this reading, at `now_s` of a monotonic clock.

        Before the stream's multivariant playlist has been there once, its absence is not a fault.
        """
        answer = await self._fetch(self._url)
        if answer.refusal:
            found = Received(uri=self._url, line=1, refusal=answer.refusal, aligned={})
            return broken(SEGMENT_RULES, found, self._url) if self._started else []
        self._started = True
        playlist = Playlist.read(self._url, answer.body)
        violations = _violations_of(playlist)
        if violations:
            return violations  # its meaning is in doubt: what it lists cannot be judged
        for entry in playlist.entries:
            violations += await self._poll_rung(entry, now_s)
        return violations

    async def _poll_rung(self, entry: Entry, now_s: float) -> list[Violation]:
        url = urljoin(self._url, entry.uri)
        answer = await self._fetch(url)
        if answer.refusal:
            found = Received(uri=entry.uri, line=entry.line, refusal=answer.refusal, aligned={})
            return broken(SEGMENT_RULES, found, self._url)
        playlist = Playlist.read(url, answer.body)
        violations = _violations_of(playlist)
        if violations:
            return violations  # as above
        reading = MediaPlaylist.of(playlist, now_s)
        rung = self._rungs.setdefault(url, _Rung())
        if rung.reading is not None:
            violations = broken(CHANGE_RULES, Change(rung.reading, reading), url)
        if rung.reading is None or reading.end_sequence != rung.reading.end_sequence or reading.ended:
            rung.reading = reading
        for segment in reading.segments:
            if segment.sequence >= rung.next_sequence:
                violations += await self._receive(segment, url)
        return violations

    async def _receive(self, segment: ListedSegment, url: str) -> list[Violation]:
        """Fetch one new segment and its init, and judge it beside the one before and the other rungs."""
        rung = self._rungs[url]
        rung.next_sequence = segment.sequence + 1
        init: bytes | None = None
        if segment.map_uri is not None:
            found = await self._fetch(urljoin(url, segment.map_uri))
            if found.refusal:
                rung.former = None
                lost = Received(uri=segment.map_uri, line=segment.map_line, refusal=found.refusal, aligned={})
                return broken(SEGMENT_RULES, lost, url)
            init = found.body
        answer = await self._fetch(urljoin(url, segment.uri))
        facts = None if answer.refusal else await asyncio.to_thread(segment_facts, answer.body, init)
        self.segments += facts is not None
        received = self._beside_others(segment, url, answer.refusal, facts)
        rung.former = (segment, facts) if facts is not None else None
        if facts is not None and facts.first_pts is not None:
            rung.first_pts[segment.sequence] = facts.first_pts
            rung.first_pts.pop(segment.sequence - COMPARED_SEGMENTS, None)
        return broken(SEGMENT_RULES, received, url)

    def _beside_others(self, segment: ListedSegment, url: str, refusal: str, facts: SegmentFacts | None) -> Received:
        former = self._rungs[url].former
        return Received(
            uri=segment.uri,
            line=segment.line,
            refusal=refusal,
            segment=segment,
            facts=facts,
            before=former if former is not None and former[0].sequence == segment.sequence - 1 else None,
            aligned={
                other: known.first_pts[segment.sequence]
                for other, known in self._rungs.items()
                if other != url and segment.sequence in known.first_pts
            },
        )


class Checker:
    """Follows every stream of an origin and tells each violation once."""

    def __init__(self, told: Callable[[Violation], None]) -> None:
        """`told` is called with each new violation, up to `MAX_REPORTED` of them."""
        self._told = told
        self._seen: set[tuple[str, str, str]] = set()
        self._streams: dict[str, StreamChecker] = {}

    @property
    def violations(self) -> int:
        """Different violations found so far; counting stops at `MAX_REPORTED`."""
        return len(self._seen)

    @property
    def segments(self) -> int:
        """Segments received so far, over all streams and rungs."""
        return sum(stream.segments for stream in self._streams.values())

    async def run(self, origin_url: str, names: Callable[[], Iterable[str]]) -> None:
        """Poll until cancelled: every stream that `names` has ever given, at `{origin_url}/{name}/index.m3u8`."""
        timeout = aiohttp.ClientTimeout(total=FETCH_S)
        async with aiohttp.ClientSession(origin_url, timeout=timeout) as session:
            while True:
                await self.poll(names(), lambda path: _get(session, path), time.monotonic())
                await asyncio.sleep(POLL_S)

    async def poll(self, names: Iterable[str], fetch: Fetch, now_s: float) -> None:
        """Read every known stream once; `fetch` gets paths such as `/live/index.m3u8`."""
        for name in names:
            self._streams.setdefault(name, StreamChecker(f"/{name}/index.m3u8", fetch))
        for stream in self._streams.values():
            for violation in await stream.poll(now_s):
                self._tell(violation)

    def _tell(self, violation: Violation) -> None:
        playlist = violation.place.rpartition(":")[0]  # the line moves as the window slides
        key = (violation.rule, playlist, violation.message)
        if key not in self._seen and len(self._seen) < MAX_REPORTED:
            self._seen.add(key)
            self._told(violation)


async def _get(session: aiohttp.ClientSession, path: str) -> Answer:
    try:
        async with session.get(path) as response:
            if response.status != 200:
                return Answer(refusal=f"{response.status} {response.reason}")
            return Answer(await response.read())
    except TimeoutError:
        return Answer(refusal=f"no answer within {FETCH_S:g} s")
    except aiohttp.ClientError as error:
        return Answer(refusal=str(error))
