"""The origin over real HTTP: what is served, with which headers, and what is never answered otherwise than 404."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from clips import ladder
from segments import IN_EITHER_CONTAINER

from pipeline.hls.containers import FMP4, MPEGTS, Container
from pipeline.hls.store import Store, StreamStore
from pipeline.origin import Origin
from scenarios.errors import NotReady

RUNGS = ladder((320, 180, 30), (160, 90, 15))


def publish(stream: StreamStore, number: int) -> None:
    """Publish one segment in every rung; its bytes say which it is, and those of its init every fifth change."""
    for name, rung in stream.rungs.items():
        rung.append(
            f"{name}/{number} ".encode() * 20_000,
            duration_s=2.0,
            unix_s=2.0 * number,
            codecs=("avc1.42c00d",),
            init=f"init of {number // 5}".encode() if rung.container is FMP4 else None,
        )


def with_origin(
    test: Callable[[aiohttp.ClientSession, StreamStore], Awaitable[None]],
    segments: int = 3,
    container: Container = MPEGTS,
    limit_s: float = 30,
) -> None:
    """Run the test against an origin on a free port with one stream, `live`."""

    async def run() -> None:
        store = Store(container=container)
        stream = store.stream("live", RUNGS)
        for number in range(segments):
            publish(stream, number)
        origin = Origin(store, port=0)
        await origin.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{origin.port}") as client:
                await test(client, stream)
        finally:
            await origin.close()

    asyncio.run(asyncio.wait_for(run(), limit_s))


def test_playlists_and_segments_with_their_headers():
    async def test(client, stream):
        async with client.get("/live/index.m3u8") as answer:
            text = await answer.text()
            assert answer.status == 200
            assert answer.content_type == "application/vnd.apple.mpegurl"
            assert answer.headers["Cache-Control"] == "no-cache"
        assert "180p30/index.m3u8" in text
        async with client.get("/live/180p30/index.m3u8") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            assert (await answer.text()).splitlines()[-1] == "2.ts"
        async with client.get("/live/180p30/2.ts") as answer:
            assert await answer.read() == stream.rungs["180p30"].window.kept[2].data
            assert answer.content_type == "video/mp2t"
            assert answer.headers["Cache-Control"] == "public, max-age=60"
            assert int(answer.headers["Content-Length"]) == len(stream.rungs["180p30"].window.kept[2].data)
        async with client.get("/healthz") as answer:
            assert await answer.json() == {"status": "ok", "alerts": {}, "playable_streams": 1, "viewer_connections": 1}

    with_origin(test)


def test_fmp4_segments_and_their_init_with_their_headers():
    async def test(client, stream):
        window = stream.rungs["180p30"].window
        for path, body, kind in (
            ("2.m4s", window.kept[2].data, "video/iso.segment"),
            ("init-0.mp4", b"init of 0", "video/mp4"),
        ):
            async with client.get(f"/live/180p30/{path}") as answer:
                assert await answer.read() == body
                assert answer.content_type == kind
                assert answer.headers["Cache-Control"] == "public, max-age=60"
        for path in ("2.ts", "init-1.mp4", "init-.mp4", "init-0.m4s", "init.mp4", f"init-{'9' * 13}.mp4"):
            async with client.get(f"/live/180p30/{path}") as answer:
                assert answer.status == 404, path

    with_origin(test, container=FMP4)


def test_an_init_segment_stays_as_long_as_a_segment_that_refers_to_it():
    async def test(client, stream):
        for number in range(17):  # the oldest kept is number 4, the last that has the first init
            publish(stream, number)
        for newest, status in ((16, 200), (17, 404)):
            async with client.get("/live/180p30/init-0.mp4") as answer:
                assert answer.status == status, newest
            publish(stream, newest + 1)

    with_origin(test, segments=0, container=FMP4)


@pytest.mark.parametrize(
    "path",
    [
        "/live/180p30/9.ts",
        "/live/180p30/0.m4s",
        "/live/180p30/0.mp4",
        "/live/180p30/0_ts",
        "/live/180p30/init-0.mp4",
        "/live/180p30/-1.ts",
        "/live/180p30/00000000000000000000000000001.ts",
        "/live/180p30/x.ts",
        "/live/nope/0.ts",
        "/live/nope/index.m3u8",
        "/nope/index.m3u8",
        "/live/180p30/%2e%2e/%2e%2e/etc/passwd",
        "/live/180p30/0.ts%00",
        "/%00/index.m3u8",
        "/live//index.m3u8",
    ],
)
def test_every_other_name_is_404_and_says_nothing_of_files(path):
    async def test(client, stream):
        async with client.get(client._base_url.join(_raw(path))) as answer:
            assert answer.status == 404
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
        async with client.get("/healthz") as answer:
            assert answer.status == 200

    with_origin(test)


def _raw(path: str):
    import yarl

    return yarl.URL(path, encoded=True)


def test_no_playlist_before_its_first_segment():
    async def test(client, stream):
        for path in ("/live/index.m3u8", "/live/180p30/index.m3u8"):
            async with client.get(path) as answer:
                assert answer.status == 404
                assert "no segment yet" in await answer.text()
        stream.rungs["180p30"].append(b"x", duration_s=2.0, unix_s=0.0, codecs=("avc1.42c00d",))
        async with client.get("/live/180p30/index.m3u8") as answer:
            assert answer.status == 200
        async with client.get("/live/index.m3u8") as answer:
            assert answer.status == 404, "the other rung has none"

    with_origin(test, segments=0)


def test_head_tells_the_length_and_post_is_not_allowed():
    async def test(client, stream):
        async with client.head("/live/180p30/0.ts") as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) == len(stream.rungs["180p30"].window.kept[0].data)
        async with client.post("/live/180p30/0.ts", data=b"x") as answer:
            assert answer.status == 405

    with_origin(test)


@IN_EITHER_CONTAINER
@pytest.mark.parametrize("gets", [400, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_whatever_a_playlist_lists_can_be_fetched_while_segments_are_published(container, gets):
    """A writer some hundred times quicker than life: a reader gets through a playlist in two publications."""

    async def test(client, stream):
        stopped = threading.Event()

        def write():
            for number in itertools.count(3):
                if stopped.wait(0.05):
                    return
                publish(stream, number)

        writer = threading.Thread(target=write)
        writer.start()
        fetched = 0
        try:
            while fetched < gets:
                async with client.get("/live/90p15/index.m3u8") as answer:
                    lines = (await answer.text()).splitlines()
                for init in [line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP")]:
                    async with client.get(f"/live/90p15/{init}") as answer:
                        assert (answer.status, (await answer.read())[:8]) == (200, b"init of "), init
                for name in [line for line in lines if not line.startswith("#")]:
                    async with client.get(f"/live/90p15/{name}") as answer:
                        assert answer.status == 200, name
                        data = await answer.read()
                    assert data == f"90p15/{name.removesuffix(container.suffix)} ".encode() * 20_000
                    fetched += 1
        finally:
            stopped.set()
            writer.join()

    with_origin(test, container=container, limit_s=600)


def test_what_left_the_playlist_stays_for_its_own_duration_and_that_of_the_playlist():
    """RFC 8216, 6.2.2: with segments of one length, one more than are listed."""

    async def test(client, stream):
        async with client.get("/live/180p30/index.m3u8") as answer:
            listed = [line for line in (await answer.text()).splitlines() if not line.startswith("#")]
        assert listed == [f"{number}.ts" for number in range(4, 10)]
        for newest, status in [*((number, 200) for number in range(10, 17)), (17, 404)]:
            publish(stream, newest)
            async with client.get(f"/live/180p30/{listed[0]}") as answer:
                assert answer.status == status, newest

    with_origin(test, segments=10)


def test_a_reader_that_stops_reading_is_cut_off(monkeypatch):
    monkeypatch.setattr("pipeline.origin.SEND_DEADLINE_S", 0.2)

    async def test(client, stream):
        stream.rungs["180p30"].append(bytes(50_000_000), duration_s=2.0, unix_s=0.0, codecs=("avc1.42c00d",))
        with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012
            async with client.get("/live/180p30/3.ts") as answer:
                await asyncio.sleep(0.6)
                await answer.read()
        async with client.get("/live/180p30/2.ts") as answer:
            assert answer.status == 200

    with_origin(test)


def test_a_port_in_use_says_what_to_do():
    async def run():
        first = Origin(Store(), port=0)
        await first.start()
        try:
            with pytest.raises(NotReady, match=f"port {first.port} on 127.0.0.1 is in use; .*--http-port"):
                await Origin(Store(), port=first.port).start()
        finally:
            await first.close()

    asyncio.run(run())


def test_a_host_of_another_machine_says_what_to_do():
    with pytest.raises(NotReady, match="cannot be listened on"):
        asyncio.run(Origin(Store(), host="203.0.113.1", port=0).start())
