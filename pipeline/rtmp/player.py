"""An RTMP player: takes a live stream from another server, message by message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

from pipeline.rtmp import messages
from pipeline.rtmp.client_connection import ClientConnection
from pipeline.rtmp.events import AudioMessage, VideoMessage
from pipeline.rtmp.keys import APP
from pipeline.rtmp.messages import MessageType, RtmpMessage, UserControl
from pipeline.rtmp.timestamps import UnwrappedTime

CHUNK_BYTES = 4096
"""A player only sends commands."""
_LIVE_ONLY = -1000
"""The start of `play` that asks for the live stream and waits for one (Adobe RTMP 1.0, 7.2.2.1, in ms)."""
_END_CODES = frozenset({"NetStream.Play.UnpublishNotify", "NetStream.Play.Stop"})

Media: TypeAlias = VideoMessage | AudioMessage


class Player(ClientConnection):
    """A stream being played; made by `open`, read by `media`, ended by `close`."""

    @classmethod
    async def open(cls, path: Path, stream: str, *, app: str = APP, timeout_s: float = 5.0) -> Player:
        """Connect and play; return once the server has said that media will come.

        Args:
            path: the server's Unix socket.
            stream: name of the stream; whether it must be live already is the server's choice.
            app: its application.
            timeout_s: the longest that all of it may take.

        Raises:
            RtmpError: the server said no, does not speak RTMP or hung up.
            TimeoutError: no answer within `timeout_s`.
            OSError: no connection.
        """
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(path)
            player = cls(reader, writer, stream)
            return await player._begin(
                app=app, tc_url=f"rtmp://localhost/{app}", chunk_bytes=CHUNK_BYTES, properties={}
            )

    async def media(self, *, idle_s: float) -> AsyncIterator[Media]:
        """Yield the media in the order it was sent, until the stream is unpublished.

        Raises:
            TimeoutError: nothing came for `idle_s`.
            RtmpError: the server hung up, broke the protocol or ended the stream with an error.
            OSError: the connection broke.
        """
        time = UnwrappedTime()
        while True:
            async with asyncio.timeout(idle_s):
                message = await self._next_message()
            if message.type_id == MessageType.VIDEO:
                yield VideoMessage(time.unwrap(message.timestamp_ms), message.payload)
            elif message.type_id == MessageType.AUDIO:
                yield AudioMessage(time.unwrap(message.timestamp_ms), message.payload)
            elif self._is_end(message):
                return

    async def close(self) -> None:
        """Close the connection; harmless on one that broke."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _is_end(self, message: RtmpMessage) -> bool:
        """Return whether the stream is over; servers say so by a control message, a status or both."""
        if message.type_id == MessageType.USER_CONTROL:
            return message.payload[:2] == UserControl.STREAM_EOF.to_bytes(2, "big")
        if message.type_id == MessageType.COMMAND_AMF0:
            return self._status_code(messages.read_command(message)) in _END_CODES
        return False

    async def _request(self) -> None:
        self._send_command("play", None, self._stream, _LIVE_ONLY)
        await self._granted("NetStream.Play.Start")
