"""An `on_publish` endpoint that admits everybody: `python -m pipeline.measure.probes.admitting_endpoint`.

It reads `{"think_s": …}`, says `{"port": …}`, and answers each request with 200 after that long, until its input ends.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from pipeline.measure.parent import obey, read, say
from pipeline.measure.probes.certificate import HOST


async def _serve(config: dict[str, Any]) -> None:
    async def admit(request: web.BaseRequest) -> web.Response:
        await request.read()
        if config["think_s"] > 0:
            await asyncio.sleep(config["think_s"])
        return web.Response()

    server = await asyncio.get_running_loop().create_server(web.Server(admit), HOST, 0)
    async with server:
        say({"port": server.sockets[0].getsockname()[1]})
        await read()


if __name__ == "__main__":
    obey(_serve)
