"""A TCP proxy that a test can cut, as a network does: bytes stop, and nobody is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PIECE_BYTES = 65536


class FaultProxy:
    """Forwards between one port and another while it is whole."""

    def __init__(self, server: asyncio.Server) -> None:
        self.port: int = server.sockets[0].getsockname()[1]
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self) -> None:
        """Let nothing through any more; connections stay open, and new ones are taken and get no answer."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through again, first of all what has waited."""
        self._whole.set()

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one direction on until it ends."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE_BYTES):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
            await self._whole.wait()
            writer.write_eof()


@contextlib.asynccontextmanager
async def fault_proxy(to_port: int) -> AsyncIterator[FaultProxy]:
    """Yield a proxy to a port on loopback."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", to_port)
        writers.extend((writer, far_writer))
        for direction in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(proxy.forward(*direction))
            tasks.add(task)

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    proxy = FaultProxy(server)
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
