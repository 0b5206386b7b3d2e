"""Who is let in: keys, names and authorisers, and that no media is heard before their answer."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from rtmp_samples import KEY, KEYFRAME, VIDEO_HEADER, chunks, commands, greeting, run, studio
from test_rtmp_keys import BAD_NAMES

from pipeline.rtmp import Publisher, PublishRefused, messages


@pytest.mark.parametrize(("app", "key"), [("live", "wrong-key"), ("other", KEY), ("live", ""), ("live", "../../x")])
def test_a_wrong_key_is_refused_within_a_second_and_never_named(app, key, caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with studio() as place:
            began_s = time.monotonic()
            with pytest.raises(PublishRefused, match="no stream has this app and key") as refusal:
                await Publisher.open(port=place.server.port, app=app, key=key)
            assert time.monotonic() - began_s < 1.0
            assert place.recorders == {}
            assert (place.server.counts.refused, place.server.counts.accepted) == (1, 0)
            assert not key or key not in str(refusal.value)

    run(scene())
    for secret in filter(None, (key, KEY)):
        assert secret not in caplog.text
    assert "refused" in caplog.text


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_leave_the_root_is_refused_whatever_the_authoriser_says(name):
    async def scene():
        async with studio(authorise=lambda app, key, peer: name) as place:
            with pytest.raises(PublishRefused):
                await Publisher.open(port=place.server.port, key=KEY)
            assert place.recorders == {}

    run(scene())


def test_media_sent_before_the_answer_reaches_nobody():
    async def scene():
        async with studio() as place:
            reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
            video = messages.RtmpMessage(6, 9, 1, 0, VIDEO_HEADER)
            writer.write(greeting() + chunks(*commands(key="wrong"), video, video))
            await asyncio.wait_for(reader.read(), 5)
            await place.until(lambda: place.server.counts.refused == 1)
            assert place.server.counts.dropped_media == 2
            assert place.recorders == {}
            writer.close()

    run(scene())


async def _async_yes(app: str, key: str, peer: str) -> str | None:
    await asyncio.sleep(0.01)
    return "cam" if key == KEY else None


async def _async_raise(app: str, key: str, peer: str) -> str | None:
    raise OSError(f"http://auth/?key={key} is down")


def _raise(app: str, key: str, peer: str) -> str | None:
    raise KeyError(key)


def test_the_authoriser_may_take_its_time():
    async def scene():
        async with studio(authorise=_async_yes) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            await publisher.close()
            with pytest.raises(PublishRefused):
                await Publisher.open(port=place.server.port, key="other")

    run(scene())


def test_media_that_comes_while_the_authoriser_thinks_is_not_read_before_its_answer():
    asked, answer = asyncio.Event(), asyncio.Event()

    async def authorise(app: str, key: str, peer: str) -> str | None:
        asked.set()
        await answer.wait()
        return "cam"

    async def scene():
        async with studio(authorise=authorise) as place:
            _, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
            writer.write(greeting() + chunks(*commands()))
            await asked.wait()
            header, keyframe = (messages.RtmpMessage(6, 9, 1, 0, body) for body in (VIDEO_HEADER, KEYFRAME))
            writer.write(chunks(header, keyframe))
            await asyncio.sleep(0.1)
            answer.set()
            await place.until(lambda: place.recorders and place.recorders["cam"].videos)
            writer.close()

    run(scene())


@pytest.mark.parametrize("authorise", [_raise, _async_raise])
def test_an_authoriser_that_fails_lets_nobody_in_and_leaks_no_key(authorise, caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with studio(authorise=authorise) as place:
            with pytest.raises(PublishRefused, match="could not be authorised"):
                await Publisher.open(port=place.server.port, key=KEY)
            assert place.recorders == {}

    run(scene())
    assert "the authoriser failed with" in caplog.text
    assert KEY not in caplog.text
