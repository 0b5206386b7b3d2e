"""An RTMP publisher that sends media it is given: the load generator's end of a broadcast."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import NoReturn

from pipeline.rtmp.amf import AmfValue
from pipeline.rtmp.client_connection import ClientConnection
from pipeline.rtmp.errors import PublishRefused
from pipeline.rtmp.keys import APP
from pipeline.rtmp.messages import AUDIO_CHUNK_STREAM, VIDEO_CHUNK_STREAM, MessageType, RtmpMessage

CHUNK_BYTES = 65536
"""Larger than nearly every frame, so that most messages are one header and one copy."""
_GOODBYE_S = 5.0
"""How long the server may take to hang up after the last frame."""
_VERSION = "FMLE/3.0 (compatible; Headroom)"


class Publisher(ClientConnection):
    """A broadcast being published; made by `open`, ended by `close`."""

    refusal = PublishRefused

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        super().__init__(reader, writer, key)
        self._listener: asyncio.Task[NoReturn] | None = None

    @classmethod
    async def open(
        cls,
        *,
        host: str = "127.0.0.1",
        port: int,
        key: str,
        app: str = APP,
        chunk_bytes: int = CHUNK_BYTES,
        timeout_s: float = 10.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> Publisher:
        """Connect and publish; return once the server has said that media may come.

        Raises:
            PublishRefused: the server said no; the text is its reason, without the key.
            RtmpError: the server does not speak RTMP or hung up.
            TimeoutError: no answer within `timeout_s`.
            OSError: no connection.
        """
        encoder: dict[str, AmfValue] = {"type": "nonprivate", "flashVer": _VERSION}
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=ssl_context)
            tc_url = f"rtmp://{host}:{port}/{app}"
            publisher = await cls(reader, writer, key)._begin(
                app=app, tc_url=tc_url, chunk_bytes=chunk_bytes, properties=encoder
            )
        publisher._listener = asyncio.create_task(publisher._listen())
        return publisher

    async def send_video(self, timestamp_ms: int, tag_body: bytes) -> None:
        """Send an FLV video tag body; returns when the socket has room for the next.

        Raises:
            PublishRefused: the server has ended the broadcast, with its reason.
            RtmpError: the server has hung up.
            OSError: the connection broke.
        """
        await self._send_media(VIDEO_CHUNK_STREAM, MessageType.VIDEO, timestamp_ms, tag_body)

    async def send_audio(self, timestamp_ms: int, tag_body: bytes) -> None:
        """Send an FLV audio tag body; otherwise as `send_video`."""
        await self._send_media(AUDIO_CHUNK_STREAM, MessageType.AUDIO, timestamp_ms, tag_body)

    async def close(self) -> None:
        """Unpublish, let the server take what is under way, and close; a broken connection is only freed."""
        # A connection that broke is closed too, and that is all that is asked: hence the two suppressions.
        if self._listener is not None and not self._listener.done():
            with contextlib.suppress(OSError):
                await self._say_goodbye(self._listener)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])

    async def _say_goodbye(self, listener: asyncio.Task[NoReturn]) -> None:
        """End the publish and read on until the server hangs up.

        Closing over answers that nobody has read would reset the connection and lose the last frames.
        """
        self._send_command("FCUnpublish", None, self._stream)
        self._send_command("deleteStream", None, self._stream_id)
        if self._writer.can_write_eof():
            self._writer.write_eof()
        await asyncio.wait([listener], timeout=_GOODBYE_S)

    async def _request(self) -> None:
        self._send_command("publish", None, self._stream, "live")
        await self._granted("NetStream.Publish.Start")

    async def _listen(self) -> NoReturn:
        """Read what the server says during the broadcast, until it ends it: then raise why."""
        while True:
            self._status_code(await self._next_command())

    async def _send_media(self, chunk_stream: int, type_id: MessageType, timestamp_ms: int, body: bytes) -> None:
        if self._listener is not None and self._listener.done():
            await self._listener
        self._send(RtmpMessage(chunk_stream, type_id, self._stream_id, timestamp_ms, body))
        await self._writer.drain()
