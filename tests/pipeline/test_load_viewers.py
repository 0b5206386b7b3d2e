"""A viewer polls and fetches as hls.js does, plays by the clock, and counts each request once."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from clips import clip
from live_pipeline import send, with_pipeline
from scripted_origin import Scripted, media, multivariant, scripted_origin

from pipeline.load import viewer as viewer_module
from pipeline.load.http_requests import Fault, Kind, Requests, viewer_session
from pipeline.load.rung_choice import ByShares, ByThroughput
from pipeline.load.schedule import Schedule
from pipeline.load.viewer import Viewer
from pipeline.load.viewers import ViewersConfig, watch_all
from pipeline.rtmp import Publisher

OK = Scripted(b"x" * 1000)
ONE_RUNG = {"/s/index.m3u8": [multivariant(low=100_000)]}


RNG = np.random.default_rng(1)


def low() -> ByShares:
    return ByShares({"low": 1.0}, RNG)


async def watching(script, *, seconds: float = 20.0, choice=None, taken: list | None = None, **options):
    """Return viewer, requests and origin after the stream has ended, or the viewer has left."""
    requests = Requests(lambda moment_s: True)
    async with scripted_origin(ONE_RUNG | script) as origin, viewer_session() as session:
        url = f"http://127.0.0.1:{origin.port}/s/index.m3u8"
        take = taken.append if taken is not None else lambda fetched: None
        viewer = Viewer(session, requests, url, choice=choice or low(), take=take, **options)
        try:
            async with asyncio.timeout(seconds):
                await viewer.watch()
        except TimeoutError:
            assert seconds < 20.0
    balanced(requests)
    return viewer, requests, origin


def balanced(requests: Requests) -> None:
    for tally in requests.tallies.values():
        assert tally.sent == tally.ok + sum(tally.failed.values()) + tally.in_flight


def test_a_viewer_starts_behind_the_live_edge_and_reads_in_order_to_the_end():
    script = {
        "/s/low/index.m3u8": [media(10, 6), media(12, 6, ended=True)],
        **{f"/s/low/{number}.ts": [Scripted(b"%d" % number)] for number in range(10, 18)},
    }
    taken: list = []
    viewer, requests, _ = asyncio.run(watching(script, taken=taken))
    assert [fetched.data for fetched in taken] == [b"13", b"14", b"15", b"16", b"17"]
    assert (viewer.segments, viewer.missed) == (5, 0)
    assert requests.tallies[Kind.SEGMENT].ok == 5
    assert requests.tallies[Kind.MEDIA].statuses == {"200": 2}


def test_a_listed_segment_that_is_missing_and_one_that_is_cut_short_are_told_apart():
    script = {
        "/s/low/index.m3u8": [media(0, 4, ended=True)],
        "/s/low/1.ts": [Scripted(status=404)],
        "/s/low/2.ts": [Scripted(b"y" * 4000, cut=True)],
        "/s/low/3.ts": [OK],
    }
    viewer, requests, origin = asyncio.run(watching(script))
    tally = requests.tallies[Kind.SEGMENT]
    assert tally.failed == {Fault.NOT_FOUND: 1, Fault.TRUNCATED: 1}
    assert (tally.sent, tally.ok, tally.received_bytes, viewer.segments) == (3, 1, 1000, 1)
    assert len(origin.times("/s/low/1.ts")) == 1


def test_an_unchanged_playlist_is_asked_for_after_half_the_target_duration():
    script = {
        "/s/low/index.m3u8": [media(0, 3), media(0, 3), media(0, 3), media(1, 3), media(1, 3, ended=True)],
        **{f"/s/low/{number}.ts": [OK] for number in range(4)},
    }
    _, _, origin = asyncio.run(watching(script))
    polls = origin.times("/s/low/index.m3u8")
    expected = [0.0, 1.0, 1.5, 2.0, 3.0]
    assert len(polls) == len(expected)
    for at_s, due_s in zip(polls, expected, strict=True):
        assert at_s - polls[0] >= due_s - 0.1  # never early; how late is the machine's affair


def test_a_playlist_that_goes_backwards_is_an_error_and_not_believed():
    script = {
        "/s/low/index.m3u8": [media(5, 3), media(2, 3), media(5, 3), media(6, 3, ended=True)],
        **{f"/s/low/{number}.ts": [OK] for number in range(9)},
    }
    viewer, requests, origin = asyncio.run(watching(script))
    assert requests.tallies[Kind.MEDIA].failed == {Fault.BACKWARDS: 1}
    assert viewer.segments == 4
    assert origin.times("/s/low/2.ts") == []


@pytest.mark.parametrize("body", [b"", b"#EXTM3U\n", b"<html>", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n7.ts\n", b"\xff\0"])
def test_a_playlist_that_no_player_reads_is_an_error(body, monkeypatch):
    monkeypatch.setattr(viewer_module, "RETRY_S", 0.1)
    script = {"/s/low/index.m3u8": [Scripted(body), media(0, 1, ended=True)], "/s/low/0.ts": [OK]}
    viewer, requests, _ = asyncio.run(watching(script))
    assert requests.tallies[Kind.MEDIA].failed == {Fault.INVALID: 1}
    assert viewer.segments == 1


def test_a_stream_that_is_not_there_yet_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(viewer_module, "RETRY_S", 0.1)
    script = {
        "/s/index.m3u8": [Scripted(status=404), Scripted(b"#EXTM3U\n"), multivariant(low=100_000)],
        "/s/low/index.m3u8": [media(0, 1, ended=True)],
        "/s/low/0.ts": [OK],
    }
    viewer, requests, _ = asyncio.run(watching(script))
    assert requests.tallies[Kind.MULTIVARIANT].failed == {Fault.NOT_FOUND: 1, Fault.INVALID: 1}
    assert viewer.segments == 1


def test_the_init_section_is_fetched_once_and_stands_before_every_segment():
    script = {
        "/s/low/index.m3u8": [media(0, 3, init="init-0.mp4", ended=True)],
        "/s/low/init-0.mp4": [Scripted(b"init")],
        **{f"/s/low/{number}.ts": [Scripted(b"-%d" % number)] for number in range(3)},
    }
    taken: list = []
    _, requests, _ = asyncio.run(watching(script, taken=taken))
    assert [fetched.data for fetched in taken] == [b"init-0", b"init-1", b"init-2"]
    assert requests.tallies[Kind.INIT].sent == 1


def test_a_viewer_that_fell_behind_counts_what_it_missed():
    script = {
        "/s/low/index.m3u8": [media(0, 3), media(20, 3, ended=True)],
        **{f"/s/low/{number}.ts": [OK] for number in (0, 1, 2, 20, 21, 22)},
    }
    viewer, _, _ = asyncio.run(watching(script))
    assert (viewer.segments, viewer.missed) == (6, 17)


def test_leaving_leaves_requests_in_flight_and_a_server_that_hangs_is_seen():
    async def hang():
        async def swallow(reader, writer):
            await reader.read()
            writer.close()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        requests = Requests(lambda moment_s: True)
        async with server, viewer_session() as session:
            port = server.sockets[0].getsockname()[1]
            viewer = Viewer(session, requests, f"http://127.0.0.1:{port}/s/index.m3u8", choice=low())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(viewer.watch(), 0.3)
        return requests

    requests = asyncio.run(hang())
    balanced(requests)
    tally = requests.tallies[Kind.MULTIVARIANT]
    assert (tally.sent, tally.in_flight, tally.latency_s) == (1, 1, [])


def test_a_quick_network_leads_up_the_ladder_without_a_gap():
    playlists = [media(first, 6) for first in range(3)] + [media(3, 6, ended=True)]
    heavy = Scripted(b"x" * 200_000)
    script = {
        "/s/index.m3u8": [multivariant(high=3_000_000, low=300_000)],
        "/s/low/index.m3u8": playlists,
        "/s/high/index.m3u8": playlists[1:],
        **{f"/s/{rung}/{number}.ts": [heavy] for rung in ("low", "high") for number in range(9)},
    }
    taken: list = []
    viewer, _, origin = asyncio.run(watching(script, choice=ByThroughput(), taken=taken))
    assert viewer.switches >= 1
    assert [fetched.segment.sequence for fetched in taken] == list(range(3, 9))
    assert origin.times("/s/low/3.ts")
    assert origin.times("/s/high/8.ts")


def test_a_generator_that_was_held_up_knows_it():
    async def held_up():
        watch = asyncio.create_task(watching({"/s/low/index.m3u8": [media(0, 3)], "/s/low/0.ts": [OK]}, seconds=2.0))
        await asyncio.sleep(0.9)
        time.sleep(0.4)  # the generator's own loop is what stands still
        return await watch

    _, requests, _ = asyncio.run(held_up())
    assert max(requests.own_delay_s) > 0.05


def test_viewers_of_a_real_pipeline_get_what_its_store_holds():
    async def test(pipeline, key):
        requests = Requests(lambda moment_s: True)
        publisher = await Publisher.open(port=pipeline.rtmp.port, key=key)
        sending = asyncio.create_task(send(publisher, clip(seconds=20.0).frames))
        taken: dict[str, list] = {"180p30": [], "90p15": []}
        async with viewer_session() as session:
            url = f"http://127.0.0.1:{pipeline.origin.port}/live/index.m3u8"
            viewers = [
                Viewer(session, requests, url, choice=ByShares({rung: 1.0}, RNG), take=fetched.append)
                for rung, fetched in taken.items()
            ]
            watching = asyncio.gather(*(viewer.watch() for viewer in viewers))
            await sending
            await publisher.close()
            await watching  # until the end of the playlist
        balanced(requests)
        assert all(tally.failed == {} for kind, tally in requests.tallies.items() if kind != Kind.MULTIVARIANT)
        for rung, fetched in taken.items():
            window = pipeline.store.find("live").rungs[rung].window
            assert fetched[-1].segment.sequence == window.kept[-1].sequence == 9
            for one in fetched:
                stored = window.find(one.segment.sequence)
                assert stored is None or one.data == stored.data

    with_pipeline(test)


def test_a_crowd_comes_and_goes_and_its_books_balance():
    async def crowd():
        playlists = [media(first // 2, 6) for first in range(40)]
        script = ONE_RUNG | {
            "/s/low/index.m3u8": playlists,
            **{f"/s/low/{number}.ts": [OK] for number in range(30)},
        }
        async with scripted_origin(script) as origin:
            now_s = time.monotonic()
            schedule = Schedule(now_s, 0.0, now_s + 0.5, now_s + 3.0)
            config = ViewersConfig(origin.port, ("s",), 6, now_s, schedule, None, "exponential", 1.0)
            return await watch_all(config), len(origin.asked)

    report, asked = asyncio.run(crowd())
    tallies = report.requests.values()
    assert sum(tally.sent for tally in tallies) == sum(t.ok + sum(t.failed.values()) + t.in_flight for t in tallies)
    assert sum(tally.sent - tally.in_flight for tally in tallies) <= asked <= sum(tally.sent for tally in tallies)
    assert report.requests[Kind.MULTIVARIANT].sent == len(report.sessions) > 6
    assert report.requests[Kind.SEGMENT].ok == sum(session.segments for session in report.sessions)
    assert sum(session.watched_s for session in report.sessions) == pytest.approx(6 * 2.75, rel=0.2)
    assert 0 < report.cpu_s < 2.5
    assert report.own_delay_s
