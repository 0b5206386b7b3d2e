"""A live pipeline for the tests, as a process or in this one, and what publishes to and watches it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clips import ladder

from pipeline.ladders.x264 import X264Backend
from pipeline.rtmp import Publisher, StreamKeys
from pipeline.rtmp.frames import VideoFrame
from pipeline.serve import LivePipeline

ROOT = Path(__file__).parents[2]
START = "import pipeline.cli; pipeline.cli.app(['serve', *__import__('sys').argv[1:]])"
FREE_PORTS = ("--rtmp-port", "0", "--http-port", "0")
KEY_NAME = "live"


class Server:
    """A `serve` in a process of its own, and what it said on stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        self.said = [process.stderr.readline().rstrip() for _ in range(4)]

    @property
    def publish_url(self) -> str:
        return self.said[1].split()[1]

    @property
    def playlist_url(self) -> str:
        return self.said[2].split()[1]

    @property
    def page_url(self) -> str:
        return self.said[3].split()[1]

    def fetch(self, path: str = "") -> str:
        with urllib.request.urlopen(self.playlist_url.replace("index.m3u8", path or "index.m3u8"), timeout=5) as answer:
            return answer.read().decode()

    def wait_for_playlist(self, timeout_s: float = 15.0) -> None:
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            try:
                self.fetch()
            except urllib.error.HTTPError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("no playlist appeared")


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    command = [sys.executable, "-c", START, *FREE_PORTS, "--encoder", "x264", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            if process.poll() is None:
                process.kill()


def publisher(url: str, seconds: float) -> subprocess.Popen[bytes]:
    """Return ffmpeg publishing a test picture and a tone, B-frames and all, as it does by default."""
    picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"]
    tone = ["-f", "lavfi", "-i", "sine=r=44100"]
    codecs = ["-t", str(seconds), "-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-g", "60", "-c:a", "aac"]
    return subprocess.Popen(["ffmpeg", "-v", "error", *picture, *tone, *codecs, "-f", "flv", url])


@contextmanager
def publishing(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `publisher` that goes on until the end of the block, and is killed there."""
    with publisher(url, 36_000) as ffmpeg:
        try:
            yield ffmpeg
        finally:
            ffmpeg.kill()


def watch(url: str, timeout_s: float) -> dict[str, list[list[dict[str, str]]]]:
    """Return ffprobe's packets of every variant, by kind, read live until the playlist ends."""
    command = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "packet=codec_type,stream_index,pts,flags",
        "-of",
        "json",
        url,
    ]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=timeout_s)
    streams: dict[tuple[str, int], list[dict[str, str]]] = {}
    for packet in json.loads(answer.stdout)["packets"]:
        streams.setdefault((packet["codec_type"], packet["stream_index"]), []).append(packet)
    return {kind: [packets for (which, _), packets in streams.items() if which == kind] for kind in ("video", "audio")}


def with_pipeline(test: Callable, **options) -> None:
    """Run the test in one process with a small pipeline on free ports: `test(pipeline, key)`."""

    async def run() -> None:
        keys, key = StreamKeys.generate(KEY_NAME)
        made = {"ladder": ladder((320, 180, 30), (160, 90, 15)), "backend": X264Backend()} | options
        async with LivePipeline(keys=keys, **made) as pipeline:
            await test(pipeline, key)

    asyncio.run(asyncio.wait_for(run(), 30))


async def send(publisher: Publisher, frames) -> None:
    """Send frames as FLV tag bodies, some ten times quicker than life."""
    for number, frame in enumerate(frames):
        if number % 10 == 0:
            await asyncio.sleep(0.03)
        if isinstance(frame, VideoFrame):
            if number == 0 or frame.is_keyframe:
                await publisher.send_video(frame.dts_ms, b"\x17\0\0\0\0" + frame.avcc)
            kind = b"\x17" if frame.is_keyframe else b"\x27"
            composition = (frame.pts_ms - frame.dts_ms).to_bytes(3, "big", signed=True)
            await publisher.send_video(frame.dts_ms, kind + b"\1" + composition + frame.payload)
        else:
            await publisher.send_audio(frame.pts_ms, b"\xaf\0" + frame.asc)
            await publisher.send_audio(frame.pts_ms, b"\xaf\1" + frame.payload)


async def lose(publisher: Publisher) -> None:
    """Break the publisher's connection, as a dead network does."""
    publisher._writer.transport.abort()
    await publisher.close()


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
