"""Publishers that send keyframes rarely, or never: fault P13."""

from __future__ import annotations

import logging

import pytest
from clips import clip
from live_pipeline import KEY_NAME, send, until, with_pipeline

from pipeline.broadcast import LONG_GOP_S, MAX_KEYFRAME_WAIT_S, KeyframeWatch
from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from pipeline.serve import LivePipeline


def test_a_minute_without_a_keyframe_is_warned_about_once_and_goes_on(caplog):
    watch = KeyframeWatch("cam")
    for second in range(61):
        watch.see(second == 0, float(second))
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.WARNING,
        "cam: no keyframe for 10 s; set a keyframe interval of 2 s",
    )


def test_an_ordinary_publisher_is_not_warned_about(caplog):
    watch = KeyframeWatch("cam")
    for second in range(61):
        watch.see(second % LONG_GOP_S == 0, float(second))
    assert caplog.records == []


def test_a_stream_that_never_has_a_keyframe_is_ended_by_name():
    watch = KeyframeWatch("cam")
    watch.see(False, 100.0)
    watch.see(False, 100.0 + MAX_KEYFRAME_WAIT_S)
    with pytest.raises(RtmpError, match="no keyframe within 10 s; set a keyframe interval of 2 s"):
        watch.see(False, 100.1 + MAX_KEYFRAME_WAIT_S)


def test_the_publisher_is_told(monkeypatch):
    monkeypatch.setattr("pipeline.broadcast.MAX_KEYFRAME_WAIT_S", 0.2)

    async def test(pipeline: LivePipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        first, *others = clip(seconds=5.0).video
        await publisher.send_video(0, b"\x17\0\0\0\0" + first.avcc)
        with pytest.raises((PublishRefused, RtmpError), match="no keyframe within"):
            await send(publisher, [frame for frame in others for _ in range(2) if not frame.is_keyframe])
        await publisher.close()

    with_pipeline(test)


def test_segments_keep_their_length_without_keyframes_of_the_publisher():
    async def test(pipeline: LivePipeline, key: str) -> None:
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        await send(publisher, clip(seconds=9.0, gop=100_000).frames)
        await publisher.close()
        rung = pipeline.store.find(KEY_NAME).rungs["180p30"]
        await until(lambda: rung.window.ended)
        lengths = [segment.duration_s for segment in rung.window.kept]
        assert lengths == pytest.approx([2.0, 2.0, 2.0, 2.0, 1.0], abs=0.04)

    with_pipeline(test)
