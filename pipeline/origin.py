"""The HLS origin: playlists and segments over HTTP, straight from the store in memory.

Names in requests are only ever looked up in the store's own index; no path is built from them.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from pipeline.byte_range import requested_span
from pipeline.health import Health
from pipeline.hls.playlist import media_playlist, multivariant_playlist
from pipeline.hls.store import RungStore, Store, StreamStore
from pipeline.http_connections import Door, hang_up, viewers_allowed
from pipeline.player.pages import player_routes
from scenarios.errors import NotReady

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
INIT_TYPE = "video/mp4"
SEGMENT_MAX_AGE_S = 60
"""How long a segment may be cached: longer than any playlist lists it, and no longer, because its name is not unique
for ever: numbers begin anew when the server restarts, and a cache must not answer with the former broadcast."""
SEND_BYTES = 65 * 1024
"""A segment is written in pieces of this size: what a slow reader can make us hold. aiohttp waits for a reader only
after more than 64 KiB."""
SEND_BUFFER_BYTES = 16 * 1024
"""Bytes that may be left of a piece when the next is written."""
SEND_DEADLINE_S = 30.0
"""The longest a reader may take over one segment."""
KEEPALIVE_S = 15.0
"""How long an idle connection stays open."""
TLS_HANDSHAKE_S = 5.0
"""How long a connection may take to agree on keys; until then it holds a file descriptor and is nobody's viewer."""
TLS_SHUTDOWN_S = 1.0
"""How long a viewer may take to say goodbye."""
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range",
    "Access-Control-Max-Age": "86400",
}
"""What a page of another origin may send: the answer to a browser's OPTIONS."""
BACKLOG = 128
"""Connections that may wait for the event loop. asyncio accepts so many before it asks whether there is room, hence no
more than `max_connections`."""
_STORE = web.AppKey("store", Store)
_HEALTH = web.AppKey("health", Health)


def origin_app(store: Store, health: Health) -> web.Application:
    """Return the application that serves the store, and the player page by the routes of `player_routes`.

    `/{stream}/index.m3u8`, `/{stream}/{rung}/index.m3u8`, `/{stream}/{rung}/{sequence}.ts` or `.m4s`,
    `/{stream}/{rung}/init-{number}.mp4` and `/healthz`; all else is 404, also a playlist that has no segment yet.
    """
    app = web.Application(middlewares=[_preflight])
    app[_STORE], app[_HEALTH] = store, health
    app.on_response_prepare.append(_set_headers)
    app.add_routes(player_routes())
    app.add_routes(
        [
            web.get("/healthz", _health),
            web.get("/{stream}/index.m3u8", _multivariant),
            web.get("/{stream}/{rung}/index.m3u8", _media),
            web.get(r"/{stream}/{rung}/{sequence:\d{1,12}}{suffix:\.ts|\.m4s}", _segment),
            web.get(r"/{stream}/{rung}/init-{number:\d{1,12}}.mp4", _init),
        ]
    )
    return app


@web.middleware
async def _preflight(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer OPTIONS for every path alike: the same pages may play whatever is there."""
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=PREFLIGHT)
    return await handler(request)


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "Content-Length, Content-Range, Date"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "headroom"
    response.headers.setdefault("Cache-Control", "no-cache")


async def _health(request: web.Request) -> web.Response:
    document = request.app[_HEALTH].document()
    return web.json_response(document, status=503 if document["alerts"] else 200)


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
    window = _rung(request).window
    segment = window.find(int(request.match_info["sequence"]))
    if segment is None or request.match_info["suffix"] != window.container.suffix:
        raise web.HTTPNotFound(text="no such segment, or no longer\n")
    return await _media_file(request, segment.data, window.container.content_type)


async def _init(request: web.Request) -> web.StreamResponse:
    init = _rung(request).window.find_init(int(request.match_info["number"]))
    if init is None:
        raise web.HTTPNotFound(text="no such init segment, or no longer\n")
    return await _media_file(request, init.data, INIT_TYPE)


async def _media_file(request: web.Request, data: bytes, content_type: str) -> web.StreamResponse:
    size = len(data)
    span = requested_span(request, size)
    first, end = span or (0, size)
    headers = {
        "Content-Type": content_type,
        "Content-Length": str(end - first),
        "Accept-Ranges": "bytes",
        "Cache-Control": f"public, max-age={SEGMENT_MAX_AGE_S}",
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    response = web.StreamResponse(status=206 if span is not None else 200, headers=headers)
    try:
        async with asyncio.timeout(SEND_DEADLINE_S):
            await _send(request, response, memoryview(data)[first:end])
    except TimeoutError:  # the rest can no longer be told apart from the body: only hanging up is left
        if request.transport is not None:
            hang_up(request.transport)
    return response


async def _send(request: web.Request, response: web.StreamResponse, data: memoryview) -> None:
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=SEND_BUFFER_BYTES)
    await response.prepare(request)
    if request.method != "HEAD":
        for start in range(0, len(data), SEND_BYTES):
            await response.write(data[start : start + SEND_BYTES])
    await response.write_eof()


class Origin:
    """The origin on a port.

    Attributes:
        last_request_s: `time.monotonic()` of the last request, or None.
    """

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int,
        health: Health | None = None,
        max_connections: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; `start` opens the port.

        Args:
            store: what is served.
            host: address to listen on.
            port: TCP port, 0 to let the system choose.
            health: what `/healthz` tells; the origin adds its own part.
            max_connections: viewers at a time; what the process's file descriptors allow if omitted.
            ssl_context: makes it HTTPS; then a connection counts once its handshake is over.
        """
        self.last_request_s: float | None = None
        self._host, self._asked_port, self._ssl = host, port, ssl_context
        self._max_connections = max_connections or viewers_allowed()
        health = health or Health()
        health.register("playable_streams", facts=lambda: store.count(lambda stream: stream.playable))
        health.register("viewer_connections", facts=lambda: self.connections)
        app = origin_app(store, health)
        app.on_response_prepare.append(self._note_request)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        self._listening: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._listening is None or not self._listening.sockets:
            return self._asked_port
        port: int = self._listening.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """Viewers that are connected."""
        server = self._runner.server
        return len(server.connections) if server is not None else 0

    async def start(self) -> None:
        """Open the port.

        Raises:
            NotReady: the port is in use or may not be opened, or the host is not an address of this machine.
        """
        await self._runner.setup()
        assert self._runner.server is not None
        door = Door(self._runner.server, max_connections=self._max_connections, keepalive_s=KEEPALIVE_S)
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                door,
                self._host,
                self._asked_port,
                backlog=min(BACKLOG, self._max_connections),
                ssl=self._ssl,
                ssl_handshake_timeout=TLS_HANDSHAKE_S if self._ssl else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S if self._ssl else None,
            )
        except OSError as error:
            await self._runner.cleanup()
            raise self._not_ready(error) from error

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()
        if self._listening is not None:
            await self._listening.wait_closed()

    async def _note_request(self, request: web.Request, response: web.StreamResponse) -> None:
        self.last_request_s = time.monotonic()

    def _not_ready(self, error: OSError) -> NotReady:
        place = f"port {self._asked_port} on {self._host}"
        if error.errno == errno.EADDRINUSE:
            return NotReady(f"{place} is in use; stop the other process or choose --http-port")
        if error.errno == errno.EACCES:
            return NotReady(f"{place} may not be opened by this user; choose --http-port of 1024 or more")
        return NotReady(f"{place} cannot be listened on: {error.strerror}; choose an address of this machine")
