"""A publisher's network that is cut for a while: fault P7, through the whole pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from functools import partial

import pytest
from clips import Clip, clip, ladder
from fault_proxy import fault_proxy
from live_pipeline import until

from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.rtmp import Deadlines, Publisher, PublishRefused, RtmpError, RtmpServer, StreamKeys
from pipeline.rtmp.keys import key_digest
from pipeline.serve import LivePipeline

KEYS = {"cut": "key-of-cut", "other": "key-of-other"}
IN_CI = Deadlines(idle_s=1.0)
"""A tenth of the real idle deadline, for cuts of a tenth of the real lengths."""


class LivePace:
    """A publisher that sends a clip again and again at live pace, whatever happens to it."""

    def __init__(self, port: int, name: str, source: Clip) -> None:
        self.sent = 0
        self._task = asyncio.create_task(self._run(port, name, source))

    async def _run(self, port: int, name: str, source: Clip) -> None:
        frames = source.video
        publisher = await Publisher.open(port=port, key=KEYS[name])
        began_s, loop_ms = time.monotonic(), 1000 * len(frames) // 30
        try:
            await publisher.send_video(0, b"\x17\0\0\0\0" + frames[0].avcc)
            for loop in range(1000):
                for frame in frames:
                    at_ms = loop * loop_ms + frame.dts_ms
                    await asyncio.sleep(max(0.0, began_s + at_ms / 1000 - time.monotonic()))
                    kind = b"\x17" if frame.is_keyframe else b"\x27"
                    await publisher.send_video(at_ms, kind + b"\1\0\0\0" + frame.payload)
                    self.sent += 1
        finally:
            await publisher.close()

    async def stop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, RtmpError, PublishRefused, OSError):
            await self._task


def full_size(cut_s: float):
    return pytest.param(cut_s, Deadlines(), marks=[pytest.mark.long, pytest.mark.timeout(300)])


@pytest.mark.parametrize(
    ("cut_s", "deadlines"),
    [(0.3, IN_CI), (2.0, IN_CI), full_size(3.0), full_size(13.0), full_size(60.0)],
)
def test_a_network_cut_costs_the_others_nothing_and_a_longer_one_than_the_idle_deadline_a_discontinuity(
    cut_s, deadlines
):
    source, marks = clip(seconds=4.0, gop=30), RecordingMarks()
    is_dropped = cut_s > deadlines.idle_s

    async def scene(pipeline: LivePipeline) -> None:
        async with fault_proxy(pipeline.rtmp.port) as network:
            other = LivePace(pipeline.rtmp.port, "other", source)
            first = LivePace(network.port, "cut", source)
            rung = await published_segments(pipeline, 1)
            network.cut()
            await asyncio.sleep(cut_s)
            if is_dropped:
                await until(lambda: pipeline.rtmp.live_names == {"other"})
                network.mend()
                again = LivePace(network.port, "cut", source)
            else:
                assert pipeline.rtmp.live_names == {"cut", "other"}
                network.mend()
                again = first
            numbered = rung.window.kept[-1].sequence
            await until(lambda: rung.window.kept[-1].sequence >= numbered + 3, timeout_s=20)
            breaks = [segment.sequence for segment in rung.window.kept if segment.discontinuity]
            assert len(breaks) + rung.window.discontinuity_sequence == is_dropped
            for pace in {first, again, other}:
                await pace.stop()
            scene.other_sent = other.sent

    async def published_segments(pipeline: LivePipeline, count: int):
        await until(lambda: pipeline.store.find("cut") is not None)
        rung = pipeline.store.find("cut").rungs["180p30"]
        await until(lambda: len(rung.window.kept) >= count, timeout_s=20)
        return rung

    async def run() -> None:
        keys = StreamKeys({name: key_digest(key) for name, key in KEYS.items()})
        rungs = ladder((320, 180, 30), (160, 90, 15), segment_s=1.0)
        async with LivePipeline(
            ladder=rungs, keys=keys, backend=X264Backend(), marks=marks, ingest=partial(RtmpServer, deadlines=deadlines)
        ) as pipeline:
            await scene(pipeline)

    asyncio.run(asyncio.wait_for(run(), 60 + 2 * cut_s))
    arrived = [mark.frame for mark in marks.frames if mark.stream == "other"]
    assert arrived == list(range(len(arrived)))
    assert len(arrived) >= scene.other_sent - 1, "frames under way when it was stopped apart, all arrived"
    assert not [mark for mark in marks.drops if mark.stream == "other"]


def test_only_the_idle_deadline_differs_from_the_real_ones():
    assert dataclasses.replace(IN_CI, idle_s=Deadlines().idle_s) == Deadlines()
