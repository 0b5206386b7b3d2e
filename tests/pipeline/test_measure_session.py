"""What becomes of runs that go wrong: kept, void with a reason, tried again, and the bundle written all the same."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from planted_run import plant, planted_run
from small_measurement import CASE, choice, small_plan

from pipeline.ladders import x264
from pipeline.measure import lock, plan, session
from pipeline.measure.accepted import PRESETS, refused_options
from pipeline.measure.lock import measuring_alone
from pipeline.measure.measurement import measure
from pipeline.measure.plan import Series
from pipeline.measure.progress import ended_gently
from pipeline.serve import BUILT_IN_LADDER
from scenarios.errors import NotReady
from sim.calibration.tables import read_bundle, valid_runs


@pytest.fixture(autouse=True)
def no_pause(monkeypatch, clip_cache):
    monkeypatch.setattr(session, "PAUSE_S", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(clip_cache))


@pytest.fixture
def runs(monkeypatch):
    """Loads that were asked for, and a list of what happens to the next ones: options, or an error to raise."""
    asked, faults = [], []

    def run(streams, **options):
        asked.append(streams)
        fault = faults.pop(0) if faults else {}
        if isinstance(fault, BaseException):
            raise fault
        return planted_run(streams, **options, **fault)

    plant(monkeypatch, run)
    return asked, faults


def measured(tmp_path, **of_plan):
    said = []
    done = measure(tmp_path / "bundle", plan=small_plan(**of_plan), choice=choice(), say=said.append)
    return done, read_bundle(done.folder), said


def test_a_searched_case_is_bracketed_and_its_last_pass_run_three_times(tmp_path, runs):
    searched = small_plan(series=(Series(CASE),), contention_voids=True, budget_s=600.0)
    done = measure(tmp_path / "bundle", plan=searched, choice=choice())
    assert runs[0] == [1, 2, 4, 6, 5, 4, 1, 4]
    table = read_bundle(done.folder).runs
    assert table["repeat"].tolist() == [0, 0, 0, 0, 0, 1, 1, 2]
    assert table["verdict"].tolist() == ["holds"] * 3 + ["overloaded"] * 2 + ["holds"] * 3
    assert done.lacking == ()


def test_series_take_turns_with_their_repeats(tmp_path, runs):
    other = replace(CASE, preset="superfast")
    both = small_plan(series=tuple(Series(case, loads=(1,), repeats=3) for case in (CASE, other)))
    bundle = read_bundle(measure(tmp_path / "bundle", plan=both, choice=choice()).folder)
    assert bundle.runs["preset"].tolist() == ["ultrafast", "superfast"] * 3
    assert bundle.runs["repeat"].tolist() == [0, 0, 1, 1, 2, 2]
    assert bundle.meta.encoders["superfast"].options["preset"] == "superfast"


def test_what_a_run_says_of_itself_is_in_its_row(tmp_path, runs):
    aligned = replace(CASE, start="aligned", tone=True)
    _, bundle, _ = measured(tmp_path, case=aligned, loads=(2,))
    run = bundle.runs.iloc[0]
    assert (run["start"], run["preset"], run["ladder"]) == ("aligned", "ultrafast", "ladder")
    assert run["clip"] == bundle.meta.content[0].name
    assert "-tone-" in run["clip"]
    assert run["demux_cpu_s"] == pytest.approx(0.02)
    assert run["idle_rss_bytes"] == 5e7
    assert bundle.runs["audio_cpu_s"].isna().all()
    first_s = bundle.frames.groupby("stream")["scheduled_s"].min()
    assert first_s[0] == pytest.approx(first_s[1])
    by = ["run", "stream", "rung", "frame"]
    assert bundle.rungs[by].apply(tuple, axis=1).is_monotonic_increasing
    assert bundle.frames[["run", "stream", "frame"]].apply(tuple, axis=1).is_monotonic_increasing


def test_a_contended_run_is_void_and_run_again_and_only_marked_where_the_plan_says_so(tmp_path, runs):
    runs[1].extend([{"contention": 0.3}, {}])
    done, bundle, _ = measured(tmp_path, loads=(1,), contention_voids=True)
    assert bundle.runs["verdict"].tolist() == ["void", "holds"]
    assert bundle.runs["void_reason"][0] == "30% of the machine's CPU went to other programs or machines"
    assert bundle.runs["repeat"].tolist() == [0, 1]
    assert not bundle.meta.contended
    assert done.lacking == ()
    (tmp_path / "marked").mkdir()
    runs[1].append({"contention": 0.3})
    _, bundle, said = measured(tmp_path / "marked", loads=(1,))
    assert bundle.runs["verdict"].tolist() == ["holds"]
    assert bundle.meta.contended
    assert "30% of the machine went elsewhere" in said[-1]


def test_a_late_generator_is_never_averaged_in_and_a_load_that_never_stands_is_told(tmp_path, runs):
    runs[1].extend([{}, *[{"late_s": 0.2}] * 3])
    done, bundle, _ = measured(tmp_path, loads=(1, 2))
    assert runs[0] == [1, 2, 2, 2]
    assert bundle.runs["verdict"].tolist() == ["holds", "void", "void", "void"]
    assert bundle.runs["void_reason"].str.contains("more than 50 ms late").sum() == 3
    assert valid_runs(bundle)["concurrent_streams"].tolist() == [1]
    assert done.lacking == (f"{CASE.label}, N = 2",)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("pipeline.measure.server ended with code -11:\nSegmentation fault"), "Segmentation fault"),
        (NotReady("pipeline.measure.server did not answer in time"), "did not answer in time"),
    ],
)
def test_a_process_that_dies_voids_its_run_which_is_run_again(tmp_path, runs, fault, reason):
    runs[1].extend([{}, fault])
    done, bundle, _ = measured(tmp_path, loads=(1, 2))
    assert bundle.runs["verdict"].tolist() == ["holds", "void", "holds"]
    assert bundle.runs["void_reason"][1] == f"cut short: {reason}" or reason in bundle.runs["void_reason"][1]
    assert bundle.runs.loc[1, ["wall_s", "server_cpu_s", "backlog_slope"]].isna().all()
    assert set(bundle.frames["run"]) == {0, 2}
    assert done.lacking == ()


def test_an_interrupted_measurement_writes_what_stands(tmp_path, runs):
    runs[1].extend([{}, KeyboardInterrupt()])
    done, bundle, _ = measured(tmp_path, loads=(1, 2, 3))
    assert bundle.runs["verdict"].tolist() == ["holds", "void"]
    assert bundle.runs["void_reason"][1] == "cut short: interrupted"
    assert done.lacking == (f"{CASE.label}, N = 2", "the rest of the plan: interrupted")


def test_the_end_of_a_service_interrupts_as_the_keyboard_does(tmp_path, monkeypatch):
    def run(streams, **options):
        if streams == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return planted_run(streams, **options)

    plant(monkeypatch, run)
    with ended_gently():
        done, bundle, _ = measured(tmp_path, loads=(1, 2, 3))
    assert bundle.runs["void_reason"][1] == "cut short: interrupted"
    assert done.lacking[-1] == "the rest of the plan: interrupted"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_probes_that_fail_are_told_and_cost_no_load(tmp_path, runs, monkeypatch):
    def dies(**options):
        raise RuntimeError("the probe ended with code 1:\nTraceback\nOSError: no room")

    monkeypatch.setattr(session, "run_probes", dies)
    done, bundle, _ = measured(tmp_path, loads=(1,), probes_s=1.0)
    assert bundle.runs["verdict"].tolist() == ["holds"]
    assert done.lacking == ("origin, authorisation and restarts (OSError: no room)",)


def test_an_interruption_before_anything_stands_writes_nothing(tmp_path, runs):
    runs[1].append(KeyboardInterrupt())
    with pytest.raises(NotReady, match="interrupted"):
        measured(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_is_spent_ends_the_measurement(tmp_path, runs):
    with pytest.raises(NotReady, match="5 s is too short for one load"):
        measured(tmp_path, budget_s=5.0)
    assert runs[0] == []


def test_an_option_that_x264_took_otherwise_voids_every_run_of_it(tmp_path, runs, monkeypatch):
    asked = x264.x264_options
    monkeypatch.setattr(x264, "x264_options", lambda rung, *, preset: asked(rung, preset=preset) | {"bf": "2"})
    assert "it keeps pictures back" in refused_options(backend="x264", preset="ultrafast", ladder=CASE.ladder)
    monkeypatch.setattr(x264, "x264_options", lambda rung, *, preset: asked(rung, preset=preset) | {"g": "250"})
    reason = "x264 took other options than asked: keyint=250 instead of 100000 for rung 180p30 with preset ultrafast"
    assert refused_options(backend="x264", preset="ultrafast", ladder=CASE.ladder) == reason
    with pytest.raises(NotReady, match=f"every run was void .{reason}"):
        measured(tmp_path)
    assert runs[0] == [1]  # no repetition would change it


@pytest.mark.parametrize("preset", PRESETS)
def test_what_x264_tells_of_each_preset_is_what_was_asked_and_another_preset_is_not(preset, monkeypatch):
    assert refused_options(backend="x264", preset=preset, ladder=BUILT_IN_LADDER) is None
    other = "medium" if preset != "medium" else "fast"
    asked = x264.x264_options
    monkeypatch.setattr(x264, "x264_options", lambda rung, *, preset: asked(rung, preset=other))
    assert "instead of" in refused_options(backend="x264", preset=preset, ladder=BUILT_IN_LADDER)
    assert set(PRESETS) == set(x264.PRESETS)


def test_a_second_measurement_waits_for_the_load_of_the_first_and_says_so(tmp_path, runs):
    path = lock.cache_folder() / lock.LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.open("a+")
    fcntl.flock(holder, fcntl.LOCK_EX)
    freed = threading.Timer(1.0, holder.close)
    started_s = time.monotonic()
    freed.start()
    done, _, said = measured(tmp_path, loads=(1,))
    assert time.monotonic() - started_s > 1.0
    assert any("waiting for the load of another measurement, process" in line for line in said)
    assert done.lacking == ()


def test_who_waits_in_vain_is_told_and_leaves_the_lock_alone():
    with measuring_alone(say=print):
        second = measuring_alone(say=print, patience_s=0.2)
        with pytest.raises(NotReady, match="has been measuring for 0 s"):
            second.__enter__()
    with measuring_alone(say=print, patience_s=0.2) as waited_s:
        assert waited_s < 0.2


def test_a_pause_lies_between_two_runs():
    assert plan.PAUSE_S >= 0.5
