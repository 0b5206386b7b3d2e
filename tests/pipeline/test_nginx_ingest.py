"""nginx-rtmp as ingest: what it takes arrives whole, what it must refuse it refuses, and ends are told apart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import time
import urllib.request

import pytest
from live_pipeline import lose, until
from nginx_ingest import NAME, nginx, run, send_media, written
from rtmp_samples import KEY, reported_errors

from pipeline.marks import STILL_CLOCK
from pipeline.rtmp import Publisher, PublishRefused, RtmpError
from pipeline.rtmp.player import Player

pytestmark = pytest.mark.requires_nginx

REFUSED = (PublishRefused, RtmpError, OSError)
"""nginx says no by a status or by hanging up."""


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def test_every_frame_arrives_from_the_first_keyframe_on():
    async def scene():
        async with nginx() as running:
            publisher = await running.opened()
            await send_media(publisher, 100)
            await publisher.close()
            assert await running.ended() == ["unpublished"]
            [recorder] = running.recorders
            assert recorder.name == NAME
            assert [frame.dts_ms for frame, _ in recorder.videos] == [40 * number for number in range(100)]
            assert [n for n, (frame, _) in enumerate(recorder.videos) if frame.is_keyframe] == list(range(0, 100, 10))
            assert [frame.pts_ms for frame, _ in recorder.audios] == [400 * number for number in range(10)]

    run(scene)


@pytest.mark.parametrize("rounds", [4, pytest.param(100, marks=pytest.mark.long)])
def test_an_end_and_a_loss_are_told_apart(rounds):
    async def scene():
        async with nginx() as running:
            for number in range(rounds):
                publisher = await running.opened()
                await send_media(publisher, 20)
                await until(lambda n=number: len(running.recorders) > n and len(running.recorders[n].videos) == 20)
                await (publisher.close() if number % 2 else lose(publisher))
                reasons = await running.ended(number + 1)
            assert reasons == ["connection lost", "unpublished"] * (rounds // 2)

    run(scene, 120)


def stream_keys() -> dict[str, str]:
    return {
        "a wrong token": f"{NAME}?token=wrong-token",
        "no token": NAME,
        "the key in the place of the name": KEY,
        "an empty token": f"{NAME}?token=",
        "another name": f"other?token={KEY}",
        "a path": f"../{NAME}?token={KEY}",
        "an encoded path": f"%2e%2e%2f{NAME}?token={KEY}",
        "a folder": f"{NAME}/x?token={KEY}",
        "dots": f"..?token={KEY}",
        "an option": f"-i?token={KEY}",
        "a format": f"%d?token={KEY}",
        "300 characters": f"{'a' * 300}?token={KEY}",
        "a NUL": f"{NAME}\0?token={KEY}",
        "dots of another script": f"\u2025\u2024?token={KEY}",
        "two tokens": f"{NAME}?token=wrong-token&token={KEY}",
        "the name a second time": f"other?token={KEY}&name={NAME}",
        "nothing": "",
    }


@pytest.mark.parametrize("key", stream_keys().values(), ids=stream_keys())
def test_what_may_not_publish_is_refused_at_once_and_leaves_no_trace(key, caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with nginx() as running:
            began_s = time.monotonic()
            with pytest.raises(REFUSED):
                await running.opened(key)
            assert time.monotonic() - began_s < 2
            assert running.recorders == []
            assert running.ingest.live_names == frozenset()
            assert list((running.folder / "hls").rglob("*")) == []
            stat = await asyncio.to_thread(fetch, f"{running.ingest.http_url}/stats")
            for text in (written(running.folder).decode(errors="replace"), stat, caplog.text):
                assert KEY not in text
                assert "wrong-token" not in text

    run(scene)


def test_a_second_publisher_is_refused_and_the_first_one_undisturbed():
    async def scene():
        async with nginx() as running:
            first = await running.opened()
            await send_media(first, 50)
            for _ in range(3):
                with pytest.raises(REFUSED):
                    await running.opened()
            for number in range(50, 100):
                await first.send_video(40 * number, b"\x27\1\0\0\0" + b"\0\0\0\x05\x41diff")
            await first.close()
            assert await running.ended() == ["unpublished"]
            assert len(running.recorders[0].videos) == 100

    run(scene)


def test_the_name_is_free_again_after_a_loss():
    async def scene():
        async with nginx() as running:
            for _ in range(3):
                publisher = await running.opened()
                await send_media(publisher, 10)
                await until(lambda: running.recorders[-1:] and len(running.recorders[-1].videos) == 10)
                await lose(publisher)
                await until(lambda: not running.ingest.live_names)
            assert [recorder.closed for recorder in running.recorders] == [["connection lost"]] * 3

    run(scene)


def test_a_silent_publisher_is_dropped_and_its_name_free(monkeypatch):
    monkeypatch.setattr("pipeline.nginx.configuration.DROP_IDLE_S", 1)

    async def scene():
        async with nginx() as running:
            publisher = await running.opened()
            await send_media(publisher, 10)
            assert await running.ended() == ["connection lost"]
            await lose(publisher)
            again = await running.opened()
            await again.close()

    run(scene)


def test_media_that_cannot_be_served_ends_its_publisher():
    hevc = b"\x90hvc1" + b"\0\0\0"

    async def scene():
        async with nginx() as running:
            publisher = await running.opened()
            await send_media(publisher, 10)
            await publisher.send_video(400, hevc)
            assert await running.ended() == ["protocol error: only H.264 video and AAC audio; got HEVC (enhanced RTMP)"]
            await until(lambda: publisher._listener.done())
            await publisher.close()

    run(scene)


def test_a_publication_that_breaks_is_reported_and_its_publisher_dropped():
    class Broken:
        demux_clock = audio_clock = STILL_CLOCK

        def video(self, frame, arrival_s):
            raise ZeroDivisionError

        def close(self, reason):
            self.reason = reason

    broken = Broken()

    async def scene():
        errors = reported_errors()
        async with nginx(publish=lambda name: broken) as running:
            publisher = await running.opened()
            await send_media(publisher, 1)
            await until(lambda: errors)
            assert isinstance(errors[0], ZeroDivisionError)
            assert broken.reason == "failed: ZeroDivisionError"
            await until(lambda: publisher._listener.done())
            await publisher.close()

    run(scene)


@pytest.mark.parametrize("app", ["live", "hls"])
def test_nobody_from_outside_plays_from_nginx(app):
    async def scene():
        async with nginx() as running:
            publisher = await running.opened()
            await send_media(publisher, 10)
            reader, writer = await asyncio.open_connection("127.0.0.1", running.ingest.port)
            player = Player(reader, writer, NAME)
            with pytest.raises((RtmpError, OSError)):  # noqa: PT012
                await player._begin(app=app, tc_url=f"rtmp://127.0.0.1/{app}", chunk_bytes=128, properties={})
                async for _ in player.media(idle_s=2):
                    pytest.fail("a stranger was sent media")
            await player.close()
            await publisher.close()

    run(scene)


def test_nobody_writes_to_the_application_that_makes_hls():
    async def scene():
        async with nginx() as running:
            with pytest.raises(REFUSED):
                await running.opened("other", app="hls")
            publisher = await running.opened()
            await send_media(publisher, 10)
            with pytest.raises(REFUSED):
                await running.opened(NAME, app="hls")
            await publisher.close()
            assert await running.ended() == ["unpublished"]

    run(scene)


def test_a_publisher_that_leaves_while_it_is_decided_about_leaves_its_name_free():
    class Slow:
        def __init__(self):
            self.asked, self.answer, self.told = asyncio.Event(), asyncio.Event(), []

        async def publish(self, client):
            self.asked.set()
            await self.answer.wait()

        def publish_done(self, client):
            self.told.append(client.name)

    async def scene():
        slow = Slow()
        async with nginx(callbacks=slow) as running:
            opening = asyncio.create_task(running.opened())
            await slow.asked.wait()
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            await asyncio.sleep(0.2)
            slow.answer.set()
            await until(lambda: slow.told == [NAME])
            assert running.ingest.live_names == frozenset()
            publisher = await running.opened()
            await publisher.close()

    run(scene)


def test_the_callback_is_asked_after_the_token_and_without_it_and_its_no_is_one():
    class Callbacks:
        def __init__(self):
            self.is_open, self.asked, self.told = True, [], []

        async def publish(self, client):
            self.asked.append(client)
            if not self.is_open:
                raise PublishRefused("on_publish answered 403")

        def publish_done(self, client):
            self.told.append(client)

    async def scene():
        callbacks = Callbacks()
        async with nginx(callbacks=callbacks) as running:
            with pytest.raises(REFUSED):
                await running.opened(f"{NAME}?token=wrong-token")
            assert callbacks.asked == []
            publisher = await running.opened()
            await publisher.close()
            await until(lambda: callbacks.told == callbacks.asked)
            [client] = callbacks.told
            assert (client.app, client.name, client.addr) == ("live", NAME, "127.0.0.1")
            assert KEY not in repr(client)
            callbacks.is_open = False
            with pytest.raises(REFUSED):
                await running.opened()
            await until(lambda: not running.ingest.live_names)
            assert (len(callbacks.asked), len(callbacks.told)) == (2, 1)

    run(scene)


def test_closing_ends_what_is_live_and_leaves_nothing_behind():
    async def scene():
        async with nginx() as running:
            publisher: Publisher = await running.opened()
            await send_media(publisher, 10)
            await until(lambda: running.recorders and running.recorders[0].videos)
            folder, process = running.folder, running.ingest._process._process
            assert folder.stat().st_mode & 0o077 == 0
        assert running.recorders[0].closed == ["server closed"]
        assert not folder.exists()
        assert process.returncode is not None
        with pytest.raises(OSError, match="Connect call failed"):
            await running.opened()
        await publisher.close()

    run(scene)


def test_a_worker_that_crashes_costs_its_streams_and_is_replaced():
    async def scene():
        async with nginx() as running:
            publisher = await running.opened()
            await send_media(publisher, 10)
            await until(lambda: running.recorders and len(running.recorders[0].videos) == 10)
            stat = await asyncio.to_thread(fetch, f"{running.ingest.http_url}/stats")
            os.kill(int(re.search(r"<pid>(\d+)</pid>", stat)[1]), signal.SIGSEGV)
            assert await running.ended() == ["connection lost"]
            await publisher.close()
            again = await retried(running.opened)
            await again.close()
            assert await asyncio.wait_for(running.ended(), 10) == ["connection lost"]

    run(scene)


async def retried(attempt, within_s: float = 10.0):
    """Return the first success, as a publisher that reconnects has it."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await attempt()
            except REFUSED:
                await asyncio.sleep(0.1)
