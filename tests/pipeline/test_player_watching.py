"""The player page in headless Chromium, watching what `headroom serve` makes of ffmpeg's stream."""

from __future__ import annotations

import re
import urllib.parse

import pytest
from live_pipeline import ROOT, publisher, publishing
from small_ladder import FPS, SEGMENT_S
from test_player_pages import HOSTILE_NAMES

from pipeline.player.pages import HLS_JS_VERSION

pytestmark = [pytest.mark.requires_chromium, pytest.mark.requires_ffmpeg]


@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_every_frame_plays_without_a_stall_and_every_rung_can_be_chosen(seconds, server, viewer):
    with publishing(server.publish_url):
        server.wait_for_playlist()
        while server.fetch("180p30/index.m3u8").count("#EXTINF") < 4:  # as many as a player stays behind, and one
            viewer.page.wait_for_timeout(200)
        viewer.page.goto(server.page_url)
        first = viewer.until(lambda now: now["state"] == "playing" and now["latency_s"] is not None)
        viewer.page.wait_for_timeout(1000 * seconds)
        last = viewer.figures()
        print({name: last[name] for name in last if name != "rungs"})
        for rung, height in (("90p30", 90), ("180p30", 180)):
            viewer.page.select_option("#rung", rung)
            viewer.until(lambda now, rung=rung, height=height: (now["rung"], now["height"]) == (rung, height))
        viewer.page.locator("#rung").press("Home")  # by the keyboard as well
        assert viewer.until(lambda now: now["choice"] == "auto")["fatal_errors"] == 0
    assert (last["state"], last["fatal_errors"], last["loads"]) == ("playing", 0, 1)
    decoded = last["decoded_frames"] - first["decoded_frames"]
    assert decoded == pytest.approx(FPS * (last["position_s"] - first["position_s"]), abs=FPS)
    assert decoded >= 0.7 * FPS * seconds
    dropped = last["dropped_frames"] - first["dropped_frames"]
    assert dropped <= 0.1 * decoded, "a browser that draws in software on a busy machine drops some"
    assert last["stalls"] <= 2, "a busy machine may cause one or two"
    assert 0 < last["latency_s"] < 4 * SEGMENT_S + 3
    assert 0 < last["buffer_s"] < 6 * SEGMENT_S
    assert [(rung["name"], rung["width"], rung["height"]) for rung in sorted(last["rungs"], key=str)] == [
        ("180p30", 320, 180),
        ("90p30", 160, 90),
    ]
    assert viewer.page.evaluate("Hls.version") == HLS_JS_VERSION
    viewer.assert_kept_to(server.page_url)


def test_a_page_waits_for_its_stream_says_its_end_and_plays_on_when_it_comes_back(server, viewer):
    viewer.page.goto(server.page_url)
    viewer.until(lambda now: now["state"] == "waiting")
    viewer.page.get_by_text("Waiting for the stream").wait_for()
    with publisher(server.publish_url, 4) as ffmpeg:
        viewer.until(lambda now: now["state"] == "playing")
        assert ffmpeg.wait(20) == 0
    viewer.until(lambda now: now["state"] == "ended")
    viewer.page.get_by_text("The stream has ended").wait_for()
    with publishing(server.publish_url):
        again = viewer.until(lambda now: now["state"] == "playing" and now["loads"] == 2)
        viewer.until(lambda now: now["decoded_frames"] > again["decoded_frames"] + FPS)
    assert viewer.figures()["fatal_errors"] == 0
    viewer.assert_kept_to(server.page_url)


def test_names_and_addresses_execute_nothing(server, viewer):
    base = server.page_url.removesuffix("live/")
    for name in HOSTILE_NAMES:
        answer = viewer.page.goto(f"{base}{name}/")
        assert answer is not None
        assert answer.status == 404
    attack = urllib.parse.quote("<img src=x onerror=alert(1)>")
    viewer.page.goto(f"{server.page_url}?{attack}#{attack}")
    viewer.until(lambda now: now["state"] == "waiting")
    viewer.assert_kept_to(base)


def test_the_policy_stops_what_a_hole_in_the_page_would_let_in(server, viewer):
    viewer.page.goto(server.page_url)
    viewer.page.evaluate("document.body.innerHTML = '<img src=x onerror=alert(1)><script>alert(2)</script>'")
    elsewhere = "fetch('http://192.0.2.1/').then(() => 'went out', (error) => error.name)"
    assert viewer.page.evaluate(elsewhere) == "TypeError"
    assert viewer.dialogs == []
    assert any("Content Security Policy" in complaint for complaint in viewer.complaints)


def test_the_start_page_leads_to_the_stream_that_was_typed(server, viewer):
    base = server.page_url.removesuffix("live/")
    viewer.page.goto(base)
    for typed in ("-i", "a/b", "<b>"):
        viewer.page.fill("#stream", typed)
        viewer.page.keyboard.press("Enter")
        assert viewer.page.url == base
    viewer.page.fill("#stream", "live")
    viewer.page.keyboard.press("Enter")
    viewer.page.wait_for_url(server.page_url)
    assert viewer.page.text_content("h1") == "live"
    viewer.assert_kept_to(base)


def test_every_figure_is_explained(server, viewer):
    viewer.page.goto(server.page_url)
    _, table = (ROOT / "docs" / "player.md").read_text(encoding="utf-8").split("| figure | meaning |")
    cells = " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    explained = re.findall(r"`(\w+)`", cells)
    assert sorted(explained) == sorted(viewer.figures())
