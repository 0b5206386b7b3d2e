"""What nginx asks and tells over HTTP, on a Unix socket: may this client publish, and which client is gone.

nginx appends whatever a publisher wrote after `?` to its own fields, so a field that stands twice is a forgery
and the request is refused; nothing of it is ever logged.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from aiohttp import web

from pipeline.nginx.configuration import DISCONNECT_PATH, HLS_APP, PUBLISH_DONE_PATH, PUBLISH_PATH, PUSHED_PATH
from pipeline.rtmp.errors import PublishRefused
from pipeline.rtmp.keys import APP, is_stream_name
from pipeline.rtmp.server import PublishingClient

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 16 * 1024
"""nginx sends names of at most 256 bytes each; more is refused unread."""
MAX_CLIENT_ID_DIGITS = 18


class Credentials(NamedTuple):
    """Who asks to publish, and the secret it brought."""

    client: PublishingClient
    token: str


class Door(Protocol):
    """Who decides, and hears the end."""

    async def admit(self, credentials: Credentials) -> None:
        """Return if the client may publish; PublishRefused if not."""

    def publish_done(self, clientid: int) -> None:
        """Take note that a client publishes no longer; clients that were refused are told of too."""

    def disconnected(self, clientid: int) -> None:
        """Take note that a client's connection is gone; when it had not unpublished, this comes first."""

    def is_live(self, name: str) -> bool:
        """Return whether an admitted client publishes that name."""


class Authorisation:
    """The HTTP server that nginx calls; `start`, then `close`."""

    def __init__(self, door: Door, *, push_tag: str) -> None:
        """Prepare; `push_tag` is what `NginxSettings` has."""
        self._door, self._push_tag = door, push_tag.encode()
        app = web.Application(client_max_size=MAX_FORM_BYTES)
        app.add_routes(
            [
                web.post(PUBLISH_PATH, self._publish),
                web.post(PUBLISH_DONE_PATH, self._publish_done),
                web.post(DISCONNECT_PATH, self._disconnect),
                web.post(PUSHED_PATH, self._pushed),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, socket: Path) -> None:
        """Listen on that Unix socket."""
        await self._runner.setup()
        await web.UnixSite(self._runner, str(socket)).start()

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _publish(self, request: web.Request) -> web.Response:
        try:
            await self._door.admit(_credentials(await _form(request)))
        except PublishRefused as refusal:
            log.info("nginx was told to refuse a publisher: %s", refusal)
            raise web.HTTPForbidden(text=f"{refusal}\n") from None
        return web.Response()

    async def _publish_done(self, request: web.Request) -> web.Response:
        clientid = _client_id(await request.post())
        if clientid is not None:
            self._door.publish_done(clientid)
        return web.Response()

    async def _disconnect(self, request: web.Request) -> web.Response:
        clientid = _client_id(await request.post())
        if clientid is not None:
            self._door.disconnected(clientid)
        return web.Response()

    async def _pushed(self, request: web.Request) -> web.Response:
        """Let only nginx's own copy of a live stream into the application that writes HLS."""
        form = await _form(request)
        is_own = hmac.compare_digest(form.get("tcurl", "").encode(), self._push_tag)
        if not is_own or form.get("app") != HLS_APP or not self._door.is_live(form.get("name", "")):
            raise web.HTTPForbidden(text="only live streams are pushed here\n")
        return web.Response()


async def _form(request: web.Request) -> dict[str, str]:
    """Return the fields; HTTPForbidden for one that stands twice or is a file."""
    fields = await request.post()
    if len(fields) != len(set(fields)) or not all(isinstance(value, str) for value in fields.values()):
        raise web.HTTPForbidden(text="a field stands twice\n")
    return {name: str(value) for name, value in fields.items()}


def _client_id(form: Mapping[str, object]) -> int | None:
    text = form.get("clientid")
    is_number = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= MAX_CLIENT_ID_DIGITS
    return int(text) if is_number else None


def _credentials(form: Mapping[str, str]) -> Credentials:
    """Return who asks for what; PublishRefused for another application, a bad name or a recording."""
    name, clientid = form.get("name", ""), _client_id(form)
    is_ours = form.get("app") == APP and form.get("type") == "live"
    if not is_ours or not is_stream_name(name) or clientid is None:
        raise PublishRefused("no stream has this app and key")
    client = PublishingClient(app=APP, name=name, addr=form.get("addr", ""), clientid=clientid)
    return Credentials(client, form.get("token", ""))
