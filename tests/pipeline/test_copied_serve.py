"""The source rung live: ffmpeg publishes, B-frames and all, and what viewers get is what it sent."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from clips import clip, ladder
from live_pipeline import send, serving, watch, with_pipeline

import scenarios
from pipeline.broadcast import Broadcast
from pipeline.hls.segment_facts import segment_facts
from pipeline.hls.store import StreamStore
from pipeline.ladders.backend import LadderCounters
from pipeline.ladders.nal_units import NAL_AUD, NAL_SPS, nal_type
from pipeline.ladders.x264 import X264Backend
from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from pipeline.rtmp.frames import VideoFrame
from scenarios.ladder import Ladder

NAL_PPS = 8
NAMED = "the source rung '180p30' is copied"
"""How every reason begins for which the source rung ends a broadcast."""
SCENARIO = """
extends: baseline
set:
  workload.source: {width: 640, height: 360, fps: 30, bitrate_bps: 2500 kbit/s}
  workload.audience.rung_shares: {source: 0.5, 180p15: 0.5}
  ladder.rungs:
    - {name: source, width: 640, height: 360, fps: 30, bitrate_bps: 2500 kbit/s, copied: true}
    - {name: 180p15, width: 320, height: 180, fps: 15, bitrate_bps: 300 kbit/s}
"""


@pytest.fixture
def scenario(tmp_path) -> str:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO, encoding="utf-8")
    return str(file)


def recording(path, *, seconds: float, gop: int) -> None:
    """Encode a publisher's stream as ffmpeg does by default, with B-frames, into an FLV file."""
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=r=44100"]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", str(gop), "-c:a", "aac"]
    command = ["ffmpeg", "-v", "error", *picture, "-t", str(seconds), *codecs, str(path)]
    subprocess.run(command, check=True, timeout=120)


def coded_pictures(path, *options: str) -> list[bytes]:
    """Return the NAL units of a file or playlist but for delimiters and parameter sets, which a muxer may repeat."""
    command = ["ffmpeg", "-v", "error", *options, "-i", str(path), "-map", "0:v:0", "-c", "copy"]
    stream = subprocess.run([*command, "-f", "h264", "-"], check=True, capture_output=True, timeout=120).stdout
    units = [unit.rstrip(b"\0") for unit in stream.split(b"\0\0\1") if unit.rstrip(b"\0")]
    return [unit for unit in units if nal_type(unit) not in (NAL_AUD, NAL_SPS, NAL_PPS)]


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize(
    ("seconds", "gop"),
    [(4, 60), (4, 30), pytest.param(120, 48, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
def test_viewers_of_the_source_rung_get_what_was_published_and_rungs_stay_aligned(tmp_path, scenario, seconds, gop):
    source = tmp_path / "source.flv"
    recording(source, seconds=seconds, gop=gop)
    with serving("--check", scenario) as server:
        publish = ["ffmpeg", "-v", "error", "-re", "-i", str(source), "-c", "copy", "-f", "flv", server.publish_url]
        with subprocess.Popen(publish) as ffmpeg:
            server.wait_for_playlist()
            seen: list[bytes] = []
            rung = server.playlist_url.replace("index.m3u8", "source/index.m3u8")
            viewer = threading.Thread(target=lambda: seen.extend(coded_pictures(rung, "-live_start_index", "0")))
            viewer.start()
            packets = watch(server.playlist_url, timeout_s=seconds + 30)
            viewer.join(30)
            assert ffmpeg.wait(10) == 0
        playlists = {name: server.fetch(f"{name}/index.m3u8") for name in ("source", "180p15")}
        server.process.terminate()
        _, err = server.process.communicate(timeout=20)
    assert seen == coded_pictures(source), "every coded picture, byte for byte, and no other"
    copied, encoded = packets["video"]
    assert len(copied) == 30 * seconds
    assert len(encoded) == 15 * seconds
    keys = [[int(packet["pts"]) for packet in of if packet["flags"].startswith("K")] for of in (copied, encoded)]
    assert len(keys[0]) == -(-30 * seconds // gop)
    assert set(keys[1]) <= set(keys[0])
    durations = [[line for line in playlist.splitlines() if "EXTINF" in line] for playlist in playlists.values()]
    assert durations[0][:-1] == durations[1][:-1], "the last ends with its last frame, and a slower rung has fewer"
    nominal_s = {60: 2.0, 30: 2.0, 48: 1.6}[gop]
    assert all(abs(float(line[8:-1]) - nominal_s) < 0.005 for line in durations[0][:-1])
    assert "0 violations" in err, err


@pytest.mark.requires_ffmpeg
def test_a_publisher_whose_keyframes_are_too_far_apart_is_ended_and_the_operator_told(tmp_path, scenario):
    source = tmp_path / "source.flv"
    recording(source, seconds=8, gop=250)
    with serving(scenario) as server:
        publish = ["ffmpeg", "-v", "error", "-re", "-i", str(source), "-c", "copy", "-f", "flv", server.publish_url]
        with subprocess.Popen(publish, stderr=subprocess.PIPE, text=True) as ffmpeg:
            ffmpeg.communicate(timeout=30)
            assert ffmpeg.returncode != 0
        server.process.terminate()
        _, err = server.process.communicate(timeout=20)
    assert err.splitlines() == [
        "live: the source rung 'source' is copied and needs a keyframe every 2 s; the publisher sent none for 4 s; set "
        "its keyframe interval to 2 s (OBS: Output, Keyframe Interval; ffmpeg: -g 60), with closed groups of pictures"
    ]


@pytest.mark.requires_ffmpeg
def test_the_guides_ladder_is_served_in_all_its_rungs():
    guide = Path(scenarios.__file__).parent / "library" / "guide_ladder.yaml"
    with serving(str(guide)) as server:
        picture = ["-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=60", "-t", "3", "-pix_fmt", "yuv420p"]
        codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "120", "-f", "flv", server.publish_url]
        subprocess.run(["ffmpeg", "-v", "error", "-re", *picture, *codec], check=True, timeout=120)
        server.wait_for_playlist(60)
        variants = [line for line in server.fetch().splitlines() if line.startswith("#EXT-X-STREAM-INF")]
    sizes = [re.search(r"RESOLUTION=(\S+),FRAME-RATE=(\S+)", line).groups() for line in variants]
    assert sizes == [("1920x1080", "60.000"), ("1280x720", "60.000"), ("852x480", "30.000")]


def copied_ladder() -> Ladder:
    first, second = ladder((320, 180, 30), (160, 90, 15)).rungs
    return Ladder(rungs=(first.model_copy(update={"copied": True}), second))


def test_a_publisher_of_another_size_is_told_why_it_is_ended():
    async def test(pipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        frames = clip(seconds=2.0, width=480, height=270).video
        with pytest.raises((PublishRefused, RtmpError), match="declared as 320x180; the publisher sends 480x270"):  # noqa: PT012
            for _ in range(100):
                await send(publisher, frames[:30])
        await publisher.close()

    with_pipeline(test, ladder=copied_ladder())


class Published:
    """A broadcast of the copied ladder, sent as quickly as it is taken."""

    def __init__(self) -> None:
        self.stream = StreamStore("test", copied_ladder(), listed=100)
        self.broadcast = Broadcast(self.stream, backend=X264Backend())

    def send(self, frames) -> None:
        for frame in frames:
            self.broadcast.video(frame, arrival_s=frame.dts_ms / 1000)
            session, until_s = self.broadcast._session, time.monotonic() + 30
            while self._lag_frames(session.counters) > 8 and not session.join(0):
                assert time.monotonic() < until_s, "the session does not catch up"
                time.sleep(0.001)

    @staticmethod
    def _lag_frames(counters: LadderCounters) -> int:
        return counters.fed - counters.encoded["180p30"] - counters.undecodable

    def close(self):
        self.broadcast.close("unpublished")
        assert self.broadcast.finished.wait(30)
        return [self.stream.rungs[name].window.kept for name in ("180p30", "90p15")]


@pytest.mark.parametrize("b_frames", [0, 2], ids=["", "b-frames"])
def test_a_jump_of_the_publishers_clock_is_a_discontinuity_in_every_rung(b_frames):
    frames = clip(seconds=6.0, gop=30, b_frames=b_frames).video
    hour = [dataclasses.replace(f, pts_ms=f.pts_ms + 3_600_000, dts_ms=f.dts_ms + 3_600_000) for f in frames]
    published = Published()
    published.send(frames[:100] + hour[105:])
    copied, encoded = published.close()
    for segments in (copied, encoded):
        assert [segment.discontinuity for segment in segments] == [False, False, True]
    assert [s.duration_s for s in copied] == pytest.approx([s.duration_s for s in encoded], abs=0.07)
    for segment in copied:
        facts = segment_facts(segment.data)
        assert facts.faults == ()
        assert facts.starts_with_idr
        assert facts.video_s == pytest.approx(segment.duration_s, abs=0.05)


def test_a_broadcast_without_keyframes_is_ended_after_what_it_had_was_published():
    published = Published()
    with pytest.raises(RtmpError, match="needs a keyframe every 2 s"):
        published.send(clip(seconds=10.0, gop=300).video)
    copied, _ = published.close()
    assert [segment.duration_s for segment in copied] == pytest.approx([4.0], abs=0.1)


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 200), marks=pytest.mark.long)], ids=["8", "192"])
def test_damaged_packets_never_break_the_packaging(seeds):
    """Bits are flipped in a third of all packets; what ends such a broadcast, if anything, has a name."""
    refused = 0
    for seed in seeds:
        generator, published = np.random.default_rng(seed), Published()
        frames = clip(seconds=6.0, gop=30, b_frames=2).video
        try:
            published.send(_damaged(frame, generator) if generator.random() < 1 / 3 else frame for frame in frames)
        except RtmpError as error:
            assert str(error).startswith(NAMED)  # noqa: PT017
        published.close()
        assert (published.broadcast._failure or NAMED).startswith(NAMED)
        refused += published.broadcast._session.counters.undecodable
    assert refused > 0


def _damaged(frame: VideoFrame, generator: np.random.Generator) -> VideoFrame:
    payload = bytearray(frame.payload)
    for _ in range(generator.integers(1, 4)):  # the length, the header, and anything
        for reach in (4, 5, len(payload)):
            if generator.random() < 0.3:
                payload[generator.integers(reach)] ^= 1 << generator.integers(8)
    return dataclasses.replace(frame, payload=bytes(payload))
