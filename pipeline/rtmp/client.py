"""An RTMP publisher that sends media it is given: the load generator's end of a broadcast."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import NoReturn

from pipeline.rtmp import messages
from pipeline.rtmp.amf import AmfValue
from pipeline.rtmp.chunks import ChunkReader, ChunkWriter
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.rtmp.handshake import PART_BYTES, ClientHandshake
from pipeline.rtmp.keys import APP
from pipeline.rtmp.messages import AUDIO_CHUNK_STREAM, VIDEO_CHUNK_STREAM, Command, MessageType, RtmpMessage

CHUNK_BYTES = 65536
"""Larger than nearly every frame, so that most messages are one header and one copy."""
_READ_BYTES = 65536
_GOODBYE_S = 5.0
"""How long the server may take to hang up after the last frame."""
_VERSION = "FMLE/3.0 (compatible; Headroom)"
_COMMAND_TYPES = (MessageType.COMMAND_AMF0, MessageType.COMMAND_AMF3)


class Publisher:
    """A broadcast being published; made by `open`, ended by `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str) -> None:
        self._reader, self._writer, self._key = reader, writer, key
        self._chunks_in, self._chunks_out = ChunkReader(), ChunkWriter()
        self._commands: list[Command] = []
        self._transactions = 0
        self._stream_id = 0
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
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, ssl=ssl_context)
            publisher = cls(reader, writer, key)
            try:
                await publisher._shake_hands()
                writer.write(publisher._chunks_out.set_chunk_size(chunk_bytes))
                await publisher._publish(app, f"rtmp://{host}:{port}/{app}")
            except BaseException:
                writer.close()
                raise
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
        self._send_command("FCUnpublish", None, self._key)
        self._send_command("deleteStream", None, self._stream_id)
        if self._writer.can_write_eof():
            self._writer.write_eof()
        await asyncio.wait([listener], timeout=_GOODBYE_S)

    async def _shake_hands(self) -> None:
        handshake = ClientHandshake()
        self._writer.write(handshake.hello)
        try:
            reply = await self._reader.readexactly(1 + 2 * PART_BYTES)
        except asyncio.IncompleteReadError:
            raise RtmpError("the server hung up during the handshake") from None
        self._writer.write(handshake.finish(reply))

    async def _publish(self, app: str, tc_url: str) -> None:
        encoder: dict[str, AmfValue] = {"type": "nonprivate", "flashVer": _VERSION}
        await self._call("connect", encoder | {"app": app, "tcUrl": tc_url})
        match (await self._call("createStream", None)).arguments:
            case [_, float() as stream_id]:
                self._stream_id = int(stream_id)
            case _:
                raise RtmpError("the server's answer to createStream has no stream id")
        self._send_command("publish", None, self._key, "live")
        while self._status_code(await self._next_command()) != "NetStream.Publish.Start":
            pass

    async def _call(self, name: str, *arguments: AmfValue) -> Command:
        """Return the server's answer to a command; other commands that come before it are passed over."""
        self._transactions += 1
        self._send_command(name, *arguments, transaction=self._transactions)
        while True:
            answer = await self._next_command()
            if answer.transaction != self._transactions:
                continue
            if answer.name == "_error":
                self._refused(answer)
            if answer.name == "_result":
                return answer

    async def _next_command(self) -> Command:
        while not self._commands:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise RtmpError("the server hung up")
            arrived = self._chunks_in.feed(data)
            self._commands += [messages.read_command(m) for m in arrived if m.type_id in _COMMAND_TYPES]
        return self._commands.pop(0)

    async def _listen(self) -> NoReturn:
        """Read what the server says during the broadcast, until it ends it: then raise why."""
        while True:
            self._status_code(await self._next_command())

    def _status_code(self, command: Command) -> str | None:
        """Return the code of an `onStatus`, None for any other command; PublishRefused for an error."""
        match command:
            case Command("onStatus", _, [_, {"level": "error"}]):
                self._refused(command)
            case Command("onStatus", _, [_, {"code": str() as code}]):
                return code
        return None

    def _refused(self, answer: Command) -> NoReturn:
        """Raise the server's reason; some servers quote the stream key in it."""
        match answer.arguments:
            case [*_, {"description": str() as description}]:
                raise PublishRefused(description.replace(self._key, "***") if self._key else description)
        raise PublishRefused("the server gave no reason")

    def _send_command(self, name: str, *arguments: AmfValue, transaction: int = 0) -> None:
        message = messages.command(name, transaction, *arguments, stream_id=self._stream_id)
        self._writer.write(self._chunks_out.write(message))

    async def _send_media(self, chunk_stream: int, type_id: MessageType, timestamp_ms: int, body: bytes) -> None:
        if self._listener is not None and self._listener.done():
            await self._listener
        message = RtmpMessage(chunk_stream, type_id, self._stream_id, timestamp_ms, body)
        self._writer.write(self._chunks_out.write(message))
        await self._writer.drain()
