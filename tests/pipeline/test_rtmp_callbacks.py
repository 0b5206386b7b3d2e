"""HTTP callbacks: what they are told, whom they let in, and that nothing they do disturbs a stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from rtmp_samples import KEY, Recorder, chunks, commands, greeting, reported_errors, run, studio

from pipeline.rtmp import Publisher, PublishRefused
from pipeline.rtmp.callbacks import KEPT_CALLS, TIMEOUT_S, HttpCallbacks
from pipeline.rtmp.server import PublishingClient
from scenarios.errors import ScenarioError

CLIENT = PublishingClient("live", "cam", "127.0.0.1", 7)


class Door:
    """A callback server: keeps what it is asked and answers with `status` once `is_open` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.asked: list[dict[str, str]] = []
        self.url = ""

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(form["call"], form["clientid"]) for form in self.asked]

    async def answer(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-www-form-urlencoded"
        self.asked.append({name: str(value) for name, value in (await request.post()).items()})
        await self.is_open.wait()
        return web.Response(status=self.status, headers={"Location": f"{self.url}/elsewhere"})


@contextlib.asynccontextmanager
async def door() -> AsyncIterator[Door]:
    kept = Door()
    app = web.Application()
    app.router.add_post("/{anywhere:.*}", kept.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    kept.url = site.name
    try:
        yield kept
    finally:
        kept.is_open.set()
        await runner.cleanup()


def both(url: str, timeout_s: float = TIMEOUT_S) -> HttpCallbacks:
    return HttpCallbacks(on_publish=f"{url}/on", on_publish_done=f"{url}/done", timeout_s=timeout_s)


def test_a_broadcast_is_asked_about_and_its_end_told_once_in_the_words_of_nginx_rtmp(caplog):
    caplog.set_level(logging.DEBUG)

    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            fields = {"app": "live", "name": "cam", "addr": "127.0.0.1", "clientid": "1", "type": "live"}
            assert kept.asked == [{"call": "publish", **fields}]
            await publisher.close()
            await place.until(lambda: len(kept.asked) == 2)
            await place.server.close()
            await place.server._callbacks.close()
            assert kept.asked[1:] == [{"call": "publish_done", **fields}]

    run(scene())
    assert KEY not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 500])
def test_whatever_is_not_2xx_refuses_and_is_not_told_an_end(status):
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            kept.status = status
            with pytest.raises(PublishRefused, match=f"^on_publish answered {status}$"):
                await Publisher.open(port=place.server.port, key=KEY)
            await place.server._callbacks.close()
            assert kept.calls == [("publish", "1")], "neither a redirection nor an end"
            assert place.recorders == {}
            assert place.server.counts.refused == 1

    run(scene())


@pytest.mark.parametrize("status", [200, 204])
def test_any_2xx_admits(status):
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            kept.status = status
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            assert place.server.live_names == {"cam"}
            await publisher.close()

    run(scene())


def test_a_callback_that_hangs_refuses_in_time():
    assert TIMEOUT_S == 2.0

    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url, timeout_s=0.2)) as place:
            kept.is_open.clear()
            began_s = time.monotonic()
            with pytest.raises(PublishRefused, match=r"^on_publish did not answer within 0\.2 s$"):
                await Publisher.open(port=place.server.port, key=KEY)
            assert 0.2 <= time.monotonic() - began_s < 1.0
            assert place.recorders == {}

    run(scene())


def test_a_callback_that_is_down_refuses():
    with socket.socket() as taken:  # bound and not listening: connections to it are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/?token=of-the-operator"

        async def scene():
            async with studio(callbacks=HttpCallbacks(on_publish=url)) as place:
                with pytest.raises(PublishRefused, match=r"^on_publish could not be asked: ClientConnectorError$"):
                    await Publisher.open(port=place.server.port, key=KEY)
                assert place.recorders == {}

        run(scene())


@pytest.mark.parametrize("said", [b"", b"\0\xff nonsense\r\n\r\n", b"HTTP/1.1 200", b"HTTP/1.1 2e2 OK\r\n\r\n"])
def test_a_callback_that_speaks_no_http_refuses(said):
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"type=live")
        writer.write(said)
        writer.close()

    async def scene():
        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        url = "http://{}:{}/".format(*server.sockets[0].getsockname())
        async with studio(callbacks=HttpCallbacks(on_publish=url)) as place:
            with pytest.raises(PublishRefused, match=r"^on_publish could not be asked: "):
                await Publisher.open(port=place.server.port, key=KEY)
            assert place.recorders == {}
        server.close()
        await server.wait_closed()

    run(scene())


def test_the_key_comes_first():
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            with pytest.raises(PublishRefused, match="no stream has this app and key"):
                await Publisher.open(port=place.server.port, key="wrong")
            assert kept.asked == []

    run(scene())


def test_a_takeover_is_asked_about_too_and_each_end_told_once():
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            first = await Publisher.open(port=place.server.port, key=KEY)
            kept.status = 403
            with pytest.raises(PublishRefused, match="answered 403"):
                await Publisher.open(port=place.server.port, key=KEY)
            assert place.recorders["cam"].closed == [], "a takeover that is not admitted disturbs nobody"
            kept.status = 200
            third = await Publisher.open(port=place.server.port, key=KEY)
            await place.until(lambda: len(kept.asked) == 4)
            await third.close()
            await first.close()
            await place.until(lambda: len(kept.asked) == 5)
            await place.server._callbacks.close()
            asked, done = [("publish", n) for n in "123"], [("publish_done", n) for n in "13"]
            assert kept.calls == [*asked, *done]

    run(scene())


def test_a_name_that_another_key_took_while_the_callback_was_thinking_stays_taken():
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url), authorise=lambda app, key, peer: "cam") as place:
            kept.is_open.clear()
            opening = [asyncio.create_task(Publisher.open(port=place.server.port, key=key)) for key in ("one", "two")]
            await place.until(lambda: len(kept.asked) == 2)
            kept.is_open.set()
            outcomes = await asyncio.gather(*opening, return_exceptions=True)
            (live,) = [outcome for outcome in outcomes if isinstance(outcome, Publisher)]
            (refused,) = [str(outcome) for outcome in outcomes if not isinstance(outcome, Publisher)]
            assert refused == "the stream is live already, with another key"
            await place.until(lambda: len(kept.asked) == 3)
            await live.close()
            await place.until(lambda: len(kept.asked) == 4)
            assert sorted(kept.calls[2:]) == [("publish_done", "1"), ("publish_done", "2")]

    run(scene())


def test_an_end_that_cannot_be_told_is_logged_and_blocks_nothing(caplog):
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url, timeout_s=0.5)) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            kept.is_open.clear()
            began_s = time.monotonic()
            await publisher.close()
            await place.until(lambda: place.recorders["cam"].closed)
            assert place.server.live_names == frozenset()
            await place.server.close()
            assert time.monotonic() - began_s < 0.4
            await place.server._callbacks.close()
            assert kept.calls == [("publish", "1"), ("publish_done", "1")]

    run(scene())
    assert "cam, client 1: on_publish_done did not answer within 0.5 s" in caplog.text


def test_a_publisher_that_is_gone_before_its_answer_was_never_admitted():
    async def scene():
        async with door() as kept, studio(callbacks=both(kept.url)) as place:
            kept.is_open.clear()
            _, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
            writer.write(greeting() + chunks(*commands()))
            await place.until(lambda: kept.asked)
            await place.server.close()
            kept.is_open.set()
            await place.server._callbacks.close()
            writer.close()
            assert kept.calls == [("publish", "1")]
            assert place.recorders == {}

    run(scene())


def test_a_broadcast_that_could_not_be_opened_after_all_is_told_as_ended():
    def publish(name: str) -> Recorder:
        raise LookupError("no room")

    async def scene():
        reported = reported_errors()
        async with door() as kept, studio(callbacks=both(kept.url), publish=publish) as place:
            with pytest.raises(Exception, match=r"hung up|reset"):
                await Publisher.open(port=place.server.port, key=KEY)
            await place.until(lambda: len(kept.asked) == 2)
            assert kept.calls == [("publish", "1"), ("publish_done", "1")]
            assert [str(error) for error in reported] == ["no room"]

    run(scene())


def test_the_latency_of_every_call_is_kept_up_to_a_bound():
    async def scene():
        async with door() as kept:
            callbacks = both(kept.url)
            kept.is_open.clear()
            asyncio.get_running_loop().call_later(0.1, kept.is_open.set)
            began_s = time.monotonic()
            await callbacks.publish(CLIENT)
            took_s = time.monotonic() - began_s
            kept.status = 500
            callbacks.publish_done(CLIENT)
            await callbacks.close()
            asked, done = callbacks.calls
            assert (asked.call, asked.status, done.call, done.status) == ("publish", 200, "publish_done", 500)
            assert 0.09 <= asked.latency_s <= took_s
            assert 0 < done.latency_s < asked.latency_s
            assert began_s <= asked.began_s < done.began_s
            assert callbacks.calls.maxlen == KEPT_CALLS

    run(scene())


@pytest.mark.parametrize("option", ["--on-publish", "--on-publish-done"])
@pytest.mark.parametrize(
    "url", ["", "auth:8000/s3cret", "ftp://auth/s3cret", "http://", "http://[s3cret", "http://auth:s3cret/", "/s3cret"]
)
def test_only_http_and_https_urls_are_called(option, url):
    with pytest.raises(ScenarioError) as refusal:
        HttpCallbacks(**{option.strip("-").replace("-", "_"): url})
    assert str(refusal.value) == f"{option}: is no http or https URL; write http://HOST:PORT/PATH"
