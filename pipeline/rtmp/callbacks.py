"""HTTP callbacks of the ingest, with nginx-rtmp's fields: another program decides who publishes, and hears the end.

Each call is a form `POST` on a connection of its own, as nginx-rtmp makes it: a kept connection that the other
side has just closed would refuse a publisher for nothing. The stream key is in none of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from pipeline.rtmp.errors import PublishRefused
from pipeline.rtmp.server import PublishingClient
from scenarios.errors import Problem, ScenarioError

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0
"""How long a call may take, connecting included; longer is no."""
KEPT_CALLS = 1000
"""Calls whose latency is kept, the newest."""

Call: TypeAlias = Literal["publish", "publish_done"]


class CallMark(NamedTuple):
    """One call: when it began (`time.monotonic()`), what it took, and its HTTP status, None without an answer."""

    call: Call
    began_s: float
    latency_s: float
    status: int | None


class CallFailed(Exception):  # noqa: N818 - an outcome of one call; who made it decides what follows
    """A callback did not say yes; the text says how, and never where it was sent: a URL may hold a token."""


class HttpCallbacks:
    """The two callbacks of a server, each of them optional; a `PublishCallbacks`.

    When a publisher is taken over, the new one's `publish` comes before the old one's `publish_done`; `clientid`
    tells them apart.

    Attributes:
        calls: the newest `KEPT_CALLS` calls, in the order they ended.
    """

    def __init__(
        self, *, on_publish: str | None = None, on_publish_done: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Remember where to call; ScenarioError for what is no http or https URL."""
        self.calls: deque[CallMark] = deque(maxlen=KEPT_CALLS)
        self._on_publish = _checked("--on-publish", on_publish)
        self._on_publish_done = _checked("--on-publish-done", on_publish_done)
        self._timeout_s = timeout_s
        self._under_way: set[asyncio.Task[None]] = set()

    async def publish(self, client: PublishingClient) -> None:
        """Ask whether the publisher may publish.

        Raises:
            PublishRefused: the answer is not 2xx, late, or there is none: whatever fails lets nobody in.
        """
        if self._on_publish is None:
            return
        try:
            await self._call(self._on_publish, "publish", client)
        except CallFailed as failure:
            raise PublishRefused(str(failure)) from None

    def publish_done(self, client: PublishingClient) -> None:
        """Tell that the publisher is gone, in the background; a failure is logged and not tried again."""
        if self._on_publish_done is None:
            return
        task = asyncio.get_running_loop().create_task(self._tell_done(self._on_publish_done, client))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Wait for what is still being told, which each call's timeout bounds."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _tell_done(self, url: str, client: PublishingClient) -> None:
        try:
            await self._call(url, "publish_done", client)
        except CallFailed as failure:
            log.warning("%s, client %d: %s", client.name, client.clientid, failure)

    async def _call(self, url: str, call: Call, client: PublishingClient) -> None:
        """Make the call and keep its mark; CallFailed unless the answer is 2xx."""
        form = {"call": call, **client._asdict(), "type": "live"}
        began_s, status = time.monotonic(), None
        try:
            status = await self._post(url, form)
        except TimeoutError:
            raise CallFailed(f"on_{call} did not answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise CallFailed(f"on_{call} could not be asked: {type(error).__name__}") from None
        finally:
            self.calls.append(CallMark(call, began_s, time.monotonic() - began_s, status))
        if not 200 <= status < 300:
            raise CallFailed(f"on_{call} answered {status}")

    async def _post(self, url: str, form: dict[str, str | int]) -> int:
        """Return the status of the answer; its body is not read, nor is a redirection followed."""
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=form, allow_redirects=False) as answer,
        ):
            return answer.status


def _checked(option: str, url: str | None) -> str | None:
    """Return the URL; ScenarioError, which does not quote it, unless it is http or https and has a host."""
    if url is not None and not _is_http(url):
        problem = Problem(option, None, None, "", "is no http or https URL", "write http://HOST:PORT/PATH")
        raise ScenarioError([problem])
    return url


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port  # reading it is what checks it
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
