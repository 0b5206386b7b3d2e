"""nginx-rtmp as ingest: it takes the publishers, asks us about each, and we play what it took."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
from collections.abc import Callable

from pipeline.nginx.authorisation import Authorisation, Credentials
from pipeline.nginx.configuration import CALLBACK_SOCKET, NginxSettings, configuration
from pipeline.nginx.control import drop_publisher
from pipeline.nginx.process import NginxProcess
from pipeline.nginx.pull import Pull
from pipeline.rtmp.authoriser import Authoriser, authorised_name
from pipeline.rtmp.connection import Publication
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.rtmp.keys import APP
from pipeline.rtmp.server import PublishCallbacks
from scenarios.errors import NotReady
from scenarios.ladder import Ladder

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"


class NginxIngest:
    """An `Ingest`: nginx as a child, the endpoint that it asks, and a player for every stream it took.

    A publisher names its stream and brings its key as `NAME?token=KEY`. There is no taking over: while a stream
    is published, another publisher of it is refused whatever its key.
    """

    scheme = "rtmp"

    def __init__(
        self,
        *,
        host: str,
        port: int,
        authorise: Authoriser,
        publish: Callable[[str], Publication],
        ladder: Ladder,
        callbacks: PublishCallbacks | None = None,
    ) -> None:
        """Prepare; `start` starts nginx. The arguments are those of `RtmpServer`, and the ladder it announces."""
        self._host, self._asked_port, self._ladder = host, port, ladder
        self._authorise, self._publish, self._callbacks = authorise, publish, callbacks
        self._settings: NginxSettings | None = None
        self._process: NginxProcess | None = None
        self._authorisation: Authorisation | None = None
        self._closing = False
        self._live: dict[str, Pull] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that publishers connect to."""
        return self._settings.rtmp_port if self._settings is not None else self._asked_port

    @property
    def http_url(self) -> str:
        """Where `/stats` and nginx's own `/hls` are."""
        assert self._settings is not None
        return f"http://{LOOPBACK}:{self._settings.http_port}"

    @property
    def live_names(self) -> frozenset[str]:
        """Names of the streams that are being published."""
        return frozenset(self._live)

    def stream_key(self, name: str, key: str) -> str:
        """Return what a publisher enters as stream key: nginx shows the name, so the secret goes beside it."""
        return f"{name}?token={key}"

    async def start(self) -> None:
        """Start nginx; NotReady, with its own words, if it cannot."""
        self._process = process = NginxProcess()
        try:
            self._settings = NginxSettings(
                module=process.module,
                host=await _address(self._host),
                rtmp_port=self._asked_port or _free_port(),
                http_port=_free_port(),
                push_tag=secrets.token_urlsafe(24),
                ladder=self._ladder,
                as_root=os.geteuid() == 0,
            )
            self._authorisation = Authorisation(self, push_tag=self._settings.push_tag)
            await self._authorisation.start(process.folder / CALLBACK_SOCKET)
            await process.start(configuration(self._settings))
        except BaseException as error:
            await self.close()
            if isinstance(error, NotReady) and f":{self.port} failed ({errno.EADDRINUSE}" in str(error):
                place = f"port {self.port} on {self._host}"
                raise NotReady(f"{place} is in use; stop the other process or choose --rtmp-port; {error}") from None
            raise

    async def close(self) -> None:
        """End every broadcast with `server closed`, stop nginx and remove its folder."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._process is not None:
            await self._process.stop()
        if self._authorisation is not None:
            await self._authorisation.close()
        if self._process is not None:
            self._process.remove_folder()

    def facts(self) -> dict[str, object]:
        """Return what `/healthz` says of the ingest: where nginx counts."""
        return {"stat_page": f"{self.http_url}/stats"}

    async def failure(self) -> NotReady:
        """Return, once nginx has ended without having been asked to, how."""
        assert self._process is not None
        status = await self._process.ended()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return NotReady(f"nginx {how}; it said: {self._process.said}; start again")

    async def admit(self, credentials: Credentials) -> None:
        """Decide about a publisher; see `Door`. Its stream is joined before nginx lets it begin.

        Raises:
            PublishRefused: a wrong name or key, a name that is live, a no of the callback, or no way to pull it.
        """
        client = credentials.client
        name = await authorised_name(self._authorise, APP, credentials.token, client.addr)
        if name is None or name != client.name:
            raise PublishRefused("no stream has this app and key")
        if name in self._live:
            raise PublishRefused("the stream is live already")
        pull = self._live[name] = Pull(client, self._publish)
        try:
            await self._open(pull)
        except BaseException:
            del self._live[name]
            await pull.close()
            raise
        task = asyncio.get_running_loop().create_task(self._run(pull))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def publish_done(self, clientid: int) -> None:
        """See `Door`."""
        pull = self._pull_of(clientid)
        if pull is not None:
            pull.publish_done()

    def disconnected(self, clientid: int) -> None:
        """See `Door`."""
        pull = self._pull_of(clientid)
        if pull is not None and not pull.is_done:
            pull.is_disconnected = True

    def is_live(self, name: str) -> bool:
        """See `Door`."""
        return name in self._live

    def _pull_of(self, clientid: int) -> Pull | None:
        return next((pull for pull in self._live.values() if pull.client.clientid == clientid), None)

    async def _open(self, pull: Pull) -> None:
        assert self._process is not None
        try:
            await pull.open(self._process.folder)
        except (RtmpError, OSError, TimeoutError) as error:
            log.error("%s cannot be pulled from nginx: %s", pull.client.name, error)
            raise PublishRefused("the stream cannot be taken at the moment") from None
        if self._callbacks is not None:
            await self._callbacks.publish(pull.client)

    async def _run(self, pull: Pull) -> None:
        client = pull.client
        log.info("%s publishes %s through nginx", client.addr, client.name)
        assert self._process is not None
        try:
            reason = await pull.run()
            log.info("%s, client %d ended: %s", client.name, client.clientid, reason)
        finally:
            if not (pull.is_done or self._closing):
                await drop_publisher(self._process.folder, client)
            del self._live[client.name]
            if self._callbacks is not None:
                self._callbacks.publish_done(client)


async def _address(host: str) -> str:
    """Return the IP address of the host; NotReady if it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotReady(f"{host} is no address: {error.strerror}; choose --host") from error
    return str(found[0][4][0])


def _free_port() -> int:
    """Return a loopback port that was free a moment ago: nginx has no way to choose one and say which."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port
