"""The HLS origin: playlists and segments over HTTP, straight from the store in memory.

Names in requests are only ever looked up in the store's own index; no path is built from them.
"""

from __future__ import annotations

import asyncio
import errno
import time

from aiohttp import web

from pipeline.hls.playlist import media_playlist, multivariant_playlist
from pipeline.hls.store import RungStore, Store, StreamStore
from pipeline.player.pages import player_routes
from scenarios.errors import NotReady

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/mp2t"
SEGMENT_MAX_AGE_S = 3600
SEND_BYTES = 128 * 1024
"""A segment is written in pieces of this size: what a slow reader can make us hold."""
SEND_DEADLINE_S = 30.0
"""The longest a reader may take over one segment."""
KEEPALIVE_S = 15.0
"""How long an idle connection stays open."""
_STORE = web.AppKey("store", Store)


def origin_app(store: Store) -> web.Application:
    """Return the application that serves the store, and the player page by the routes of `player_routes`.

    `/{stream}/index.m3u8`, `/{stream}/{rung}/index.m3u8`, `/{stream}/{rung}/{sequence}.ts` and `/healthz`;
    all else is 404, also a playlist that has no segment yet.
    """
    app = web.Application()
    app[_STORE] = store
    app.on_response_prepare.append(_set_headers)
    app.add_routes(player_routes())
    app.add_routes(
        [
            web.get("/healthz", _health),
            web.get("/{stream}/index.m3u8", _multivariant),
            web.get("/{stream}/{rung}/index.m3u8", _media),
            web.get(r"/{stream}/{rung}/{sequence:\d{1,12}}.ts", _segment),
        ]
    )
    return app


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "headroom"
    response.headers.setdefault("Cache-Control", "no-cache")


async def _health(request: web.Request) -> web.Response:
    playable = request.app[_STORE].count(lambda stream: stream.playable)
    return web.json_response({"status": "ok", "playable_streams": playable})


def _stream(request: web.Request) -> StreamStore:
    stream = request.app[_STORE].find(request.match_info["stream"])
    if stream is None:
        raise web.HTTPNotFound(text="no such stream\n")
    return stream


def _rung(request: web.Request) -> RungStore:
    rung = _stream(request).rungs.get(request.match_info["rung"])
    if rung is None:
        raise web.HTTPNotFound(text="no such rung\n")
    return rung


async def _multivariant(request: web.Request) -> web.Response:
    stream = _stream(request)
    if not stream.playable:
        raise web.HTTPNotFound(text="the stream has no segment yet; try again in a few seconds\n")
    return web.Response(text=multivariant_playlist(stream), content_type=PLAYLIST_TYPE)


async def _media(request: web.Request) -> web.Response:
    window = _rung(request).window
    if not window.listed:
        raise web.HTTPNotFound(text="the stream has no segment yet; try again in a few seconds\n")
    return web.Response(text=media_playlist(window), content_type=PLAYLIST_TYPE)


async def _segment(request: web.Request) -> web.StreamResponse:
    segment = _rung(request).window.find(int(request.match_info["sequence"]))
    if segment is None:
        raise web.HTTPNotFound(text="no such segment, or no longer\n")
    headers = {
        "Content-Type": SEGMENT_TYPE,
        "Content-Length": str(len(segment.data)),
        "Cache-Control": f"public, max-age={SEGMENT_MAX_AGE_S}, immutable",
    }
    response = web.StreamResponse(headers=headers)
    try:
        async with asyncio.timeout(SEND_DEADLINE_S):
            await _send(request, response, segment.data)
    except TimeoutError:  # the rest can no longer be told apart from the body: only hanging up is left
        if request.transport is not None:
            request.transport.abort()
    return response


async def _send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    await response.prepare(request)
    if request.method != "HEAD":
        view = memoryview(data)
        for start in range(0, len(view), SEND_BYTES):
            await response.write(view[start : start + SEND_BYTES])
    await response.write_eof()


class Origin:
    """The origin on a port.

    Attributes:
        last_request_s: `time.monotonic()` of the last request, or None.
    """

    def __init__(self, store: Store, *, host: str = "127.0.0.1", port: int) -> None:
        """Prepare; `start` opens the port, 0 lets the system choose."""
        self.last_request_s: float | None = None
        self._host, self._asked_port = host, port
        app = origin_app(store)
        app.on_response_prepare.append(self._note_request)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=1.0)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        addresses = self._runner.addresses
        return addresses[0][1] if addresses else self._asked_port

    async def start(self) -> None:
        """Open the port.

        Raises:
            NotReady: the port is in use or may not be opened, or the host is not an address of this machine.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._asked_port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise self._not_ready(error) from error

    async def close(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()

    async def _note_request(self, request: web.Request, response: web.StreamResponse) -> None:
        self.last_request_s = time.monotonic()

    def _not_ready(self, error: OSError) -> NotReady:
        place = f"port {self._asked_port} on {self._host}"
        if error.errno == errno.EADDRINUSE:
            return NotReady(f"{place} is in use; stop the other process or choose --http-port")
        if error.errno == errno.EACCES:
            return NotReady(f"{place} may not be opened by this user; choose --http-port of 1024 or more")
        return NotReady(f"{place} cannot be listened on: {error.strerror}; choose an address of this machine")
