"""What a viewer in headless Chromium sees of lost publishers and restarted servers."""

from __future__ import annotations

import re
import signal
import time
from urllib.parse import urlsplit

import pytest
from live_pipeline import Server, publisher, publishing, serving
from small_ladder import FPS, SEGMENT_S

pytestmark = [pytest.mark.requires_chromium, pytest.mark.requires_ffmpeg]

AWAY_S = 2.0
RUNG = "180p30"
DISCONTINUITY = "#EXT-X-DISCONTINUITY\n"
SEGMENT_URL = re.compile(r"/\d+\.\w+$")
SHOWN = ("stalls", "stalled_s", "latency_s", "other_errors", "decoded_frames", "dropped_frames")
FOR_EVER_S = 36_000


class Playlist:
    """A rung's media playlist over time, asserted at every look to keep its numbers and its discontinuities."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._marks: dict[int, bool] = {}

    def look(self) -> int:
        """Return the `EXT-X-DISCONTINUITY-SEQUENCE`; looks must come oftener than a segment leaves the list."""
        text = self._server.fetch(f"{RUNG}/index.m3u8")
        [first] = map(int, re.findall(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text))
        [left] = map(int, re.findall(r"#EXT-X-DISCONTINUITY-SEQUENCE:(\d+)", text))
        marks = [DISCONTINUITY in tags for tags in re.findall(r"((?:#.*\n)+)\d+\.\w+\n", text)]
        assert first + len(marks) >= len(self._marks), "the sequence goes on"
        for number, mark in enumerate(marks, start=first):
            assert self._marks.setdefault(number, mark) == mark, "a segment keeps its number"
        assert left == sum(self._marks[number] for number in range(first)), "a discontinuity that slid out is counted"
        return left

    @property
    def discontinuities(self) -> int:
        """Those seen so far."""
        return sum(self._marks.values())


@pytest.mark.parametrize("cycles", [1, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_killed_publisher_that_comes_back_in_two_seconds_is_played_on_without_a_fatal_error(cycles, server, viewer):
    playlist = Playlist(server)
    viewer.page.goto(server.page_url)
    ffmpeg = publisher(server.publish_url, FOR_EVER_S)
    try:
        server.wait_for_playlist()
        viewer.until(lambda now: playlist.look() == 0 and now["state"] == "playing")
        outages_s = 0.0
        for cycle in range(1, cycles + 1):
            ffmpeg.kill()
            ffmpeg.wait()
            killed_s = time.monotonic()
            viewer.page.wait_for_timeout(1000 * AWAY_S)
            ffmpeg = publisher(server.publish_url, FOR_EVER_S)
            back_unix_s = time.time()
            viewer.until(lambda _, cycle=cycle: playlist.look() <= cycle == playlist.discontinuities)
            outages_s += time.monotonic() - killed_s
            viewer.until(lambda now, since=back_unix_s: playlist.look() >= 0 and _shows(now, since))
            last = viewer.until(lambda _, cycle=cycle: playlist.look() == cycle)
            print(f"{cycle} cycles: away {outages_s:.1f} s;", *(f"{name} {last[name]}" for name in SHOWN))
            assert last["stalled_s"] <= outages_s + cycle * SEGMENT_S
            assert (last["fatal_errors"], last["loads"]) == (0, 1)
    finally:
        ffmpeg.kill()
        ffmpeg.wait()
    viewer.assert_kept_to(server.page_url)


def _shows(figures: dict, unix_s: float) -> bool:
    """Return whether the picture is one that was published after that time."""
    return figures["state"] == "playing" and figures["latency_s"] and time.time() - figures["latency_s"] > unix_s


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_page_left_open_plays_again_after_the_server_was_restarted(number, serve_arguments, viewer):
    with serving(*serve_arguments) as server:
        with publishing(server.publish_url) as ffmpeg:
            server.wait_for_playlist()
            viewer.page.goto(server.page_url)
            viewer.until(lambda now: now["state"] == "playing" and now["position_s"] > 4 * SEGMENT_S)
            server.process.send_signal(number)
            server.process.wait(10)
            ffmpeg.wait(10)
        viewer.page.get_by_text("The server cannot be reached").wait_for()
        port = urlsplit(server.page_url).port
    with serving(*serve_arguments, "--http-port", str(port)) as restarted:
        viewer.page.get_by_text("Waiting for the stream").wait_for()
        with publishing(restarted.publish_url):
            again = viewer.until(lambda now: now["state"] == "playing" and now["loads"] == 2)
            assert number == signal.SIGTERM or again["stalls"] >= 1, "a reload does not hide a stall"
            viewer.until(lambda now: now["decoded_frames"] > again["decoded_frames"] + FPS)
    viewer.assert_kept_to(server.page_url)


def test_segments_of_garbage_are_survived_and_do_not_make_the_page_hammer_the_server(server, viewer):
    with publishing(server.publish_url):
        server.wait_for_playlist()
        viewer.page.goto(server.page_url)
        viewer.until(lambda now: now["state"] == "playing")
        viewer.page.route(SEGMENT_URL, lambda route: route.fulfill(status=200, body=b"no segment" * 1000))
        broken = viewer.until(lambda now: now["loads"] == 3)
        viewer.page.unroute(SEGMENT_URL)
        assert broken["fatal_errors"] >= 2
        mended_unix_s = time.time()
        viewer.until(lambda now: _shows(now, mended_unix_s))
        assert len([url for url in viewer.requests if url == server.playlist_url]) <= 4 * broken["loads"]
    viewer.assert_kept_to(server.page_url)


@pytest.mark.long
def test_a_viewer_who_paused_for_long_is_at_most_ten_target_durations_behind_live(server, viewer):
    with publishing(server.publish_url):
        server.wait_for_playlist()
        viewer.page.goto(server.page_url)
        viewer.until(lambda now: now["state"] == "playing")
        viewer.page.evaluate("document.querySelector('video').pause()")
        viewer.page.get_by_text("Paused").wait_for()
        viewer.page.wait_for_timeout(1000 * 25 * SEGMENT_S)
        viewer.page.evaluate("document.querySelector('video').play()")
        resumed_unix_s = time.time()
        viewer.until(lambda now: _shows(now, resumed_unix_s))
        last = viewer.figures()
        assert last["latency_s"] < 10 * SEGMENT_S + 3
        assert (last["fatal_errors"], last["loads"]) == (0, 1)
