"""Orders to a running nginx, over its rtmp control module on a Unix socket in the private folder."""

from __future__ import annotations

import logging
from pathlib import Path

import aiohttp

from pipeline.nginx.configuration import CONTROL_SOCKET
from pipeline.rtmp.server import PublishingClient

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0


async def drop_publisher(folder: Path, client: PublishingClient) -> None:
    """Make nginx end the client's connection; a failure is logged, as the client may be gone by itself."""
    who = {"app": client.app, "name": client.name, "clientid": str(client.clientid)}
    connector = aiohttp.UnixConnector(str(folder / CONTROL_SOCKET))
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get("http://nginx/control/drop/publisher", params=who, raise_for_status=True),
        ):
            return
    except (TimeoutError, aiohttp.ClientError) as error:
        log.warning("%s, client %d could not be dropped: %s", client.name, client.clientid, type(error).__name__)
