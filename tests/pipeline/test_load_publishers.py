"""Publishers keep their schedule, or know by how much they did not and whose fault it was."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from pipeline.hls.codec_parameters import AacFormat
from pipeline.load import publishers
from pipeline.load.clip import frames_of, source_clip
from pipeline.load.publishers import PublisherConfig, publish
from pipeline.load.schedule import OPENING_S, TAIL_S, Schedule
from pipeline.marks import STILL_CLOCK
from pipeline.rtmp.keys import StreamKeys
from pipeline.rtmp.server import RtmpServer
from scenarios.ladder import Source

SMALL = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return source_clip(SMALL, folder=tmp_path_factory.mktemp("cache"))


class Taken:
    """A publication that keeps what arrives."""

    demux_clock = audio_clock = STILL_CLOCK

    def __init__(self) -> None:
        self.frames: list = []
        self.arrivals: list[float] = []
        self.sounds: list = []
        self.reason = ""

    def video(self, frame, arrival_s):
        self.frames.append(frame)
        self.arrivals.append(arrival_s)

    def audio(self, frame, arrival_s):
        self.sounds.append(frame)

    def close(self, reason):
        self.reason = reason


def config(port: int, keys: list[str], clip, *, window_s: float = 0.4) -> PublisherConfig:
    start_s = time.monotonic() + 0.1
    first_s = start_s + OPENING_S + 0.3 * (len(keys) - 1)
    return PublisherConfig(port, tuple(keys), str(clip.path), 30.0, Schedule(start_s, 0.3, first_s, first_s + window_s))


async def published(clip, *, streams: int, keys: list[str] | None = None, meanwhile=None):
    """Return the report and what a real server took, by stream name."""
    taken: dict[str, Taken] = {}
    pairs = [StreamKeys.generate(f"s{i}") for i in range(streams)]
    names = {key: f"s{i}" for i, (_, key) in enumerate(pairs)}
    server = RtmpServer(
        port=0,
        authorise=lambda app, key, peer: names.get(key),
        publish=lambda name: taken.setdefault(name, Taken()),
    )
    await server.start()
    try:
        asked = config(server.port, keys or list(names), clip)
        task = asyncio.create_task(publish(asked))
        if meanwhile is not None:
            await meanwhile(asked.schedule)
        return await task, taken, asked
    finally:
        await server.close()


def test_every_frame_arrives_in_order_and_on_time(clip):
    report, taken, asked = asyncio.run(published(clip, streams=2))
    _, frames = frames_of(clip.path)
    for number, stream in enumerate(report.streams):
        assert stream.error is None
        arrived = taken[f"s{number}"]
        assert arrived.reason == "unpublished"
        assert len(arrived.frames) == len(stream.sent_s) == len(stream.scheduled_s)
        first_s = asked.schedule.first_frame_s(number)
        assert stream.scheduled_s == pytest.approx([first_s + i / 30 for i in range(len(stream.sent_s))])
        assert stream.scheduled_s[-1] < asked.schedule.window_end_s + TAIL_S <= stream.scheduled_s[-1] + 1 / 30 + 1e-6
        assert [frame.payload for frame in arrived.frames] == [frame.body[5:] for frame in frames[: len(stream.sent_s)]]
        assert all(sent >= due for sent, due in zip(stream.sent_s, stream.scheduled_s, strict=True))
        assert all(at >= sent for at, sent in zip(arrived.arrivals, stream.sent_s, strict=True))
        assert arrived.sounds == []
    assert 0 <= report.cpu_s < 0.4


def test_a_clip_that_is_sent_again_goes_on_in_time(clip, monkeypatch):
    header, frames = frames_of(clip.path)
    monkeypatch.setattr(publishers, "frames_of", lambda path: (header, frames[:6]))
    _, taken, _ = asyncio.run(published(clip, streams=1))
    times = [frame.pts_ms for frame in taken["s0"].frames]
    assert len(times) > 12
    assert times[:8] == [0, 33, 67, 100, 133, 167, 200, 233]


def test_a_tone_repeats_beside_the_video_without_a_gap(tmp_path):
    toned = source_clip(SMALL, tone=True, folder=tmp_path)
    report, taken, _ = asyncio.run(published(toned, streams=1))
    times = [sound.pts_ms for sound in taken["s0"].sounds]
    assert times == [round(1000 * number * 1024 / 48_000) for number in range(len(times))]
    assert len(times) > 64 * 0.5  # the window, its head and its tail: more than half the tone's own length
    sent_s = len(report.streams[0].sent_s) / 30
    assert len(times) == math.ceil(sent_s * 48_000 / 1024)
    assert AacFormat.from_config(taken["s0"].sounds[0].asc).sample_rate_hz == 48_000


def test_a_generator_that_was_held_up_knows_it(clip):
    async def freeze(schedule):
        await asyncio.sleep(schedule.window_start_s + 0.1 - time.monotonic())
        time.sleep(0.15)  # the generator's own loop is what stands still

    report, _, _ = asyncio.run(published(clip, streams=1, meanwhile=freeze))
    late = [delay_s for delay_s in report.streams[0].own_delay_s if delay_s > 0.05]
    assert len(late) >= 3  # all that fell due meanwhile, not the first of them alone


def test_a_server_that_does_not_take_frames_is_not_the_generators_fault(clip):
    class Slow:
        async def send_video(self, timestamp_ms, body):
            await asyncio.sleep(0.1)

    async def send():
        asked = config(1, ["key"], clip)
        report = publishers.StreamReport()
        await publishers._send_frames(
            Slow(),
            publishers._Media(*frames_of(clip.path), None, ()),
            asked,
            first_s=asked.schedule.first_frame_s(0),
            report=report,
        )
        return report

    report = asyncio.run(send())
    late_s = [sent - due for sent, due in zip(report.sent_s, report.scheduled_s, strict=True)]
    assert max(late_s) > 0.3  # the schedule is absolute, so the delay shows in full
    assert max(report.own_delay_s) < 0.05


def test_a_refused_stream_says_why_without_its_key(clip):
    report, taken, _ = asyncio.run(published(clip, streams=1, keys=["not-the-key"]))
    assert taken == {}
    assert report.streams[0].error.startswith("PublishRefused")
    assert "not-the-key" not in report.streams[0].error
