"""A tiny real measurement, end to end: processes, video, a bundle, and the profile and replay made from it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from small_measurement import CASE, LADDER, choice, small_plan
from typer.testing import CliRunner

from pipeline.measure import depths, load_run, measurement, session
from pipeline.measure.child import Child
from pipeline.measure.host import cpu_times
from pipeline.measure.load_run import run_load, stream_name
from pipeline.measure.measurement import measure
from pipeline.measure.rows import Labels, rows_of
from pipeline.measure.server import ServerConfig
from scenarios.errors import EncoderUnavailable, NotReady
from sim.calibration import n_max_search
from sim.calibration.cores import Scheduling
from sim.calibration.fit import fit
from sim.calibration.replay import replay
from sim.calibration.tables import read_bundle

PLAN = small_plan(case=replace(CASE, content="screen"))


@pytest.fixture(scope="module")
def cache(clip_cache):
    return clip_cache / "headroom"


@pytest.fixture(scope="module")
def measured(tmp_path_factory, cache):
    """A bundle of two loads, what was said meanwhile, how often progress was told, and what each load gave."""
    said, progress, loads = [], [], []

    def kept(*arguments, **options):
        loads.append(run_load(*arguments, **options))
        return loads[-1]

    out = tmp_path_factory.mktemp("out") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache.parent))
        patch.setattr(session, "run_load", kept)
        measure(
            out,
            plan=PLAN,
            choice=choice("auto"),
            say=said.append,
            progress=lambda elapsed_s, doing: progress.append((elapsed_s, doing)),
        )
    return out, said, progress, loads


@pytest.fixture(scope="module")
def bundle(measured):
    return read_bundle(measured[0])


def test_the_bundle_describes_the_measurement(bundle):
    meta = bundle.meta
    assert meta.encoders.keys() == {"ultrafast"}
    encoder = meta.encoders["ultrafast"]
    assert encoder.backend == "x264"
    assert encoder.options["tune"] == "zerolatency"
    assert encoder.options["180p30.maxrate"] == "300000"
    assert meta.content[0].frames == 300
    assert meta.content[0].name.startswith("screen-320x180p30-400k")
    assert bundle.ladder == LADDER
    assert bundle.runs["concurrent_streams"].tolist()[0] == 1
    assert set(bundle.runs["ladder"]) == {"ladder"}
    assert bundle.runs["reference_cpu_s"].between(0.05, 10.0).all()


def test_budget_and_results_were_told(measured):
    _, said, progress, _ = measured
    assert said[1].startswith("encoder x264")
    assert said[0].startswith("budget 60 s, about 34 s expected: loads of 4 segments of 1 s")
    assert said[2].startswith("N = 1: ")
    assert progress[0] == (0.0, "making the source clips")
    doing = f"{PLAN.series[0].case.label}, N = 1"
    assert any(told == doing and 0 < elapsed_s < 60 for elapsed_s, told in progress)


def test_every_frame_has_its_moments_in_order(bundle):
    frames = bundle.frames.dropna(subset=["decoded_s"])
    assert len(frames) == len(bundle.frames) > 150
    moments = frames[["scheduled_s", "sent_s", "arrival_s", "decoded_s"]].to_numpy()
    assert (np.diff(moments, axis=1) >= 0).all()
    rungs = bundle.rungs.merge(frames, on=["run", "stream", "frame"])
    assert (rungs["encoded_s"] > rungs["decoded_s"]).all()
    assert (rungs["muxed_s"] > rungs["encoded_s"]).all()
    assert (rungs[["decode_cpu_s", "encode_cpu_s", "mux_cpu_s"]] > 0).all().all()


def test_a_rung_of_half_the_rate_has_half_the_frames(bundle):
    counts = bundle.rungs[bundle.rungs["run"] == 0].groupby("rung").size()
    assert counts["180p30"] / counts["90p15"] == pytest.approx(2.0, rel=0.03)


def test_segments_open_together_last_a_second_and_close_after_their_closing_frame(bundle):
    closed = bundle.segments.dropna(subset=["closing_arrival_s"])
    assert (closed["closed_s"] >= closed["closing_arrival_s"]).all()
    assert closed["duration_s"].to_numpy() == pytest.approx(1.0, abs=0.002)
    by_segment = closed.groupby(["run", "stream", "segment"])
    assert (by_segment["closing_arrival_s"].nunique() == 1).all()
    kept = closed[~closed["warm_up"] & (closed["run"] == 0)]
    assert len(kept) == 2 * PLAN.segments
    firsts = bundle.streams["first_segment_s"] - bundle.streams["publish_accepted_s"]
    assert firsts.between(1.0, 4.0).all()


def test_cpu_of_the_process_covers_its_stages(bundle):
    for run in bundle.runs.itertuples():
        assert run.media_s == pytest.approx(run.concurrent_streams * run.wall_s, rel=0.05)
        window = bundle.frames[bundle.frames["run"] == run.run]
        window = window[
            window["arrival_s"] >= bundle.segments.loc[~bundle.segments["warm_up"], "first_arrival_s"].min()
        ]
        assert run.server_cpu_s > run.ingest_cpu_s + 0.8 * window["decode_cpu_s"].sum()
        assert run.server_cpu_s < 2 * run.wall_s
        assert 1e7 < run.rss_bytes < 1e9


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_loop_closes_on_real_measurements(measured, bundle, whole, monkeypatch):
    """Short of the scheduler's fit and of the search for the largest load, of streams of which a node holds so many."""
    known = None if whole else Scheduling(0.5, 0.004, 0.0002)
    if not whole:
        monkeypatch.setattr(n_max_search, "predicted_n_max", lambda holds, naive: naive)
    valid = bundle.runs[bundle.runs["verdict"] != "void"]
    if set(valid["concurrent_streams"]) != {1, 2} or (valid["verdict"] != "holds").any():
        pytest.fail(f"the machine is too busy for two tiny streams: {bundle.runs['void_reason'].tolist()}")
    profile = fit([measured[0]], name="tiny", draws=50, node_cores=(2,), scheduling=known)
    assert 0 < profile.coefficient("encode_cpu_s_per_pixel").middle < 0.02 / (320 * 180)
    result = replay(measured[0], profile)
    cpu = result.metrics[(result.metrics["metric"] == "cpu") & (result.metrics["load"] == 1)].iloc[0]
    assert abs(cpu["error"]) < 0.25
    assert result.segments["predicted_s"].notna().any()


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken, Child("pipeline.measure.server") as server:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = ServerConfig(LADDER.model_dump(mode="json"), "x264", "ultrafast", {}, taken.getsockname()[1])
        server.tell(asdict(config))
        with pytest.raises(NotReady, match="is in use"):
            server.hear(30.0)


def test_a_child_that_fails_shows_its_traceback():
    with Child("pipeline.measure.server") as server:
        server.tell({"nonsense": 1})
        with pytest.raises(RuntimeError, match="nonsense"):
            server.hear(30.0)


def test_a_child_that_does_not_answer_is_ended():
    with Child("pipeline.measure.server") as server:
        started_s = time.monotonic()
        with pytest.raises(NotReady, match="did not answer in time"):
            server.hear(0.5)
    assert time.monotonic() - started_s < 5


@pytest.fixture(scope="module")
def raw(measured):
    """What one stream gave."""
    return measured[3][0]


def judged(raw):
    return rows_of(raw, Labels(0, "ladder", "clip", "ultrafast", 0), fps=30.0, segment_s=1.0)


def changed(raw, **stream):
    data = json.loads(json.dumps(raw.generator))
    data["streams"][0] |= stream
    return type(raw)(**{**raw.__dict__, "generator": data})


def test_a_late_generator_voids_the_run(raw):
    assert judged(raw)[1].verdict != "void"
    delays = raw.generator["streams"][0]["own_delay_s"]
    late = changed(raw, own_delay_s=[0.2] * len(delays))
    rows, verdict = judged(late)
    assert verdict.verdict == rows["runs"][0]["verdict"] == "void"
    assert "more than 50 ms late" in rows["runs"][0]["void_reason"]
    assert rows["frames"]  # kept, marked, never averaged in


def test_a_stream_that_was_cut_off_voids_the_run(raw):
    assert "ended early" in judged(changed(raw, error="ended early"))[1].void_reason


def test_frames_that_were_never_decoded_are_null_and_overload(raw):
    server = json.loads(json.dumps(raw.server))
    marks = server["marks"]
    lost = marks["decodes"].pop()[1]
    inside = [m for m in marks["frames"] if raw.schedule.window_start_s < m[5] < raw.schedule.window_end_s]
    gone = inside[5][1]
    marks["decodes"] = [mark for mark in marks["decodes"] if mark[1] != gone]
    marks["drops"] = [[stream_name(0), gone]]
    rows, verdict = judged(type(raw)(**{**raw.__dict__, "server": server}))
    assert verdict.verdict == "overloaded"
    assert rows["frames"][gone]["decoded_s"] is None
    assert rows["frames"][lost]["decode_cpu_s"] is None
    assert rows["runs"][0]["dropped_frames"] == rows["streams"][0]["dropped_frames"] == 1


def test_all_void_is_not_ready_and_writes_nothing(raw, tmp_path, cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    monkeypatch.setattr(session, "run_load", lambda *args, **kwargs: changed(raw, error="RtmpError: hung up"))
    with pytest.raises(NotReady, match=r"every run was void .*hung up.*measure again"):
        measure(tmp_path / "bundle", plan=small_plan(loads=(1,)), choice=choice())
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_nothing_is_started(tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "av" else found(name))
    with pytest.raises(NotReady, match=r"PyAV is not installed; pip install 'headroom\[pipeline\]'"):
        measure(tmp_path / "bundle", plan=small_plan(loads=(1,)), choice=choice())


def test_an_encoder_that_cannot_run_is_refused(tmp_path):
    with pytest.raises(EncoderUnavailable, match="cannot be measured"):
        measure(tmp_path / "bundle", plan=small_plan(), choice=choice("ffmpeg"))


def test_the_verb_measures_a_scenarios_own_ladder(tmp_path, monkeypatch):
    from pipeline.cli import app
    from scenarios import load_scenario

    asked = {}

    def took(out, *, plan, **options):
        asked.update(plan=plan)
        return measurement.Measured(out, lacking)

    monkeypatch.setattr(measurement, "measure", took)
    file = Path(__file__).parents[2] / "scenarios" / "library" / "baseline.yaml"
    lacking = ()
    arguments = ["measure", str(file), "--content", "game", "--out", str(tmp_path / "bundle")]
    done = CliRunner().invoke(app, [*arguments, "--quick", "--encoder", "x264", "--preset", "veryfast"])
    assert done.exit_code == 0, done.output
    (series,) = asked["plan"].series
    assert series.case.ladder == load_scenario(file).ladder
    assert (asked["plan"].depth, series.case.content, series.case.preset) == ("quick", "game", "veryfast")
    lacking = ("N = 3",)
    done = CliRunner().invoke(app, arguments)
    assert asked["plan"].depth == "default"
    assert done.exit_code == 3
    assert "lacking: N = 3" in done.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--quick", "--full"), "--quick and --full are two depths"),
        (("--holdout", "--preset", "fast"), "--preset cannot be chosen with --holdout"),
        (("--holdout", "--content", "screen"), "--content cannot be chosen with --holdout"),
    ],
)
def test_depths_and_options_that_exclude_each_other_are_refused(tmp_path, options, told):
    from pipeline.cli import app

    done = CliRunner().invoke(app, ["measure", "--out", str(tmp_path / "bundle"), *options])
    assert done.exit_code == 2
    assert told in done.output


def test_a_preset_that_x264_does_not_have_is_refused():
    with pytest.raises(EncoderUnavailable, match="x264 has no preset 'slowest'"):
        depths.planned("quick", file=None, preset="slowest", content="camera", encoder="x264")


def test_measuring_needs_no_pandas():
    modules = "pipeline.measure.depths, pipeline.measure.holdout"
    code = f"import sys, {modules}; sys.exit(bool({{'pandas', 'scipy', 'simpy'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def frozen(tmp_path_factory, cache):
    """A bundle of one load whose server stood still for three and a half seconds of its window of six."""
    children: dict[str, Child] = {}
    later: list[threading.Timer] = []

    def remembered(name):
        children[name] = Child(name)
        return children[name]

    def window_edge():
        if not later:
            pid = children["pipeline.measure.server"].pid
            later.extend(
                threading.Timer(after_s, os.kill, (pid, sent))
                for after_s, sent in ((1.0, signal.SIGSTOP), (4.5, signal.SIGCONT))
            )
            for timer in later:
                timer.start()
        return cpu_times()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache.parent))
        patch.setattr(load_run, "Child", remembered)
        patch.setattr(load_run, "cpu_times", window_edge)
        out = tmp_path_factory.mktemp("frozen") / "bundle"
        return read_bundle(measure(out, plan=small_plan(loads=(1,), segments=6), choice=choice()).folder)


def test_a_server_that_was_frozen_shows_its_freeze_and_voids_nothing(frozen):
    """No coordinated omission: what was due while the server stood still is as late as it would be for a viewer."""
    assert frozen.runs["void_reason"].isna().all()
    rungs = frozen.rungs[frozen.rungs["rung"] == "180p30"].merge(frozen.frames, on=["run", "stream", "frame"])
    window = rungs[rungs["scheduled_s"].between(2.1, 8.1)]
    latency_s = window["muxed_s"] - window["scheduled_s"]
    assert len(window) == pytest.approx(180, abs=2)
    assert latency_s.max() >= 3.0
    assert latency_s.quantile(0.99) >= 3.0
    assert latency_s.quantile(0.2) < 1.0
