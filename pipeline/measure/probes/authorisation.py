"""What it costs a publisher that another program is asked about it (`on_publish`).

Publishers come one after the other, in turn to a server that asks an endpoint and to one for which the right key is
enough. Server and endpoint are processes of their own on loopback, and idle otherwise: a real endpoint adds its network
and its own thinking.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pipeline.measure.child import Child
from pipeline.measure.probes.certificate import HOST
from pipeline.measure.probes.ticking import Tick, ticking
from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from scenarios.errors import NotReady

ENDPOINT = "pipeline.measure.probes.admitting_endpoint"
SERVER = "pipeline.measure.probes.publish_server"
CALLS = 30
TIMEOUT_S = 30.0


def authorisation_rows(*, calls: int = CALLS, think_s: float = 0.0, tick: Tick = lambda: None) -> list[dict[str, Any]]:
    """Return a row for each accepted publisher.

    `accepted_s` runs from opening the connection until the publisher has read that it may publish, `callback_s` is what
    the server saw its call take, connecting included; None where it asked nobody. The first calls of a process are
    slower, and they are rows like the others.

    Args:
        calls: publishers with a callback, and as many without.
        think_s: how long the endpoint takes to answer, at least.
        tick: called some times a second.

    Raises:
        NotReady: no port, or a publisher was refused, as by an answer that came too late.
    """
    with Child(ENDPOINT) as endpoint, Child(SERVER) as server:
        endpoint.tell({"think_s": think_s})
        on_publish = f"http://{HOST}:{endpoint.hear(TIMEOUT_S)['port']}/"
        server.tell({"on_publish": on_publish})
        rows = asyncio.run(_publishes(server.hear(TIMEOUT_S), calls, tick))
        server.tell({"stop": True})
        callbacks_s = iter(server.hear(TIMEOUT_S)["callback_s"])
    return [{**row, "callback_s": next(callbacks_s) if row["with_callback"] else None} for row in rows]


async def _publishes(server: dict[str, Any], calls: int, tick: Tick) -> list[dict[str, Any]]:
    rows = []
    async with ticking(tick):
        for call in range(calls):
            for with_callback, port in ((True, server["asking_port"]), (False, server["silent_port"])):
                accepted_s = await _accepted_s(port, server["key"])
                rows.append({"call": call, "with_callback": with_callback, "accepted_s": accepted_s})
    return rows


async def _accepted_s(port: int, key: str) -> float:
    began_s = time.monotonic()
    try:
        publisher = await Publisher.open(host=HOST, port=port, key=key, timeout_s=TIMEOUT_S)
    except (PublishRefused, RtmpError, OSError, TimeoutError) as error:
        raise NotReady(
            f"a publisher on loopback was not accepted ({error or type(error).__name__}); measure again"
        ) from error
    accepted_s = time.monotonic() - began_s
    await publisher.close()
    return accepted_s
