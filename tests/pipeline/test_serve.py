"""`headroom serve` from outside: ffmpeg publishes, ffprobe watches, and signals end it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from clips import clip, ladder
from typer.testing import CliRunner

from pipeline import cli
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.rtmp import Publisher, PublishRefused, RtmpError, StreamKeys
from pipeline.rtmp.frames import VideoFrame
from pipeline.serve import LivePipeline, playlist_url, publish_url
from scenarios.errors import EncoderUnavailable, NotReady

ROOT = Path(__file__).parents[2]
START = "import pipeline.cli; pipeline.cli.app(['serve', *__import__('sys').argv[1:]])"
FREE_PORTS = ("--rtmp-port", "0", "--http-port", "0")
TICKS_OF_A_FRAME = 3000
ROUNDING = 91
"""FLV rounds each time to a millisecond."""


class Server:
    """A `serve` in a process of its own, and what it said on stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        self.said = [process.stderr.readline().rstrip() for _ in range(3)]

    @property
    def publish_url(self) -> str:
        return self.said[1].split()[1]

    @property
    def playlist_url(self) -> str:
        return self.said[2].split()[1]

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


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("seconds", [10, pytest.param(36, marks=pytest.mark.long)])
def test_a_published_stream_is_watched_without_a_gap_and_aligned_in_every_rung(seconds):
    with serving() as server:
        with publisher(server.publish_url, seconds) as ffmpeg:
            server.wait_for_playlist()
            seen = watch(server.playlist_url, timeout_s=seconds + 20)
            assert ffmpeg.wait(10) == 0
        assert len(seen["video"]) == len(seen["audio"]) == 2
        for packets in seen["video"]:
            times = [int(packet["pts"]) for packet in packets]
            assert len(times) >= 30 * (seconds - 3)
            assert all(abs(b - a - TICKS_OF_A_FRAME) <= ROUNDING for a, b in pairwise(times))
        for packets in seen["audio"]:
            times = [int(packet["pts"]) for packet in packets]
            assert all(abs(b - a - 90_000 * 1024 / 44100) <= ROUNDING for a, b in pairwise(times))
        keyframes = [[int(p["pts"]) for p in packets if p["flags"].startswith("K")] for packets in seen["video"]]
        assert keyframes[0] == keyframes[1]
        assert all(abs(b - a - 180_000) <= ROUNDING for a, b in pairwise(keyframes[0]))
        assert server.fetch("720p30/index.m3u8").endswith("#EXT-X-ENDLIST\n")
        sizes = [line for line in server.fetch().splitlines() if "RESOLUTION" in line]
        assert [("1280x720" in sizes[0]), ("854x480" in sizes[1])] == [True, True]


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_stream_properly_and_soon(number):
    with serving() as server, publisher(server.publish_url, 60) as ffmpeg:
        server.wait_for_playlist()
        before = server.fetch("720p30/index.m3u8")
        assert "#EXT-X-ENDLIST" not in before
        server.process.send_signal(number)
        stopped_s = time.monotonic()
        last = before
        while server.process.poll() is None:
            try:
                last = server.fetch("720p30/index.m3u8")
            except (urllib.error.URLError, ConnectionError):
                break
            time.sleep(0.1)
        assert server.process.wait(5) == 0
        assert time.monotonic() - stopped_s < 5
        assert last.endswith("#EXT-X-ENDLIST\n")
        assert last.count("#EXTINF") > before.count("#EXTINF"), "what was being encoded is published first"
        ffmpeg.kill()


@pytest.mark.requires_ffmpeg
def test_a_wrong_key_is_refused_before_any_media_and_never_repeated():
    with serving() as server:
        url = server.publish_url
        wrong = url.rsplit("/", 1)[0] + "/wrong-secret"
        started_s = time.monotonic()
        with publisher(wrong, 5) as ffmpeg:
            assert ffmpeg.wait(10) != 0
        assert time.monotonic() - started_s < 4
        with pytest.raises(urllib.error.HTTPError, match="404"):
            server.fetch()
        server.process.terminate()
        out, err = server.process.communicate(timeout=10)
        assert out == ""
        assert "wrong-secret" not in err
        assert url.rsplit("/", 1)[1] not in err, "the key is said once"
        assert server.process.returncode == 0


def test_serve_says_what_it_does_on_stderr_and_nothing_on_stdout():
    with serving() as server:
        assert server.said[0] == "encoder x264, as asked"
        assert server.said[1].startswith("publish  rtmp://127.0.0.1:")
        assert server.said[2].startswith("watch    http://127.0.0.1:")
        server.process.terminate()
        out, err = server.process.communicate(timeout=10)
        assert (out, err, server.process.returncode) == ("", "", 0)


def test_keys_from_a_file_are_never_printed(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"main {'ab' * 32}\n", encoding="utf-8")
    with serving("--keys", str(keys)) as server:
        assert server.publish_url.endswith("/live/KEY")
        assert server.playlist_url.endswith("/NAME/index.m3u8")


def invoke(*arguments: str):
    return CliRunner().invoke(cli.app, ["serve", *FREE_PORTS, *arguments])


@pytest.mark.parametrize("encoder", ["nvenc", "ffmpeg"])
def test_an_encoder_that_is_not_there_is_refused_not_replaced(encoder):
    error = invoke("--encoder", encoder).exception
    assert isinstance(error, EncoderUnavailable)
    assert f"--encoder {encoder}: " in str(error)


def test_an_encoder_that_nobody_knows_is_a_wrong_flag():
    assert invoke("--encoder", "av1").exit_code == 2


@pytest.mark.parametrize("option", ["--rtmp-port", "--http-port"])
def test_a_port_in_use_is_said_by_its_flag(option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = invoke(option, str(taken.getsockname()[1]), "--encoder", "x264").exception
    assert isinstance(error, NotReady)
    assert f"is in use; stop the other process or choose {option}" in str(error)


def test_urls_of_ipv6_hosts_have_brackets():
    assert publish_url("::1", 1935, "k") == "rtmp://[::1]:1935/live/k"
    assert playlist_url("127.0.0.1", 80, "live") == "http://127.0.0.1:80/live/index.m3u8"


KEY_NAME = "live"


def with_pipeline(test: Callable, **options) -> None:
    """Run the test in one process with a small pipeline on free ports: `test(pipeline, key)`."""

    async def run() -> None:
        keys, key = StreamKeys.generate(KEY_NAME)
        rungs = ladder((320, 180, 30), (160, 90, 15))
        async with LivePipeline(ladder=rungs, keys=keys, backend=X264Backend(), **options) as pipeline:
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


def test_every_frame_is_marked_from_its_arrival_to_its_segment():
    marks = RecordingMarks()
    source = clip(seconds=5.0, audio=True)

    async def test(pipeline: LivePipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        await send(publisher, source.frames)
        await publisher.close()
        stream = pipeline.store.find(KEY_NAME)
        await until(lambda: stream is not None and stream.rungs["90p15"].window.ended)

    with_pipeline(test, marks=marks)
    assert [stream for stream, _ in marks.publications] == [KEY_NAME]
    arrivals = {mark.frame: mark.arrival_s for mark in marks.frames}
    assert sorted(arrivals) == list(range(150))
    encoded = {mark.frame: mark.at_s for mark in marks.encodes if mark.rung == "180p30"}
    muxed = {mark.frame: mark.at_s for mark in marks.muxes if mark.rung == "180p30"}
    assert sorted(encoded) == sorted(muxed) == list(range(150))
    assert all(arrivals[frame] < encoded[frame] < muxed[frame] for frame in encoded)
    closed = [mark for mark in marks.segments if mark.rung == "180p30"]
    assert [mark.closing_arrival_s for mark in closed] == [arrivals[60], arrivals[120], None]
    assert all(0 < mark.closed_s - mark.closing_arrival_s < 2 for mark in closed[:2])


def test_a_lost_publisher_may_come_back_and_continues_the_stream():
    source = clip(seconds=3.0)

    async def test(pipeline: LivePipeline, key: str) -> None:
        for _ in range(2):
            publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
            await send(publisher, source.frames)
            await lose(publisher)
            await until(lambda: not pipeline.rtmp.live_names)
        stream = pipeline.store.find(KEY_NAME)
        rung = stream.rungs["180p30"]
        await until(lambda: len(rung.window.kept) == 4)
        assert [segment.discontinuity for segment in rung.window.kept] == [False, False, True, False]
        assert not rung.window.ended, "the publisher may come back"
        await until(lambda: rung.window.ended)

    with_pipeline(test, grace_s=0.5)


def test_stopping_does_not_wait_for_a_publisher_that_was_lost():
    async def test(pipeline: LivePipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        await send(publisher, clip(seconds=3.0).frames)
        await lose(publisher)
        stream = pipeline.store.find(KEY_NAME)
        await until(lambda: len(stream.rungs["180p30"].window.kept) == 2)
        test.stream, test.stopped_s = stream, time.monotonic()

    with_pipeline(test, grace_s=3600.0)
    assert time.monotonic() - test.stopped_s < 2
    assert all(rung.window.ended for rung in test.stream.rungs.values())


def test_audio_alone_is_ended_by_name():
    async def test(pipeline: LivePipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        with pytest.raises((PublishRefused, RtmpError), match="audio alone is not served"):  # noqa: PT012
            for _ in range(100):
                await send(publisher, clip(seconds=5.0, audio=True).audio[:30])
        await publisher.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.broadcast.MAX_AUDIO_ALONE_S", 0.2)
        with_pipeline(test)


def test_a_ladder_that_the_backend_cannot_encode_is_refused_before_a_port_opens():
    keys, _ = StreamKeys.generate(KEY_NAME)
    rungs = ladder((320, 180, 30))
    hevc = rungs.model_copy(update={"rungs": (rungs.rungs[0].model_copy(update={"codec": "hevc"}),)})
    with pytest.raises(EncoderUnavailable, match="hevc"):
        LivePipeline(ladder=hevc, keys=keys, backend=X264Backend())
