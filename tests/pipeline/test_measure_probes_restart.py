"""What killing an encoder process costs a stream, seen from outside; and all probes together as tables of a bundle."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import asdict
from functools import partial

import pyarrow
import pytest

from pipeline.load.clip import source_clip
from pipeline.load.publishers import PublisherReport, StreamReport
from pipeline.measure.child import Child
from pipeline.measure.probes import restart, session
from pipeline.measure.probes.authorisation import authorisation_rows
from pipeline.measure.probes.origin_cost import origin_rows
from pipeline.measure.probes.restart import restart_rows
from pipeline.measure.probes.restart_server import STREAM, RestartConfig
from pipeline.serve import publish_url
from scenarios.bundle import TABLES
from scenarios.errors import EncoderUnavailable, NotReady
from scenarios.ladder import Ladder, Rung, Source

SOURCE = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)
LADDER = Ladder(segment_s=1.0, rungs=(Rung(name="low", width=160, height=90, fps=15.0, bitrate_bps=100e3),))
SLOW_START_S = 2.5
SLOW_WORKERS = f"""\
import sys, time
if "pipeline.workers.child" in sys.orig_argv:
    time.sleep({SLOW_START_S})
"""


@pytest.fixture(scope="module")
def clip(clip_cache):
    return source_clip(SOURCE, folder=clip_cache / "headroom")


def probed(clip, *, ladder=LADDER, restarts=1, **options):
    return restart_rows(ladder=ladder, clip=clip, backend="x264", preset="ultrafast", restarts=restarts, **options)


def curl(url: str) -> str:
    return subprocess.run(["curl", "-s", "--max-time", "5", url], capture_output=True, text=True).stdout


@pytest.mark.requires_ffmpeg
def test_a_hole_in_what_ffmpeg_publishes_is_as_long_in_the_playlist_as_in_the_row():
    config = RestartConfig(LADDER.model_dump(mode="json"), "x264", "ultrafast", 1, 1.0)
    with Child(restart.MODULE) as server:
        server.tell(asdict(config))
        place = server.hear(60.0)
        url = publish_url("127.0.0.1", place["port"], place["key"])
        picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30"]
        codec = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-keyint_min", "30", "-sc_threshold", "0"]
        with subprocess.Popen(["ffmpeg", "-v", "quiet", *picture, *codec, "-t", "90", "-f", "flv", url]) as ffmpeg:
            (mark,) = server.hear(60.0)["restarts"]
            playlist = playlist_with_discontinuity(f"http://127.0.0.1:{place['http_port']}/{STREAM}/low/index.m3u8")
            ffmpeg.kill()
    before, after = playlist.split("#EXT-X-DISCONTINUITY\n")
    # The last segment before the hole is cut short by it: its length and what is missing make whole seconds.
    shown_s = sum(float(length) for length in re.findall(r"#EXTINF:([\d.]+)", before)[-1:])
    hole_s = shown_s + mark["gap_s"] - 1 / 15
    assert hole_s == pytest.approx(round(hole_s), abs=0.1), (shown_s, mark)
    assert 0 < mark["gap_s"] < mark["outage_s"] + 0.5
    assert mark["gap_segments"] == pytest.approx(mark["gap_s"] / LADDER.segment_s)
    assert "#EXTINF" in after


def playlist_with_discontinuity(url: str) -> str:
    for _ in range(100):
        playlist = curl(url)
        if "#EXT-X-DISCONTINUITY\n" in playlist:
            return playlist
        time.sleep(0.1)
    pytest.fail(f"no discontinuity in:\n{playlist}")


def test_a_worker_that_starts_slowly_is_out_for_longer(clip, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SLOW_WORKERS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (row,) = probed(clip)
    assert row.keys() == set(TABLES["restarts"])
    assert row["outage_s"] > SLOW_START_S
    # It goes on at the keyframe after its death all the same, which had waited for the worker.
    assert clip.content.gop_s / 2 - 0.3 < row["gap_s"] < SLOW_START_S
    assert "SIGKILL" in row["cause"]


def test_a_stream_that_is_cut_off_ends_the_probe_at_once(clip, monkeypatch):
    async def cut_off(config):
        return PublisherReport([StreamReport(error="OSError: gone")], 0.0)

    monkeypatch.setattr(restart, "publish", cut_off)
    began_s = time.monotonic()
    with pytest.raises(NotReady, match=r"cut off \(OSError: gone\); measure again"):
        probed(clip)
    assert time.monotonic() - began_s < 20


def test_a_ladder_that_the_backend_cannot_encode_is_told(clip):
    rungs = (LADDER.rungs[0].model_copy(update={"codec": "hevc"}),)
    with pytest.raises(EncoderUnavailable, match="hevc"):
        probed(clip, ladder=Ladder(segment_s=1.0, rungs=rungs))


def test_all_probes_together_are_three_tables_of_a_bundle(clip, monkeypatch):
    small = partial(origin_rows, segments={40_000: 20, 900_000: 20}, playlist_requests=20, repeats=1)
    monkeypatch.setattr(session, "origin_rows", small)
    monkeypatch.setattr(session, "authorisation_rows", partial(authorisation_rows, calls=3))
    monkeypatch.setattr(session, "restart_rows", partial(restart_rows, restarts=2))
    said, ticks = [], []
    tables = session.run_probes(
        ladder=LADDER, clip=clip, backend="x264", preset="ultrafast", tick=lambda: ticks.append(1), say=said.append
    )
    assert {name: len(rows) for name, rows in tables.items()} == {"origin": 6, "authorisations": 6, "restarts": 2}
    for name, rows in tables.items():
        kinds = {column: pyarrow.type_for_alias(kind) for column, kind in TABLES[name].items()}
        table = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(kinds))
        unknown = {column for column in kinds if table[column].null_count}
        assert unknown == ({"callback_s"} if name == "authorisations" else set())
        assert all(row.keys() == kinds.keys() for row in rows)
    assert re.fullmatch(r"origin: without TLS \d+ µs a playlist, [\d.]+ ns a byte; with TLS .* a byte", said[0])
    assert re.fullmatch(r"publisher accepted in [\d.]+ ms with a callback, [\d.]+ ms without", said[1])
    assert re.fullmatch(r"encoder process killed 2 times: frames again after [\d.]+ s, [\d.]+ s", said[2])
    assert len(ticks) > 20


@pytest.mark.long
def test_all_probes_in_full_keep_to_their_budget(clip):
    began_s = time.monotonic()
    session.run_probes(ladder=LADDER, clip=clip, backend="x264", preset="ultrafast")
    assert time.monotonic() - began_s < session.PROBES_S
