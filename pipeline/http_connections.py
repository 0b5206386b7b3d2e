"""How many viewers may be connected, and what happens to the next one: the ingest keeps its file descriptors."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import struct
import time
from math import inf
from typing import Any

from aiohttp import web

from pipeline.rtmp.server import MAX_CONNECTIONS

log = logging.getLogger(__name__)

MAX_VIEWERS = 8192
"""Viewers at a time; beyond it a CDN belongs in front."""
RESERVED_DESCRIPTORS = MAX_CONNECTIONS + 128
"""File descriptors that are not for viewers: publishers, files of recordings, pipes of encoders."""
WANTED_DESCRIPTORS = 16_384
SEND_BUFFER_BYTES = 256 * 1024
"""What the system may hold for one viewer (Linux doubles it); else it grows to several MiB for a slow one."""
ALERT_S = 5.0
"""How long a connection that could not be accepted keeps the alert up."""
LOG_EVERY_S = 60.0
_NO_DESCRIPTORS = "out of file descriptors: new connections wait; raise `ulimit -n`"
_TURNED_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 2\r\n"
    b"Access-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
)


def raise_descriptor_limit() -> None:
    """Ask the system for as many file descriptors as it gives, up to `WANTED_DESCRIPTORS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def viewers_allowed() -> int:
    """Return how many viewers the process's file descriptors allow: a quarter of them where there are very few."""
    descriptors = _descriptor_limit()
    return int(max(descriptors // 4, min(MAX_VIEWERS, descriptors - RESERVED_DESCRIPTORS)))


def _descriptor_limit() -> float:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if soft == resource.RLIM_INFINITY else soft


def hang_up(transport: asyncio.Transport) -> None:
    """Break the connection, and have the system forget what it still holds for a peer that does not read."""
    forget = struct.pack("ii", 1, 0)  # linger, for 0 s
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, forget)
    transport.abort()


class Viewer(web.RequestHandler):
    """A connection; what is no HTTP is answered in three words.

    aiohttp would send back what came, and log a traceback for whatever anyone sends.
    """

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the answer to a malformed request; a bug of ours keeps its traceback."""
        if status >= 500:
            return super().handle_error(request, status, exc, message)
        response = web.Response(status=status, text="malformed request\n")
        response.force_close()
        return response


class Door:
    """Lets connections in to an HTTP server while there is room; the factory of a listening socket's protocols.

    There is no cap per address: all viewers of one office share one.

    Attributes:
        turned_away: connections that found it full.
    """

    def __init__(self, server: web.Server, *, max_connections: int, keepalive_s: float) -> None:
        self._server, self._max_connections, self._keepalive_s = server, max_connections, keepalive_s
        self.turned_away = 0

    def __call__(self) -> asyncio.Protocol:
        """Return what receives the next connection."""
        return _Arrival(self)

    def admit(self, transport: asyncio.Transport) -> None:
        """Hand the connection to the server, or answer 503 and hang up."""
        if len(self._server.connections) >= self._max_connections:
            self.turned_away += 1
            transport.write(_TURNED_AWAY)
            transport.close()
            return
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        loop = asyncio.get_running_loop()
        viewer = Viewer(self._server, loop=loop, access_log=None, keepalive_timeout=self._keepalive_s)
        transport.set_protocol(viewer)
        viewer.connection_made(transport)


class _Arrival(asyncio.Protocol):
    """A connection for the one moment until it is known whether there is room."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._door.admit(transport)


class DescriptorAlarm:
    """The event loop's exception handler: says once a minute that file descriptors ran out, not at every accept.

    All else goes to the loop's own handler.
    """

    def __init__(self) -> None:
        self._failed_s = self._logged_s = -inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """See `asyncio.loop.set_exception_handler`."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            self._failed_s = time.monotonic()
            if self._failed_s - self._logged_s >= LOG_EVERY_S:
                self._logged_s = self._failed_s
                log.warning(_NO_DESCRIPTORS)
        elif not (self._failed_s > -inf and "_start_serving" in context["message"]):
            # asyncio comes back a second later to sockets that could not accept, also to those closed meanwhile
            loop.default_exception_handler(context)

    def alert(self) -> str | None:
        """Return the alert of the last seconds, or None."""
        if time.monotonic() - self._failed_s > ALERT_S:
            return None
        return _NO_DESCRIPTORS
