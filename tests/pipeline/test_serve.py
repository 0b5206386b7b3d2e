"""`headroom serve` from outside: ffmpeg publishes, ffprobe watches, and signals end it."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from clips import clip, ladder
from live_pipeline import (
    FREE_PORTS,
    KEY_NAME,
    lose,
    publisher,
    send,
    serving,
    until,
    watch,
    with_pipeline,
)
from segments import IN_EITHER_CONTAINER
from typer.testing import CliRunner

from pipeline import cli, serve_options
from pipeline.hls.containers import MPEGTS
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.rtmp import Publisher, PublishRefused, RtmpError, StreamKeys
from pipeline.rtmp.keys import KEYS_VARIABLE
from pipeline.serve import LivePipeline, playlist_url, publish_url
from scenarios.errors import EncoderUnavailable, NotReady, ScenarioError

TICKS_OF_A_FRAME = 3000
ROUNDING = 91
"""FLV rounds each time to a millisecond."""


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
@pytest.mark.parametrize("seconds", [6, pytest.param(36, marks=pytest.mark.long)])
def test_a_published_stream_is_watched_without_a_gap_and_aligned_in_every_rung(seconds, container):
    """The checker of `--check` looks on and has nothing to say."""
    with serving("--check", "--segments", container.name) as server:
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
            if container is MPEGTS:
                assert all(abs(b - a - 90_000 * 1024 / 44100) <= ROUNDING for a, b in pairwise(times))
            else:
                assert {b - a for a, b in pairwise(times)} == {1024}, "a track of fMP4 counts samples"
        keyframes = [[int(p["pts"]) for p in packets if p["flags"].startswith("K")] for packets in seen["video"]]
        assert keyframes[0] == keyframes[1]
        assert all(abs(b - a - 180_000) <= ROUNDING for a, b in pairwise(keyframes[0]))
        assert server.fetch("720p30/index.m3u8").endswith("#EXT-X-ENDLIST\n")
        sizes = [line for line in server.fetch().splitlines() if "RESOLUTION" in line]
        assert [("1280x720" in sizes[0]), ("854x480" in sizes[1])] == [True, True]
        server.process.terminate()
        _, said = server.process.communicate(timeout=10)
    assert server.process.returncode == 0
    assert said.splitlines()[-1].endswith(" segments, 0 violations"), said
    assert len(said.splitlines()) == 1
    assert int(said.split()[1]) >= 6


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_stream_properly_and_soon(number, serve_arguments):
    with serving(*serve_arguments) as server, publisher(server.publish_url, 60) as ffmpeg:
        server.wait_for_playlist()
        before = server.fetch("180p30/index.m3u8")
        assert "#EXT-X-ENDLIST" not in before
        server.process.send_signal(number)
        stopped_s = time.monotonic()
        last = before
        while server.process.poll() is None:
            try:
                last = server.fetch("180p30/index.m3u8")
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
        assert server.said[3].startswith("browser  http://127.0.0.1:")
        server.process.terminate()
        out, err = server.process.communicate(timeout=10)
        assert (out, err, server.process.returncode) == ("", "", 0)


def test_keys_from_a_file_are_never_printed(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"main {'ab' * 32}\n", encoding="utf-8")
    with serving("--keys", str(keys)) as server:
        assert server.publish_url.endswith("/live/KEY")
        assert server.playlist_url.endswith("/NAME/index.m3u8")


def test_keys_come_from_the_file_else_the_environment_else_are_made(tmp_path, monkeypatch):
    digests = {key: hashlib.sha256(key.encode()).hexdigest() for key in ("of-the-file", "of-the-variable")}
    file = tmp_path / "keys"
    file.write_text(f"main {digests['of-the-file']}\n", encoding="utf-8")
    monkeypatch.delenv(KEYS_VARIABLE, raising=False)
    keys, fresh = serve_options.stream_keys(None)
    assert fresh is not None
    assert keys.name_of(fresh) == "live"
    monkeypatch.setenv(KEYS_VARIABLE, f"main={digests['of-the-variable']}")
    for chosen, named in ((None, [None, "main"]), (file, ["main", None])):
        keys, fresh = serve_options.stream_keys(chosen)
        assert ([keys.name_of(key) for key in digests], fresh) == (named, None)


def test_a_wrong_variable_is_said_by_its_name_and_not_replaced_by_a_fresh_key(monkeypatch):
    monkeypatch.setenv(KEYS_VARIABLE, "main=clear-text-key")
    error = invoke("--encoder", "x264").exception
    assert isinstance(error, ScenarioError)
    assert str(error).startswith("HEADROOM_STREAM_KEYS: entry 1: the hash is not 64")
    assert "clear-text-key" not in str(error)


def test_the_callbacks_of_the_command_line_are_called():
    heard: list[tuple[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            heard.append((self.path, *form["call"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{listener.server_port}"
        with serving("--on-publish", f"{url}/a", "--on-publish-done", f"{url}/b") as server:
            host, _, key = server.publish_url.removeprefix("rtmp://").split("/")

            async def publish() -> None:
                publisher = await Publisher.open(port=int(host.split(":")[1]), key=key)
                await publisher.close()

            asyncio.run(publish())
            server.process.terminate()
            assert server.process.wait(10) == 0
        listener.shutdown()
    assert heard == [("/a", "publish"), ("/b", "publish_done")]


def invoke(*arguments: str):
    return CliRunner().invoke(cli.app, ["serve", *FREE_PORTS, *arguments])


def test_an_encoder_that_is_not_there_is_refused_not_replaced():
    error = invoke("--encoder", "nvenc").exception
    assert isinstance(error, EncoderUnavailable)
    assert "--encoder nvenc: " in str(error)


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


def test_a_codec_that_the_container_may_not_carry_is_refused_before_a_port_opens():
    class AnyCodec(X264Backend):
        def check(self, ladder):
            pass

    keys, _ = StreamKeys.generate(KEY_NAME)
    rungs = ladder((320, 180, 30))
    hevc = rungs.model_copy(update={"rungs": (rungs.rungs[0].model_copy(update={"codec": "hevc"}),)})
    with pytest.raises(ScenarioError, match=r"HEVC is not carried in MPEG-TS.*use --segments fmp4"):
        LivePipeline(ladder=hevc, keys=keys, backend=AnyCodec())
    LivePipeline(ladder=hevc, keys=keys, backend=AnyCodec(), segments="fmp4")


def test_a_container_that_nobody_knows_is_a_wrong_flag():
    assert invoke("--segments", "webm").exit_code == 2
