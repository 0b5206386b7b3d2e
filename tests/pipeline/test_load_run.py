"""`headroom load` end to end: processes, video and viewers; a generator that lags voids it, a frozen server shows."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.load.sessions import SESSION_LAWS
from pipeline.measure import load_test
from pipeline.measure.child import Child
from pipeline.measure.load_report import document, load_report, table
from pipeline.measure.load_test import LoadPlan, duration_s, run_load_test
from pipeline.options import Sessions
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Ladder, Rung, Source

ROOT = Path(__file__).parents[2]
SOURCE = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)
LADDER = Ladder(
    segment_s=1.0,
    rungs=(
        Rung(name="180p30", width=320, height=180, fps=30.0, bitrate_bps=300e3),
        Rung(name="180p15", width=320, height=180, fps=15.0, bitrate_bps=200e3),
    ),
)
SMALL = """\
extends: baseline
set:
  workload.source: {width: 320, height: 180, fps: 30, bitrate_bps: 400 kbit/s}
  workload.audience.rung_shares: {180p30: 0.6, 180p15: 0.4}
  ladder:
    segment_s: 1 s
    rungs:
      - {name: 180p30, width: 320, height: 180, fps: 30, bitrate_bps: 300 kbit/s}
      - {name: 180p15, width: 320, height: 180, fps: 15, bitrate_bps: 200 kbit/s}
"""


@pytest.fixture(autouse=True)
def cached(clip_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(clip_cache))


def test_the_command_offers_what_there_is():
    assert [law.value for law in Sessions] == list(SESSION_LAWS)


@pytest.mark.parametrize("seconds", ["5", pytest.param("60", marks=pytest.mark.long)])
def test_the_verb_prints_what_publishers_viewers_and_server_did(tmp_path, seconds):
    window_s = int(seconds)
    (tmp_path / "small.yaml").write_text(SMALL)
    arguments = [
        "load",
        "small.yaml",
        "--viewers",
        "5",
        "--seconds",
        seconds,
        "--content",
        "screen",
        "--audio",
        "--json",
    ]
    command = [sys.executable, "-c", "import headroom; headroom.main()", *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    told = json.loads(done.stdout)
    assert done.returncode == (told["void_reason"] is not None), done.stderr  # it is on a machine that is too busy
    assert told["glass_rung"] == "180p15"
    assert told["glass_saw_end"]
    glass = told["glass_to_glass"]
    assert window_s * 15 <= glass["pictures"] <= (window_s + 8) * 15
    assert (glass["lost"], glass["duplicated"], glass["unread"]) == (0, 0, 0)
    # A segment is a second long: its last picture waits for the next keyframe and a poll, its first a second more.
    assert 0.5 < told["latency"]["p50_s"] < told["latency"]["max_s"] < 10
    assert told["latency"]["count"] == pytest.approx(window_s * 15, abs=5)
    segments = told["requests"]["segment"]
    assert segments["sent"] == segments["ok"] + sum(segments["failed"].values()) + segments["in_flight"]
    assert segments["failed"] == {}
    assert 5 * (window_s - 2) < segments["ok"] < 5 * (window_s + 8)
    assert 5 * (window_s - 2) < told["requests"]["media playlist"]["ok"] < 10 * (window_s + 8)
    assert told["watching"]["sessions"] == 5
    assert told["watching"]["without_picture"] == 0
    assert 0.01 < told["server"]["cpu_s_per_stream_s"] < 1


def frozen_load(module: str, *, frozen_s: float, seconds: float, streams: int = 1):
    """A load in which one process stands still for a while from the second second of the window on."""
    children: dict[str, Child] = {}
    thawing: list[threading.Timer] = []

    def remembered(name: str) -> Child:
        children[name] = Child(name)
        return children[name]

    def freeze(elapsed_s: float, doing: str) -> None:
        if doing == "measuring" and not thawing:
            time.sleep(1.0)
            os.kill(children[module].pid, signal.SIGSTOP)
            thawing.append(threading.Timer(frozen_s, os.kill, (children[module].pid, signal.SIGCONT)))
            thawing[0].start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_test, "Child", remembered)
        plan = LoadPlan(streams, viewers=20, seconds=seconds)
        raw = run_load_test(plan, ladder=LADDER, source=SOURCE, progress=freeze)
    thawing[0].join()
    return raw


@pytest.fixture(scope="module")
def stood_still(clip_cache):
    """A load whose publishers were stopped for a second and a half of five, wherever in them that begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(clip_cache))
        return frozen_load("pipeline.load.publishers", frozen_s=1.5, seconds=5.0, streams=2)


def test_publishers_that_stood_still_void_the_run(stood_still):
    report = load_report(stood_still)
    assert re.fullmatch(r"the generator sent \d\d% of the frames more than 50 ms late", report.void_reason)
    assert report.publishers.late_fraction > 0.8 * 1.5 / 5.0


@pytest.mark.long
def test_viewers_that_stood_still_void_the_run():
    report = load_report(frozen_load("pipeline.load.viewers", frozen_s=1.5, seconds=5.0))
    assert "% of the polls more than 50 ms late" in report.void_reason


def test_a_server_that_was_frozen_for_three_seconds_shows_in_the_latency():
    """Polls fall due each second at least: what came due in the first second waited three more."""
    report = load_report(frozen_load("pipeline.measure.server", frozen_s=4.0, seconds=6.0))
    assert report.requests["media playlist"].latency.p99_s >= 3.0
    for generator in (report.publishers, report.viewers, report.glass):
        assert generator.late_fraction < 0.3  # 4 s of 6 would be more: they know that it was not they
    assert report.watching.stalls > 0


def test_the_table_says_what_the_document_says(stood_still):
    report = load_report(stood_still)
    text = table(report)
    for name in ("publishers", "viewers", "glass", "server", "segment", "watching", "glass to glass, 180p15", "errors"):
        assert f"\n{name} " in f"\n{text}"
    plain = json.loads(json.dumps(document(report)))
    assert f" {plain['requests']['segment']['sent']} sent = " in text
    assert f"{plain['glass_to_glass']['pictures']} pictures, 0 lost" in text


def test_a_void_run_is_printed_and_then_exits_with_its_reason(stood_still, monkeypatch):
    monkeypatch.setattr(load_test, "run_load_test", lambda plan, **options: stood_still)
    done = CliRunner().invoke(app, ["load"])
    assert isinstance(done.exception, NotReady)
    assert done.exception.exit_code == 1
    assert "the run is void: the generator sent" in str(done.exception)
    assert "publishers" in done.stdout


def test_a_stream_that_was_cut_off_voids_the_run_and_an_unseen_picture_is_told(stood_still):
    published = json.loads(json.dumps(stood_still.published))
    published["streams"][1]["error"] = "RtmpError: the server hung up"
    report = load_report(replace(stood_still, published=published, looked=stood_still.looked | {"pictures": []}))
    assert json.dumps(document(report), allow_nan=False)
    assert "cut off: RtmpError" in report.void_reason
    assert report.glass_to_glass is None
    assert "not known: none of 0 pictures" in table(report)


def test_a_rung_that_is_not_there_and_too_many_viewers_are_refused():
    with pytest.raises(CalibrationError, match="no rung '1080p60' to watch; it has 180p30, 180p15"):
        run_load_test(LoadPlan(1, 1, 1.0, shares={"1080p60": 1.0}), ladder=LADDER)
    with pytest.raises(NotReady, match="fewer --viewers"):
        run_load_test(LoadPlan(1, 10**9, 1.0), ladder=LADDER)


def test_how_long_a_load_takes_is_known_before():
    assert duration_s(LoadPlan(1, 1, 10.0), 2.0) == pytest.approx(0.2 + 8 + 2 + 10 + 0.5 + 2)
    assert duration_s(LoadPlan(11, 500, 10.0), 2.0) == pytest.approx(0.2 + 3.1 + 8 + 10 + 10 + 0.5 + 2)
