"""Who may take a live stream over: whoever has the same key, at once, and nobody else."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from clips import clip
from live_pipeline import KEY_NAME, publisher, send, serving, until, watch, with_pipeline
from rtmp_samples import KEY, KEYFRAME, VIDEO_HEADER, Recorder, run, studio

from pipeline.rtmp import Publisher, PublishRefused
from pipeline.rtmp.keys import key_digest
from pipeline.serve import LivePipeline

TAKEOVER_S = 5.0
"""What is promised; it takes as long as two publishers do to start."""


async def send_until_dismissed(sender: Publisher) -> str:
    """Go on sending; return the reason that the server gives for ending the broadcast."""
    with pytest.raises(PublishRefused) as dismissal:  # noqa: PT012
        for _ in range(500):
            await sender.send_video(0, KEYFRAME)
            await asyncio.sleep(0.01)
    return str(dismissal.value)


def test_the_same_key_takes_over_at_once(caplog):
    caplog.set_level(logging.DEBUG)
    opened: list[Recorder] = []
    closed_before: list[list[str]] = []

    def publish(name: str) -> Recorder:
        closed_before.append([reason for recorder in opened for reason in recorder.closed])
        opened.append(Recorder(name))
        return opened[-1]

    async def scene():
        async with studio(publish=publish) as place:
            first = await Publisher.open(port=place.server.port, key=KEY)
            await first.send_video(0, VIDEO_HEADER)
            began_s = time.monotonic()
            second = await Publisher.open(port=place.server.port, key=KEY)
            assert time.monotonic() - began_s < 1.0
            assert [recorder.closed for recorder in opened] == [["taken over"], []]
            assert closed_before == [[], ["taken over"]], "the old broadcast ends before the new one begins"
            assert await send_until_dismissed(first) == "taken over"
            await first.close()
            await place.until(lambda: len(place.server._connections) == 1)
            assert place.server.live_names == {"cam"}, "the end of the old connection frees nothing"
            await second.send_video(0, VIDEO_HEADER)
            await second.send_video(0, KEYFRAME)
            await second.close()
            await place.until(lambda: opened[1].closed)
            assert [len(recorder.videos) for recorder in opened] == [0, 1]
            assert opened[1].closed == ["unpublished"]
            assert (place.server.counts.accepted, place.server.counts.taken_over) == (2, 1)
            assert place.server.live_names == frozenset()

    run(scene())
    assert "ended: taken over" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("app", "rival_key", "reason"),
    [
        ("live", "another secret of the same stream", "the stream is live already, with another key"),
        ("live", "no secret of this stream", "no stream has this app and key"),
        ("other", KEY, "no stream has this app and key"),
    ],
)
def test_another_key_is_refused_and_the_first_undisturbed(app, rival_key, reason, caplog):
    caplog.set_level(logging.DEBUG)

    def authorise(app: str, key: str, peer: str) -> str | None:
        return "cam" if app == "live" and not key.startswith("no") else None

    async def scene():
        async with studio(authorise=authorise) as place:
            first = await Publisher.open(port=place.server.port, key=KEY)
            await first.send_video(0, VIDEO_HEADER)
            with pytest.raises(PublishRefused) as refusal:
                await Publisher.open(port=place.server.port, key=rival_key, app=app)
            assert str(refusal.value) == reason
            await first.send_video(0, KEYFRAME)
            recorder = place.recorders["cam"]
            await place.until(lambda: len(recorder.videos) == 1)
            assert recorder.closed == []
            assert (place.server.counts.refused, place.server.counts.taken_over) == (1, 0)
            await first.close()
            await place.until(lambda: recorder.closed)
            if app == "live" and not rival_key.startswith("no"):
                later = await Publisher.open(port=place.server.port, key=rival_key)
                await later.close()

    run(scene())
    assert rival_key not in caplog.text


def test_only_the_hash_of_a_live_key_is_kept():
    async def scene():
        async with studio() as place:
            first = await Publisher.open(port=place.server.port, key=KEY)
            (live,) = place.server._live.values()
            assert live.secret == key_digest(KEY)
            kept = [vars(place.server), vars(live.connection), vars(live.connection._session)]
            assert KEY not in repr(kept)
            await first.close()

    run(scene())


def test_a_takeover_continues_the_stream_after_a_discontinuity():
    source = clip(seconds=3.0)

    async def test(pipeline: LivePipeline, key: str) -> None:
        first = await Publisher.open(port=pipeline.rtmp.port, key=key)
        await send(first, source.frames)
        second = await Publisher.open(port=pipeline.rtmp.port, key=key)
        stream = pipeline.store.find(KEY_NAME)
        await send(second, source.frames)
        assert not any(rung.window.ended for rung in stream.rungs.values()), "players must not stop"
        await second.close()
        await first.close()
        await until(lambda: all(rung.window.ended for rung in stream.rungs.values()))
        for rung in stream.rungs.values():
            assert [segment.discontinuity for segment in rung.window.kept] == [False, False, True, False]
            assert [segment.sequence for segment in rung.window.kept] == [0, 1, 2, 3]

    with_pipeline(test, grace_s=3600.0)


def discontinuities(playlist: str) -> list[bool]:
    """Return for each segment of a media playlist whether a discontinuity stands before it."""
    parts = playlist.split("#EXTINF")
    return ["#EXT-X-DISCONTINUITY\n" in part for part in parts[:-1]]


@pytest.mark.requires_ffmpeg
def test_ffmpeg_takes_over_from_a_frozen_ffmpeg_and_viewers_play_on():
    """The first publisher is frozen, not ended: like one behind a dead network it closes nothing."""
    with (
        serving() as server,
        publisher(server.publish_url, 60) as frozen,
        ExitStack() as at_last,
        ThreadPoolExecutor(1) as viewer,
    ):
        at_last.callback(frozen.kill)  # a frozen process ends in no other way, should the test fail
        server.wait_for_playlist()
        watching = viewer.submit(watch, server.playlist_url, timeout_s=30)
        frozen.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        with publisher(server.publish_url, 5) as second:
            while not any(discontinuities(before := server.fetch("480p30/index.m3u8"))):
                assert time.monotonic() - began_s < TAKEOVER_S + 2.0, "its first segment lasts two seconds"
                time.sleep(0.05)
            assert "#EXT-X-ENDLIST" not in before
            assert second.wait(10) == 0
        seen = watching.result()["video"]  # it reads to the end of every rung
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(10) != 0, "its connection was closed"
        after = server.fetch("480p30/index.m3u8")
    assert after.endswith("#EXT-X-ENDLIST\n")
    assert sum(discontinuities(after)) == 1
    assert re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", after).group(1) == "0"
    numbers = [int(number) for number in re.findall(r"(\d+)\.ts", after)]
    assert numbers == list(range(len(numbers)))
    frames_of_the_second = 5 * 30
    assert [len(packets) > frames_of_the_second for packets in seen] == [True, True], "both publishers were seen"
