"""Media, a recording of a publisher's bytes, and a server to publish to: what the RTMP tests share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from pipeline.marks import STILL_CLOCK
from pipeline.rtmp import AudioFrame, RtmpServer, VideoFrame, messages
from pipeline.rtmp.chunks import ChunkWriter
from pipeline.rtmp.handshake import ClientHandshake
from pipeline.rtmp.messages import MessageType, RtmpMessage

KEY = "s3cret-stream-key"
AVCC = bytes.fromhex("0164001effe1000467640000010004686f0000")
ASC = b"\x12\x10"
VIDEO_HEADER = b"\x17\0\0\0\0" + AVCC
AUDIO_HEADER = b"\xaf\0" + ASC
KEYFRAME = b"\x17\1\0\0\0" + b"\0\0\0\x05\x65keys"
INTERFRAME = b"\x27\1\0\0\x28" + b"\0\0\0\x05\x41diff"
AUDIO = b"\xaf\1" + b"raw aac"
TEST_TIMEOUT_S = 30.0


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test to its end, and fail it if it hangs."""
    asyncio.run(asyncio.wait_for(test, TEST_TIMEOUT_S))


def reported_errors() -> list[BaseException]:
    """Return the list that the running loop's unhandled errors go to from now on."""
    errors: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    return errors


def media(type_id: MessageType, timestamp_ms: int, body: bytes) -> RtmpMessage:
    chunk_stream = messages.VIDEO_CHUNK_STREAM if type_id == MessageType.VIDEO else messages.AUDIO_CHUNK_STREAM
    return RtmpMessage(chunk_stream, type_id, messages.PUBLISH_STREAM_ID, timestamp_ms, body)


def greeting() -> bytes:
    """Return C0, C1 and a C2 of zeros."""
    return ClientHandshake(bytes(1528)).hello + bytes(1536)


def commands(key: str = KEY, app: str = "live") -> list[RtmpMessage]:
    """Return what OBS and ffmpeg say from connect to publish."""
    return [
        messages.command("connect", 1, {"app": app, "tcUrl": f"rtmp://127.0.0.1/{app}"}),
        messages.command("releaseStream", 2, None, key),
        messages.command("FCPublish", 3, None, key),
        messages.command("createStream", 4, None),
        messages.command("publish", 5, None, key, "live", stream_id=1),
    ]


def chunks(*wanted: RtmpMessage) -> bytes:
    writer = ChunkWriter()
    return b"".join(writer.write(message) for message in wanted)


class Recorder:
    """A publication that keeps everything it is given."""

    demux_clock = audio_clock = STILL_CLOCK

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.videos: list[tuple[VideoFrame, float]] = []
        self.audios: list[tuple[AudioFrame, float]] = []
        self.closed: list[str] = []

    def video(self, frame: VideoFrame, arrival_s: float) -> None:
        assert not self.closed
        self.videos.append((frame, arrival_s))

    def audio(self, frame: AudioFrame, arrival_s: float) -> None:
        assert not self.closed
        self.audios.append((frame, arrival_s))

    def close(self, reason: str) -> None:
        self.closed.append(reason)


class Studio:
    """A running server and the publications it has opened, by name."""

    def __init__(self, server: RtmpServer, recorders: dict[str, Recorder]) -> None:
        self.server = server
        self.recorders = recorders

    async def until(self, condition: Any, within_s: float = 5.0) -> None:
        """Wait until the condition is true; AssertionError when it is not in time."""
        deadline_s = asyncio.get_running_loop().time() + within_s
        while not condition():
            assert asyncio.get_running_loop().time() < deadline_s, "waited in vain"
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def studio(**settings: Any) -> AsyncIterator[Studio]:
    """Yield a server on a free port that takes `KEY` as stream `cam`, unless `authorise` says otherwise."""
    recorders: dict[str, Recorder] = {}

    def publish(name: str) -> Recorder:
        recorders[name] = Recorder(name)
        return recorders[name]

    def authorise(app: str, key: str, peer: str) -> str | None:
        return "cam" if (app, key) == ("live", KEY) else None

    server = RtmpServer(**{"port": 0, "authorise": authorise, "publish": publish} | settings)
    await server.start()
    try:
        yield Studio(server, recorders)
    finally:
        await server.close()
