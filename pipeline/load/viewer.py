"""One viewer of one stream: polls playlists, fetches segments and plays them by a clock, as hls.js would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

from pipeline.hls.parser import ListedSegment, MediaPlaylist, Playlist, attribute_list
from pipeline.load.http_requests import Answer, Fault, FaultyAnswer, Kind, Requests
from pipeline.load.playback import Due, Playback, PollSchedule, reload_interval_s, start_sequence
from pipeline.load.rung_choice import RungChoice, Variant, read_variants
from pipeline.load.schedule import until

RETRY_S = 1.0
"""Between two attempts at a playlist that has not been there yet (hls.js `retryDelayMs`)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A segment that a playlist has listed, not fetched yet; `known_s` is when it was learnt of."""

    segment: ListedSegment
    url: str
    init_url: str | None
    known_s: float


@dataclass(frozen=True, slots=True)
class Fetched:
    """A segment that came whole: the init section before its bytes if it has one, and when the last byte came."""

    segment: ListedSegment
    data: bytes
    fetched_s: float


class Viewer:
    """A viewing session.

    Attributes:
        playback: its buffer and stalls.
        segments: fetched whole.
        missed: segments that left the playlist before this viewer had learnt of them.
        switches: changes of rung.
    """

    _variants: tuple[Variant, ...]
    _variant: Variant

    def __init__(
        self,
        session: aiohttp.ClientSession,
        requests: Requests,
        url: str,
        *,
        choice: RungChoice,
        start: Callable[[MediaPlaylist], int] = start_sequence,
        take: Callable[[Fetched], None] = lambda fetched: None,
    ) -> None:
        """Prepare to watch.

        Args:
            session: the viewer's HTTP client.
            requests: where they are counted.
            url: of the multivariant playlist.
            choice: of the rung.
            start: returns the sequence number of the first segment to fetch.
            take: given every segment; decodes it, for instance.
        """
        self._session, self._requests, self._url = session, requests, url
        self._choice, self._start, self._take = choice, start, take
        self._wanted: asyncio.Queue[Wanted | None] = asyncio.Queue()
        self._readings: dict[str, MediaPlaylist] = {}
        self._inits: dict[str, bytes] = {}
        self._switched = asyncio.Event()
        self._next_sequence: int | None = None
        self.playback = Playback()
        self.segments = self.missed = self.switches = 0

    async def watch(self) -> None:
        """Watch until the stream ends; cancel to leave before."""
        await self._join()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._poll())
            tasks.create_task(self._fetch())

    async def _join(self) -> None:
        """Read what the multivariant playlist offers, once it is there, and choose."""
        due_s = time.monotonic()
        while not await self._get(Kind.MULTIVARIANT, self._url, due_s, self._offered):
            due_s = time.monotonic() + RETRY_S
            await until(due_s)

    def _offered(self, body: bytes) -> bool:
        self._variants = read_variants(body)
        self._variant = self._choice.choose(self._variants, None)
        return True

    async def _poll(self) -> None:
        """Read the media playlist of the chosen rung again and again, until it ends."""
        now_s = time.monotonic()
        schedule, due = PollSchedule(now_s), Due(now_s, now_s)
        while True:
            self._requests.note_delay(due.at_s)
            url = urljoin(self._url, self._variant.uri)
            before = self._readings.get(url)
            playlist = await self._get(Kind.MEDIA, url, due.intended_s, lambda body, url=url: self._read(url, body))
            if playlist is not None and playlist.ended:
                self._wanted.put_nowait(None)
                return
            now_s = time.monotonic()
            due = schedule.after(self._interval_s(playlist, before), answered_s=now_s)
            if await self._wait(due.at_s):  # another rung was chosen: its playlist is due now
                now_s = time.monotonic()
                schedule, due = PollSchedule(now_s), Due(now_s, now_s)

    def _interval_s(self, playlist: MediaPlaylist | None, before: MediaPlaylist | None) -> float:
        if playlist is not None:
            return reload_interval_s(playlist, before)
        return before.target_duration_s / 2 if before is not None else RETRY_S

    async def _wait(self, moment_s: float) -> bool:
        """Wait until a moment; return whether another rung was chosen before it."""
        try:
            async with asyncio.timeout(max(moment_s - time.monotonic(), 0.0)):
                await self._switched.wait()
        except TimeoutError:
            return False
        self._switched.clear()
        return True

    def _read(self, url: str, body: bytes) -> MediaPlaylist:
        """Return a media playlist, after noting what is new in it; FaultyAnswer if no player could follow it."""
        playlist = Playlist.read(url, body)
        try:
            reading = MediaPlaylist.of(playlist, time.monotonic())
        except ValueError:
            raise FaultyAnswer(Fault.INVALID) from None
        if not reading.segments or not reading.target_duration_s:
            raise FaultyAnswer(Fault.INVALID)
        before = self._readings.get(url)
        if before is not None and (
            reading.media_sequence < before.media_sequence or reading.end_sequence < before.end_sequence
        ):
            raise FaultyAnswer(Fault.BACKWARDS)
        self._readings[url] = reading
        self._want_new(playlist, reading)
        return reading

    def _want_new(self, playlist: Playlist, reading: MediaPlaylist) -> None:
        if self._next_sequence is None:
            self._next_sequence = self._start(reading)
        self.missed += max(reading.media_sequence - self._next_sequence, 0)
        for segment in reading.segments:
            if segment.sequence >= self._next_sequence:
                init_uri = _init_uri(playlist, segment.line)
                init_url = urljoin(reading.name, init_uri) if init_uri else None
                self._wanted.put_nowait(Wanted(segment, urljoin(reading.name, segment.uri), init_url, reading.read_s))
        self._next_sequence = max(self._next_sequence, reading.end_sequence)

    async def _fetch(self) -> None:
        """Fetch what is wanted, in order; what fails is not asked for again."""
        while (wanted := await self._wanted.get()) is not None:
            if wanted.init_url is not None and wanted.init_url not in self._inits:
                init = await self._get(Kind.INIT, wanted.init_url, wanted.known_s, bytes)
                if init is None:
                    continue
                self._inits[wanted.init_url] = init
            sent_s = time.monotonic()
            data = await self._get(Kind.SEGMENT, wanted.url, wanted.known_s, bytes)
            if data is None:
                continue
            now_s = time.monotonic()
            self.segments += 1
            self.playback.add(wanted.segment.duration_s, now_s)
            self._take(Fetched(wanted.segment, self._inits.get(wanted.init_url or "", b"") + data, now_s))
            self._choose_again(len(data), now_s - sent_s)

    def _choose_again(self, received_bytes: int, load_s: float) -> None:
        self._choice.observe(received_bytes, load_s)
        chosen = self._choice.choose(self._variants, self._variant)
        if chosen.uri != self._variant.uri:
            self._variant = chosen
            self.switches += 1
            self._switched.set()

    async def _get(self, kind: Kind, url: str, due_s: float, read: Callable[[bytes], Answer]) -> Answer | None:
        return await self._requests.get(self._session, kind, url, due_s=due_s, read=read)


def _init_uri(playlist: Playlist, line: int) -> str | None:
    """Return the `EXT-X-MAP` that holds for the segment at a line, None where there is none before it."""
    maps = [tag for tag in playlist.all("EXT-X-MAP") if tag.line < line]
    attributes = attribute_list(maps[-1].value) if maps else None
    return attributes.get("URI", "").strip('"') if attributes is not None else None
