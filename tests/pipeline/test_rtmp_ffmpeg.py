"""The server and the client against FFmpeg: the command, and the library inside PyAV."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
from itertools import pairwise

import av
import pytest
from rtmp_samples import KEY, run, studio

from pipeline.rtmp import AudioFrame, Publisher, VideoFrame

pytestmark = pytest.mark.requires_ffmpeg

FPS = 30
SECONDS = 2
PICTURE = f"testsrc=size=320x180:rate={FPS}:duration={SECONDS}"
TONE = f"sine=sample_rate=48000:duration={SECONDS}"
ENCODED = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(FPS), "-c:a", "aac", "-f", "flv"]


def ffmpeg(*options: str) -> list[str]:
    """Return a command that encodes two seconds of pictures and sound as fast as they would be filmed."""
    sources = ["-re", "-f", "lavfi", "-i", PICTURE, "-re", "-f", "lavfi", "-i", TONE]
    return ["ffmpeg", "-hide_banner", "-loglevel", "error", *sources, *ENCODED, *options]


async def published(port: int, key: str, *options: str) -> tuple[int, str]:
    """Publish with the ffmpeg command; return its exit code and what it complained about."""
    command = ffmpeg(*options, f"rtmp://127.0.0.1:{port}/live/{key}")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, complaint = await process.communicate()
    return process.returncode, complaint.decode()


def decoded_video(frames: list[VideoFrame]) -> list[av.VideoFrame]:
    """Return the pictures that a decoder makes of the frames alone."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = frames[0].avcc
    packets = [av.Packet(frame.payload) for frame in frames]
    return [picture for packet in [*packets, None] for picture in decoder.decode(packet)]


def decoded_samples(frames: list[AudioFrame]) -> int:
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = frames[0].asc
    return sum(sound.samples for frame in frames for sound in decoder.decode(av.Packet(frame.payload)))


@pytest.mark.parametrize("options", [[], ["-bf", "2"]])
def test_what_ffmpeg_publishes_can_be_decoded(options):
    async def scene():
        async with studio() as place:
            assert (await published(place.server.port, KEY, *options))[0] == 0
            recorder = place.recorders["cam"]
            await place.until(lambda: recorder.closed)
            assert recorder.closed == ["unpublished"]
            videos, audios = [f for f, _ in recorder.videos], [f for f, _ in recorder.audios]
            pictures = decoded_video(videos)
            assert len(videos) == len(pictures) == FPS * SECONDS
            assert {(picture.width, picture.height) for picture in pictures} == {(320, 180)}
            assert [index for index, frame in enumerate(videos) if frame.is_keyframe] == [0, FPS]
            assert decoded_samples(audios) == pytest.approx(48000 * SECONDS, abs=3 * 1024)
            steps_ms = {after.dts_ms - before.dts_ms for before, after in pairwise(videos)}
            assert steps_ms <= {33, 34}
            shown_ms = sorted(frame.pts_ms for frame in videos)
            assert shown_ms[-1] - shown_ms[0] == pytest.approx(1000 * (SECONDS - 1 / FPS), abs=1)
            assert (max(frame.pts_ms - frame.dts_ms for frame in videos) > 0) == bool(options)
            spread_s = recorder.videos[-1][1] - recorder.videos[0][1]
            assert SECONDS / 2 < spread_s < SECONDS * 3, "arrivals are those of a live source"

    run(scene())


def test_ffmpeg_with_a_wrong_key_is_refused_before_any_media(caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with studio() as place:
            code, complaint = await published(place.server.port, "not-the-key")
            assert code != 0
            assert "no stream has this app and key" in complaint
            assert place.recorders == {}
            assert (place.server.counts.refused, place.server.counts.dropped_media) == (1, 0)

    run(scene())
    assert "not-the-key" not in caplog.text


def test_ffmpeg_killed_is_a_lost_connection():
    async def scene():
        async with studio() as place:
            command = ffmpeg(f"rtmp://127.0.0.1:{place.server.port}/live/{KEY}")
            process = await asyncio.create_subprocess_exec(*command)
            await place.until(lambda: "cam" in place.recorders and place.recorders["cam"].videos)
            process.kill()
            await process.wait()
            await place.until(lambda: place.recorders["cam"].closed)
            assert place.recorders["cam"].closed == ["connection lost"]
            assert place.server.live_names == frozenset()

    run(scene())


# In a process of its own: PyAV holds the interpreter lock while it opens an output, so that a server in the
# same process could not answer it.
PYAV_PUBLISHER = """
import sys, av
url, codec, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
with av.open(url, "w", format="flv") as container:
    stream = container.add_stream(codec, rate=30)
    stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
    stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
    for index in range(frames):
        picture = av.VideoFrame(320, 180, "yuv420p")
        picture.pts = index
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))
"""


async def published_by_pyav(port: int, codec: str) -> int:
    """Publish one second of grey pictures with PyAV's FFmpeg; return the exit code."""
    url = f"rtmp://127.0.0.1:{port}/live/{KEY}"
    command = [sys.executable, "-c", PYAV_PUBLISHER, url, codec, str(FPS)]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


def test_what_pyav_publishes_can_be_decoded():
    async def scene():
        async with studio() as place:
            assert await published_by_pyav(place.server.port, "libx264") == 0
            recorder = place.recorders["cam"]
            await place.until(lambda: recorder.closed)
            assert recorder.closed == ["unpublished"]
            assert len(decoded_video([frame for frame, _ in recorder.videos])) == FPS

    run(scene())


def test_hevc_by_enhanced_rtmp_is_refused_by_name():
    async def scene():
        async with studio() as place:
            await published_by_pyav(place.server.port, "libx265")
            await place.until(lambda: place.recorders["cam"].closed)
            told = "protocol error: only H.264 video and AAC audio; got HEVC (enhanced RTMP)"
            assert place.recorders["cam"].closed == [told]
            assert place.recorders["cam"].videos == []

    run(scene())


def flv_tags(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return type, time and body of the tags of an FLV file (Adobe FLV 10.1, annex E.3)."""
    tags, at = [], 13
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time_ms = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
        tags.append((data[at], time_ms, data[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return tags


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


async def opened(port: int) -> Publisher:
    """Return a publisher on a server that may still be starting."""
    while True:
        try:
            return await Publisher.open(port=port, key=KEY)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)


def test_our_client_publishes_to_a_server_that_is_not_ours(tmp_path):
    source, received = tmp_path / "source.flv", tmp_path / "received.mkv"
    subprocess.run(ffmpeg(str(source)), check=True)

    async def scene():
        port = free_port()
        listen = ["-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/live/{KEY}", "-c", "copy", str(received)]
        server = await asyncio.create_subprocess_exec("ffmpeg", "-loglevel", "error", *listen)
        publisher = await opened(port)
        for kind, time_ms, body in flv_tags(source.read_bytes()):
            if kind == 9:
                await publisher.send_video(time_ms, body)
            elif kind == 8:
                await publisher.send_audio(time_ms, body)
        await publisher.close()
        await server.wait()

    run(scene())
    with av.open(str(received)) as container:
        assert sum(1 for _ in container.decode(video=0)) == FPS * SECONDS
