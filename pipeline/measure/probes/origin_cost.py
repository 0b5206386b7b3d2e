"""What a request costs the origin, and a byte, with and without TLS.

The origin runs in a process of its own and serves from memory, over loopback. What it spends is the difference of its
own CPU clock around a known number of requests, which come from this process over connections that stay open: TLS
handshakes are not in it. The kernel's part of sending is, that of receiving is not.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from pipeline.measure.child import Child
from pipeline.measure.probes.certificate import HOST, certificate_for_loopback
from pipeline.measure.probes.origin_server import STREAM, OriginConfig, rung_name
from pipeline.measure.probes.ticking import Tick, ticking

MODULE = "pipeline.measure.probes.origin_server"
CONNECTIONS = 4
"""Connections at a time: the origin finds several requests at once, as it does with viewers."""
REPEATS = 3
START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Asked:
    """One kind of object, and how often it is fetched in a row.

    Attributes:
        kind: "playlist" or "segment".
        path: of its URL.
        requests: enough for some 0.2 s of the origin's CPU, against which its clock and the question cost nothing.
    """

    kind: str
    path: str
    requests: int


SEGMENTS = {50_000: 1500, 300_000: 900, 1_500_000: 300}
"""Sizes of segments: 2 s of a low, a middle and a high rung; and requests for each."""
PLAYLIST_REQUESTS = 2000


def asked_of(segments: dict[int, int], playlist_requests: int) -> tuple[Asked, ...]:
    """Return what is fetched: a playlist, and a segment of each size."""
    rungs = {size: f"/{STREAM}/{rung_name(size)}" for size in segments}
    playlist = Asked("playlist", f"{next(iter(rungs.values()))}/index.m3u8", playlist_requests)
    return playlist, *(Asked("segment", f"{rungs[size]}/0.ts", requests) for size, requests in segments.items())


def origin_rows(
    *,
    segments: dict[int, int] = SEGMENTS,
    playlist_requests: int = PLAYLIST_REQUESTS,
    repeats: int = REPEATS,
    tick: Tick = lambda: None,
) -> list[dict[str, Any]]:
    """Return a row for each object, with and without TLS, and repeat.

    `object_bytes` is the size of the object as the client got it, `sent_bytes` what all its bodies together had.

    Args:
        segments: requests, by size of segment in bytes.
        playlist_requests: requests for the playlist.
        repeats: how often all of it is done; in turn, so that a disturbance meets them all alike.
        tick: called some times a second.

    Raises:
        NotReady: there is no openssl command, or no port.
    """
    asked = asked_of(segments, playlist_requests)
    with tempfile.TemporaryDirectory(prefix="headroom-") as name, Child(MODULE) as server:
        files = certificate_for_loopback(Path(name))
        server.tell(asdict(OriginConfig(tuple(segments), str(files.certificate), str(files.key))))
        ports = server.hear(START_TIMEOUT_S)
        trust = ssl.create_default_context(cafile=files.certificate)
        return asyncio.run(_measured(server, ports, trust, asked, repeats=repeats, tick=tick))


async def _measured(
    server: Child,
    ports: dict[str, int],
    trust: ssl.SSLContext,
    asked: Sequence[Asked],
    *,
    repeats: int,
    tick: Tick,
) -> list[dict[str, Any]]:
    rows = []
    async with (
        ticking(tick),
        _session(f"http://{HOST}:{ports['http_port']}") as plain,
        _session(f"https://{HOST}:{ports['https_port']}", trust) as encrypted,
    ):
        sessions = ((False, plain), (True, encrypted))
        for _, session in sessions:
            await _fetch(session, asked[0].path, 4 * CONNECTIONS)  # opens the connections
        for repeat in range(repeats):
            for what in asked:
                for tls, session in sessions:
                    rows.append({"tls": tls, "repeat": repeat, **await _series(server, session, what)})
    return rows


async def _series(server: Child, session: aiohttp.ClientSession, what: Asked) -> dict[str, Any]:
    before_s, began_s = _cpu_s(server), time.monotonic()
    object_bytes, sent_bytes = await _fetch(session, what.path, what.requests)
    wall_s = time.monotonic() - began_s
    return {
        "object": what.kind,
        "object_bytes": object_bytes,
        "requests": what.requests,
        "sent_bytes": sent_bytes,
        "server_cpu_s": _cpu_s(server) - before_s,
        "wall_s": wall_s,
    }


def _session(base_url: str, trust: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust if trust is not None else True)
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    return aiohttp.ClientSession(base_url, connector=connector, timeout=timeout, raise_for_status=True)


async def _fetch(session: aiohttp.ClientSession, path: str, requests: int) -> tuple[int, int]:
    """Return the bytes of one body, and of all of them, after so many requests over all connections."""
    sizes: list[int] = []
    numbers = iter(range(requests))

    async def fetch() -> None:
        for _ in numbers:
            async with session.get(path) as response:
                sizes.append(len(await response.read()))

    await asyncio.gather(*(fetch() for _ in range(CONNECTIONS)))
    if len(set(sizes)) != 1:
        raise RuntimeError(f"{path} came in {len(set(sizes))} sizes")
    return sizes[0], sum(sizes)


def _cpu_s(server: Child) -> float:
    server.tell({"ask": "cpu"})
    return float(server.hear(ANSWER_TIMEOUT_S)["cpu_s"])
