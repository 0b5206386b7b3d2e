"""The RTMP player against a server that says exactly what a test wants, over a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from rtmp_samples import AUDIO, INTERFRAME, KEYFRAME, media, run

from pipeline.rtmp import RtmpError, messages
from pipeline.rtmp.chunks import ChunkReader, ChunkWriter
from pipeline.rtmp.events import AudioMessage, VideoMessage
from pipeline.rtmp.handshake import PART_BYTES, ServerHandshake
from pipeline.rtmp.limits import MAX_MESSAGE_BYTES
from pipeline.rtmp.messages import MessageType, RtmpMessage, UserControl
from pipeline.rtmp.player import Player

STARTED = messages.status("status", "NetStream.Play.Start", "Start live")
EOF = messages.user_control(UserControl.STREAM_EOF, b"\0\0\0\1")


class Peer:
    """The server's end: what it has heard, and what it says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._chunks, self._write = ChunkReader(), ChunkWriter().write
        self.heard: list[RtmpMessage] = []

    async def greet(self) -> None:
        handshake, rest = ServerHandshake(), b""
        while not handshake.done:
            reply, rest = handshake.receive(await self._reader.read(4096))
            self._writer.write(reply)
        self.heard += self._chunks.feed(rest)

    async def hear(self, wanted: Callable[[RtmpMessage], bool]) -> RtmpMessage:
        """Return the first message that is wanted; those before it are forgotten."""
        while True:
            while self.heard:
                message = self.heard.pop(0)
                if wanted(message):
                    return message
            data = await self._reader.read(4096)
            assert data, "the player hung up"
            self.heard += self._chunks.feed(data)

    async def command(self, name: str) -> messages.Command:
        message = await self.hear(
            lambda m: m.type_id == MessageType.COMMAND_AMF0 and messages.read_command(m).name == name
        )
        return messages.read_command(message)

    def say(self, *wanted: RtmpMessage) -> None:
        for message in wanted:
            self._writer.write(self._write(message))

    async def hung_up(self) -> None:
        """Return once the player has closed the connection."""
        while await self._reader.read(4096):
            pass

    async def hello(self) -> None:
        """Read C0 and C1, and answer nothing."""
        await self._reader.readexactly(1 + PART_BYTES)

    def say_raw(self, data: bytes) -> None:
        self._writer.write(data)

    async def until_play(self) -> list:
        """Answer everything up to `play`; return its arguments."""
        await self.greet()
        connect = await self.command("connect")
        self.say(messages.command("_result", connect.transaction, None, {"code": "NetConnection.Connect.Success"}))
        create = await self.command("createStream")
        self.say(messages.command("_result", create.transaction, None, 1))
        return list((await self.command("play")).arguments)


@contextlib.asynccontextmanager
async def server(script: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Path]:
    """Yield the socket of a server that follows the script with each client; its errors are raised here."""
    scripts: list[asyncio.Task[None]] = []

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripts.append(asyncio.current_task())
        try:
            await script(Peer(reader, writer))
        finally:
            writer.close()

    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        path = Path(folder) / "s"
        listening = await asyncio.start_unix_server(follow, path)
        try:
            yield path
            await asyncio.gather(*scripts)
        finally:
            listening.close()


async def played(path: Path, *, idle_s: float = 5.0) -> list:
    player = await Player.open(path, "cam")
    try:
        return [message async for message in player.media(idle_s=idle_s)]
    finally:
        await player.close()


@pytest.mark.parametrize(
    "end", [EOF, messages.status("status", "NetStream.Play.UnpublishNotify", "gone")], ids=["control", "status"]
)
def test_media_comes_in_order_until_the_stream_is_unpublished(end):
    async def script(peer: Peer) -> None:
        assert await peer.until_play() == [None, "cam", -1000.0]
        sound = media(MessageType.AUDIO, 20, AUDIO)
        metadata = RtmpMessage(5, MessageType.DATA_AMF0, 1, 0, b"\2\0\x0aonMetaData")
        last = media(MessageType.VIDEO, 5, INTERFRAME)  # beyond the 32 bits of the wire
        peer.say(STARTED, metadata, media(MessageType.VIDEO, 2**32 - 20, KEYFRAME), sound, last, end)
        peer.say(media(MessageType.VIDEO, 40, INTERFRAME))

    async def scene():
        async with server(script) as path:
            assert await played(path) == [
                VideoMessage(2**32 - 20, KEYFRAME),
                AudioMessage(2**32 + 20, AUDIO),
                VideoMessage(2**32 + 5, INTERFRAME),
            ]

    run(scene())


def test_the_player_answers_pings_and_acknowledges_what_it_reads():
    async def script(peer: Peer) -> None:
        await peer.until_play()
        peer.say(STARTED, messages.control_u32(MessageType.WINDOW_ACK_SIZE, 5000))
        peer.say(messages.user_control(UserControl.PING_REQUEST, b"time"))
        pong = await peer.hear(lambda message: message.type_id == MessageType.USER_CONTROL)
        assert pong.payload == UserControl.PING_RESPONSE.to_bytes(2, "big") + b"time"
        peer.say(media(MessageType.VIDEO, 0, KEYFRAME + bytes(6000)))
        acknowledged = await peer.hear(lambda message: message.type_id == MessageType.ACKNOWLEDGEMENT)
        assert 6000 < int.from_bytes(acknowledged.payload, "big") < 20_000
        peer.say(EOF)

    async def scene():
        async with server(script) as path:
            assert len(await played(path)) == 1

    run(scene())


def test_a_server_that_says_nothing_more_is_given_up():
    async def script(peer: Peer) -> None:
        await peer.until_play()
        peer.say(STARTED)
        await peer.hung_up()

    async def scene():
        async with server(script) as path:
            with pytest.raises(TimeoutError):
                await played(path, idle_s=0.1)

    run(scene())


def test_a_server_that_never_answers_is_given_up():
    async def script(peer: Peer) -> None:
        await peer.hung_up()

    async def scene():
        async with server(script) as path:
            with pytest.raises(TimeoutError):
                await Player.open(path, "cam", timeout_s=0.1)

    run(scene())


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(4000)], ids=["nothing", "http"])
def test_what_does_not_speak_rtmp_is_named(said):
    async def script(peer: Peer) -> None:
        await peer.hello()
        peer.say_raw(said)

    async def scene():
        async with server(script) as path:
            with pytest.raises(RtmpError, match=r"hung up during the handshake|not RTMP version 3"):
                await Player.open(path, "cam")

    run(scene())


def test_a_no_is_raised_with_the_servers_reason():
    async def script(peer: Peer) -> None:
        await peer.until_play()
        peer.say(messages.status("error", "NetStream.Play.StreamNotFound", "No such stream"))

    async def scene():
        async with server(script) as path:
            with pytest.raises(RtmpError, match="No such stream"):
                await Player.open(path, "cam")

    run(scene())


def test_a_message_beyond_the_limit_is_refused_before_it_is_held():
    async def script(peer: Peer) -> None:
        await peer.until_play()
        peer.say(STARTED)
        peer.say_raw(b"\x06\0\0\0" + (MAX_MESSAGE_BYTES + 1).to_bytes(3, "big") + b"\x09\1\0\0\0" + bytes(200))

    async def scene():
        async with server(script) as path:
            with pytest.raises(RtmpError, match=f"the limit is {MAX_MESSAGE_BYTES}"):
                await played(path)

    run(scene())
