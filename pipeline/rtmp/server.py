"""The RTMP server: one port, many publishers, nobody heard before the authoriser has said yes."""

from __future__ import annotations

import asyncio
import errno
import hmac
import itertools
import logging
import resource
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple, Protocol

from pipeline.rtmp.authoriser import Authoriser, authorised_name
from pipeline.rtmp.connection import Connection, Publication
from pipeline.rtmp.errors import PublishRefused
from pipeline.rtmp.events import PublishRequested
from pipeline.rtmp.keys import is_stream_name, key_digest
from pipeline.rtmp.limits import Deadlines
from scenarios.errors import NotReady

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 256
MAX_CONNECTIONS_PER_IP = 64
OTHER_FILES = 40
"""Descriptors left to everything but sockets when the process may open only a few."""
_BACKLOG = 1024
"""Beyond it a connection waits a second for TCP to try again, so a flood must not fill it.

It is also how many sockets asyncio takes in at a stroke, before it lets us turn one away: never more than there are
descriptors for, or it reports their lack a thousand times.
"""
_READ_BYTES = 256 * 1024


class PublishingClient(NamedTuple):
    """A publisher as callbacks hear of it, without its key; the fields are named as nginx-rtmp names them."""

    app: str
    name: str
    """The public name of the stream."""
    addr: str
    """Address of the peer, without its port."""
    clientid: int
    """Number of the publish request since the server's start: tells two publishers of one stream apart."""


class PublishCallbacks(Protocol):
    """Who is asked about a publisher whose key is right, and told when it is gone."""

    async def publish(self, client: PublishingClient) -> None:
        """Return to admit the publisher; PublishRefused if it may not publish."""

    def publish_done(self, client: PublishingClient) -> None:
        """Take note, without blocking, that a publisher that `publish` admitted is gone."""


class _Live(NamedTuple):
    connection: Connection
    secret: bytes
    """`key_digest` of its stream key: who may take over."""


@dataclass
class IngestCounts:
    """What the server has done since its start."""

    connections: int = 0
    turned_away: int = 0
    """Connections beyond a cap: newcomers, or those that had waited longest without publishing."""
    accepted: int = 0
    taken_over: int = 0
    """Publishers that gave way to another with the same key."""
    refused: int = 0
    protocol_errors: int = 0
    dropped_media: int = 0
    """Messages that came before the accepted publish or before their sequence header."""


def connection_cap() -> int:
    """Return how many connections this process should hold: fewer where it may open few files."""
    return min(MAX_CONNECTIONS, _files_share())


def _files_share() -> int:
    """Return half of the descriptors that are free for sockets; the other half is for whoever watches."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, (soft - OTHER_FILES) // 2)


class RtmpServer:
    """Takes broadcasts over RTMP and hands each to a `Publication`.

    Everything runs on the event loop that `start` is called on; no thread is created.

    Attributes:
        deadlines: how long a peer may take for what.
        counts: what has happened so far.
        scheme: of its address, `rtmps` inside TLS, else `rtmp`.
        read_buffer: where connections read to.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int,
        authorise: Authoriser,
        publish: Callable[[str], Publication],
        callbacks: PublishCallbacks | None = None,
        max_connections: int | None = None,
        max_per_ip: int = MAX_CONNECTIONS_PER_IP,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare; `start` opens the port.

        Args:
            host: address to listen on; loopback unless the user asks for more.
            port: TCP port, 0 to let the system choose.
            authorise: see `Authoriser`; an exception from it refuses the publish.
            publish: opens where the broadcast of a name goes; called once for each accepted publish.
            callbacks: asked after `authorise`; without them every right key is admitted.
            max_connections: sockets open at a time; `connection_cap` when omitted.
            max_per_ip: sockets open at a time from one address.
            deadlines: the defaults of `limits.Deadlines` when omitted.
            ssl_context: makes the port RTMPS.
        """
        self.deadlines = deadlines or Deadlines()
        self.counts = IngestCounts()
        self.scheme = "rtmps" if ssl_context is not None else "rtmp"
        self.read_buffer = memoryview(bytearray(_READ_BYTES))
        self._host, self._asked_port, self._ssl = host, port, ssl_context
        self._authorise, self._publish, self._callbacks = authorise, publish, callbacks
        self._max_connections = connection_cap() if max_connections is None else max_connections
        self._max_per_ip = max_per_ip
        self._connections: dict[Connection, None] = {}  # in the order they came
        self._per_ip: Counter[str] = Counter()
        self._live: dict[str, _Live] = {}
        self._client_ids = itertools.count(1)
        self._admitted: dict[Connection, PublishingClient] = {}
        self._server: asyncio.Server | None = None
        self._watch: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._server is None:
            return self._asked_port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def live_names(self) -> frozenset[str]:
        """Names of the streams that are being published."""
        return frozenset(self._live)

    def stream_key(self, name: str, key: str) -> str:
        """Return what a publisher enters as stream key: the key alone, as it says which stream it is for."""
        del name
        return key

    def facts(self) -> dict[str, object]:
        """Return what `/healthz` says of the ingest: the counts."""
        return asdict(self.counts)

    async def failure(self) -> NotReady:
        """Wait for ever: the server runs in this process, and fails only with it."""
        return await asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Open the port.

        Raises:
            NotReady: the port is in use or may not be opened, or the host is not an address of this machine.
        """
        loop = asyncio.get_running_loop()
        tls_timeout = self.deadlines.handshake_s if self._ssl else None
        try:
            self._server = await loop.create_server(
                lambda: Connection(self),
                self._host,
                self._asked_port,
                backlog=min(_BACKLOG, _files_share()),
                ssl=self._ssl,
                ssl_handshake_timeout=tls_timeout,
            )
        except OSError as error:
            raise self._not_ready(error) from error
        self._watch = loop.call_later(self.deadlines.check_every_s, self._check_deadlines)

    async def close(self) -> None:
        """Stop listening and end every broadcast with `server closed`."""
        if self._server is None:
            return
        self._server.close()
        if self._watch is not None:
            self._watch.cancel()
        for connection in list(self._connections):
            connection.abort("server closed")
        while self._connections:  # until each transport has reported its end
            await asyncio.sleep(0)
        await self._server.wait_closed()
        self._server = None

    def arrived(self, connection: Connection) -> bool:
        """Take the connection in if the caps allow it; in a full house it takes the place of one that only waits."""
        if self._per_ip[connection.peer_ip] >= self._max_per_ip or not self._has_room():
            self.counts.turned_away += 1
            return False
        self.counts.connections += 1
        self._connections[connection] = None
        self._per_ip[connection.peer_ip] += 1
        return True

    async def claim(self, connection: Connection, request: PublishRequested) -> Publication:
        """Return the publication of the name that the request may publish, and take the name.

        A former publisher of the name gives way to one with the same key: its own connection may have died
        unnoticed, and it must not wait for the idle deadline to come back.

        Raises:
            PublishRefused: the authoriser or the callback said no or failed, or another key publishes the name.
        """
        name = await authorised_name(self._authorise, request.app, request.stream_key, connection.peer)
        if name is None or not is_stream_name(name):
            raise PublishRefused("no stream has this app and key")
        secret = key_digest(request.stream_key)
        self._check_secret(name, secret)
        if self._callbacks is not None:
            client = PublishingClient(request.app, name, connection.peer_ip, next(self._client_ids))
            await self._callbacks.publish(client)
            self._admitted[connection] = client
            self._check_secret(name, secret)  # the name may have been taken while the callback was thinking
        self._expel(name)
        publication = self._publish(name)
        self._live[name] = _Live(connection, secret)
        self.counts.accepted += 1
        log.info("%s publishes %s", connection.peer, name)
        return publication

    def ended(self, connection: Connection, reason: str) -> None:
        """Free the connection's name, count how it ended, and tell whom it concerns."""
        for name in [name for name, live in self._live.items() if live.connection is connection]:
            del self._live[name]
        self.counts.protocol_errors += reason.startswith("protocol error")
        self.counts.refused += reason.startswith("refused")
        self.counts.dropped_media += connection.dropped_media
        log.info("%s ended: %s", connection.peer, reason)
        client = self._admitted.pop(connection, None)
        if client is not None and self._callbacks is not None:
            self._callbacks.publish_done(client)

    def left(self, connection: Connection) -> None:
        """Give the connection's place back."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        self._per_ip[connection.peer_ip] -= 1
        if self._per_ip[connection.peer_ip] == 0:
            del self._per_ip[connection.peer_ip]

    def _has_room(self) -> bool:
        """Return whether another connection fits, after making one leave that does not publish, if it must.

        It is one of the address that holds most places, and there the one that has waited longest: a publisher
        needs milliseconds to say what it wants, a flood of idle sockets says nothing.
        """
        if len(self._connections) < self._max_connections:
            return True
        waiting = [connection for connection in self._connections if not connection.is_publishing]
        if not waiting:
            return False
        self.counts.turned_away += 1
        oldest = max(waiting, key=lambda connection: self._per_ip[connection.peer_ip])
        oldest.abort("turned away: others were waiting")
        self.left(oldest)
        return True

    def _check_secret(self, name: str, secret: bytes) -> None:
        live = self._live.get(name)
        if live is not None and not hmac.compare_digest(live.secret, secret):
            raise PublishRefused("the stream is live already, with another key")

    def _expel(self, name: str) -> None:
        """End the publisher of the name, if there is one, for another to take over."""
        live = self._live.get(name)
        if live is not None:
            self.counts.taken_over += 1
            live.connection.dismiss("taken over")

    def _check_deadlines(self) -> None:
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(self.deadlines.check_every_s, self._check_deadlines)
        now_s = time.monotonic()
        for connection in list(self._connections):
            connection.check_deadlines(now_s)

    def _not_ready(self, error: OSError) -> NotReady:
        place = f"port {self._asked_port} on {self._host}"
        if error.errno == errno.EADDRINUSE:
            return NotReady(f"{place} is in use; stop the other process or choose --rtmp-port")
        if error.errno == errno.EACCES:
            return NotReady(f"{place} may not be opened by this user; choose --rtmp-port of 1024 or more")
        return NotReady(f"{place} cannot be listened on: {error.strerror}; choose an address of this machine")
