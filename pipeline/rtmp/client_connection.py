"""The client's end of an RTMP connection: what a publisher and a player have in common."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import ClassVar, NoReturn, Self

from pipeline.rtmp import messages
from pipeline.rtmp.amf import AmfValue
from pipeline.rtmp.chunks import ChunkReader, ChunkWriter
from pipeline.rtmp.errors import PublishRefused, RtmpError
from pipeline.rtmp.handshake import PART_BYTES, ClientHandshake
from pipeline.rtmp.messages import Command, MessageType, RtmpMessage, UserControl

_READ_BYTES = 65536
_COMMAND_TYPES = (MessageType.COMMAND_AMF0, MessageType.COMMAND_AMF3)
_PING = UserControl.PING_REQUEST.to_bytes(2, "big")


class ClientConnection:
    """A connection with one message stream; acknowledges what it reads and answers pings by itself.

    Attributes:
        refusal: what a no of the server is raised as.
    """

    refusal: ClassVar[type[PublishRefused | RtmpError]] = RtmpError

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: str) -> None:
        self._reader, self._writer, self._stream = reader, writer, stream
        self._chunks_in, self._chunks_out = ChunkReader(), ChunkWriter()
        self._arrived: deque[RtmpMessage] = deque()
        self._received = self._acknowledged = 0
        self._ack_window: int | None = None
        self._transactions = 0
        self._stream_id = 0

    async def _begin(self, *, app: str, tc_url: str, chunk_bytes: int, properties: dict[str, AmfValue]) -> Self:
        """Shake hands, connect and create the stream; return this connection, closed if that fails."""
        try:
            await self._shake_hands()
            self._writer.write(self._chunks_out.set_chunk_size(chunk_bytes))
            await self._call("connect", properties | {"app": app, "tcUrl": tc_url})
            match (await self._call("createStream", None)).arguments:
                case [_, float() as stream_id]:
                    self._stream_id = int(stream_id)
                case _:
                    raise RtmpError("the server's answer to createStream has no stream id")
            await self._request()
        except BaseException:
            self._writer.close()
            raise
        return self

    async def _request(self) -> None:
        """Ask for what the connection is for, and return once the server has granted it."""
        raise NotImplementedError

    async def _shake_hands(self) -> None:
        handshake = ClientHandshake()
        self._writer.write(handshake.hello)
        try:
            reply = await self._reader.readexactly(1 + 2 * PART_BYTES)
        except asyncio.IncompleteReadError:
            raise RtmpError("the server hung up during the handshake") from None
        self._writer.write(handshake.finish(reply))

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

    async def _granted(self, code: str) -> None:
        """Return once the server has said the status of that code."""
        while self._status_code(await self._next_command()) != code:
            pass

    async def _next_command(self) -> Command:
        while True:
            message = await self._next_message()
            if message.type_id in _COMMAND_TYPES:
                return messages.read_command(message)

    async def _next_message(self) -> RtmpMessage:
        """Return the next message that is not about the connection itself; RtmpError when there is no more."""
        while not self._arrived:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise RtmpError("the server hung up")
            self._received += len(data)
            self._arrived.extend(message for message in self._chunks_in.feed(data) if not self._answered(message))
            self._acknowledge()
        return self._arrived.popleft()

    def _answered(self, message: RtmpMessage) -> bool:
        """Return whether the message was one that concerns the connection alone, and do what it asks."""
        if message.type_id == MessageType.WINDOW_ACK_SIZE:
            self._ack_window = messages.read_u32(message.payload, "window acknowledgement size")
            return True
        if message.type_id == MessageType.USER_CONTROL and message.payload[:2] == _PING:
            self._send(messages.user_control(UserControl.PING_RESPONSE, message.payload[2:6]))
            return True
        return False

    def _acknowledge(self) -> None:
        if self._ack_window is not None and self._received - self._acknowledged >= self._ack_window:
            self._acknowledged = self._received
            self._send(messages.control_u32(MessageType.ACKNOWLEDGEMENT, self._received % 2**32))

    def _status_code(self, command: Command) -> str | None:
        """Return the code of an `onStatus`, None for any other command; `refusal` for an error."""
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
                raise self.refusal(description.replace(self._stream, "***") if self._stream else description)
        raise self.refusal("the server gave no reason")

    def _send_command(self, name: str, *arguments: AmfValue, transaction: int = 0) -> None:
        self._send(messages.command(name, transaction, *arguments, stream_id=self._stream_id))

    def _send(self, message: RtmpMessage) -> None:
        self._writer.write(self._chunks_out.write(message))
