"""What a viewer in headless Chromium sees of lost publishers and restarted servers."""

from __future__ import annotations

import re
import signal
import time
from urllib.parse import urlsplit

import pytest
from live_pipeline import Server, publisher, serving
from small_ladder import FPS, SEGMENT_S

pytestmark = [pytest.mark.requires_chromium, pytest.mark.requires_ffmpeg]

AWAY_S = 2.0
RUNG = "180p30"
DISCONTINUITY = "#EXT-X-DISCONTINUITY\n"
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
    ffmpeg = publisher(server.publish_url, FOR_EVER_S)
    try:
        server.wait_for_playlist()
        playlist.look()
        viewer.page.goto(server.page_url)
        viewer.until(lambda now: now["state"] == "playing")
        for cycle in range(1, cycles + 1):
            ffmpeg.kill()
            ffmpeg.wait()
            stalled_s, outage_s = viewer.figures()["stalled_s"], time.monotonic()
            viewer.page.wait_for_timeout(1000 * AWAY_S)
            ffmpeg = publisher(server.publish_url, FOR_EVER_S)
            back_unix_s = time.time()
            viewer.until(lambda _, cycle=cycle: playlist.look() <= cycle == playlist.discontinuities)
            outage_s = time.monotonic() - outage_s
            viewer.until(lambda now, since=back_unix_s: _shows(now, since))
            last = viewer.until(lambda _, cycle=cycle: playlist.look() == cycle)
            stalled_s = last["stalled_s"] - stalled_s
            print(
                f"cycle {cycle}: away {outage_s:.1f} s, stalled {stalled_s:.1f} s, {last['other_errors']} errors so far"
            )
            assert stalled_s <= outage_s + SEGMENT_S
            assert (last["state"], last["fatal_errors"], last["loads"]) == ("playing", 0, 1)
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
        with publisher(server.publish_url, FOR_EVER_S) as ffmpeg:
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
        with publisher(restarted.publish_url, FOR_EVER_S) as ffmpeg:
            again = viewer.until(lambda now: now["state"] == "playing" and now["loads"] == 2)
            viewer.until(lambda now: now["decoded_frames"] > again["decoded_frames"] + FPS)
            ffmpeg.kill()
    viewer.assert_kept_to(server.page_url)
