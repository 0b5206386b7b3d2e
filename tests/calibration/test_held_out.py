"""The held-out table: made from a replay, carried by the profile, told by `run`, caught by it what is wrong."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
from synthetic_held_out import LADDERS, PROTOCOL, SOURCE, Series, true_profile, write_runs
from typer.testing import CliRunner

from benchmarks import fidelity
from headroom import application
from scenarios import load_profile
from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from sim.calibration import n_max_search
from sim.calibration.held_out import held_out_table, with_held_out
from sim.calibration.profile_file import write_profile
from sim.calibration.replay import ReplayResult, replay
from sim.calibration.verdicts import rivals, summary
from sim.held_out_text import held_out_text, nearest_ladder

HELD_OUT = [
    Series("single", {1: 1, 2: 6, 5: 6, 7: 2, 8: 2}),
    Series("chief", {2: 6}, clip="game"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("bundles") / "held-out", HELD_OUT, identity="held-out", segments=7)


@pytest.fixture(scope="module")
def result(folder):
    return replay(folder, true_profile())


@pytest.fixture(scope="module")
def carrying(result):
    return with_held_out(true_profile(), result)


def by_figure(profile: Profile):
    assert profile.held_out is not None
    return {figure.figure: figure for figure in profile.held_out.figures}


def test_who_knows_the_coefficients_meets_every_target(carrying):
    figures = by_figure(carrying)
    for name in ("segment_publish_mean", "frame_p95", "cpu"):
        assert figures[name].verdict == "met"
        assert 0 < figures[name].noise_floor < 0.1
        assert figures[name].loads == 3  # the single run of the search is none of them
        assert figures[name].error <= figures[name].worst
    assert figures["startup"].verdict is None
    assert "segment_publish_p99" not in figures  # too few segments
    assert figures["n_max"].verdict == "met"
    assert figures["n_max"].loads == 1


@pytest.mark.parametrize(("coefficient", "factor"), [("encode_cpu_s_per", 0.8), ("decode_cpu_s_per", 1.2)])
def test_a_coefficient_wrong_by_a_fifth_is_caught(folder, coefficient, factor, monkeypatch):
    monkeypatch.setattr(n_max_search, "predicted_n_max", lambda holds, naive: naive)  # it is not what is looked at
    wrong = true_profile(wrong={coefficient: factor})
    assert by_figure(with_held_out(wrong, replay(folder, wrong)))["cpu"].verdict == "missed"


def test_the_table_says_what_it_rests_on_and_reads_back(carrying, tmp_path):
    table = carrying.held_out
    assert table.bundles == ("held-out",)
    assert table.protocol_sha256 == PROTOCOL
    assert table.repeats == 6
    assert {(ladder.ladder, ladder.clip) for ladder in table.ladders} == {("chief", "game"), ("single", "camera")}
    game, single = table.ladders
    assert game.n_max is None
    assert (single.n_max.measured, single.n_max.predicted) == (7, 7)
    assert single.cpu.verdict == game.cpu.verdict == "met"
    assert single.rungs == ("512x288@10",)
    write_profile(carrying, tmp_path / "p.yaml")
    assert load_profile(str(tmp_path / "p.yaml")).held_out == table


def test_near_capacity_the_better_one_is_adopted(result):
    best = result.rivals(in_sample=False).set_index("metric")
    assert best.loc["segment_publish_mean", "adopted"] == "model"
    assert best.loc["segment_publish_mean", "beaten"]
    assert best.loc["segment_publish_mean", "as_at_one"] > best.loc["segment_publish_mean", "model"]
    worse = result.metrics.assign(error=result.metrics["error"] + 0.5)
    best = rivals(worse).set_index("metric")
    assert best.loc["segment_publish_mean", "adopted"] in ("as_at_one", "mdc")
    assert not best.loc["segment_publish_mean", "beaten"]


def test_what_no_protocol_held_out_is_not_called_so(result):
    assert "Held out, all loads up to 0.8 of N_max" in str(result)
    other = dataclasses.replace(
        result, bundles=tuple(meta.model_copy(update={"depth": "quick"}) for meta in result.bundles)
    )
    assert "Not fitted, all loads up to 0.8 of N_max" in str(other)
    assert "Held out" not in str(other)


def test_a_high_noise_floor_is_unresolved_however_small_the_error(result):
    noisy = summary(result.metrics.assign(noise_floor=0.26)).set_index("metric")
    assert set(noisy.loc[["segment_publish_mean", "frame_p95", "cpu", "n_max"], "verdict"]) == {"UNRESOLVED"}


def test_the_median_and_the_worst_are_over_loads_up_to_four_fifths(result):
    row = summary(result.metrics).set_index("metric").loc["cpu"]
    of_cpu = result.metrics[(result.metrics["metric"] == "cpu") & (result.metrics["repeats"] == 6)]
    assert sorted(zip(of_cpu["ladder"], of_cpu["load"], strict=True)) == [
        ("chief", 2),
        ("single", 2),
        ("single", 5),
    ]
    assert row["error"] == pytest.approx(np.median(of_cpu["error"].abs()))
    assert row["worst"] == pytest.approx(of_cpu["error"].abs().max())


def test_what_was_not_held_out_by_protocol_is_refused(result):
    def with_meta(**changes: object) -> ReplayResult:
        metas = tuple(meta.model_copy(update=changes) for meta in result.bundles)
        return ReplayResult(metas, ("in-sample",), "synthetic", 1, False, result.metrics, result.segments, ())

    with pytest.raises(CalibrationError, match="not measured by a protocol that was fixed before the fit"):
        held_out_table(with_meta(depth="full"), true_profile())
    with pytest.raises(CalibrationError, match="fitted to every bundle of this replay"):
        held_out_table(with_meta(identity="in-sample"), true_profile())
    other = result.bundles[0].machine.model_copy(update={"cpu_model": "Another CPU"})
    with pytest.raises(CalibrationError, match="measured on another machine"):
        held_out_table(with_meta(machine=other), true_profile())


def test_what_the_fit_has_seen_is_not_held_out_whatever_its_name(tmp_path):
    seen = write_runs(tmp_path / "seen", [Series("same", {1: 2})], identity="held-out", segments=4)
    with pytest.raises(
        CalibrationError, match="was fitted to chief of camera 640x360@10, which stands in the held-out"
    ):
        held_out_table(replay(seen, true_profile()), true_profile())


def test_run_tells_the_error_of_the_nearest_ladder(carrying):
    assert held_out_text(true_profile(), SOURCE, LADDERS["chief"]).startswith("not measured out of sample")
    text = held_out_text(carrying, SOURCE, LADDERS["chief"])
    assert "512x288@10 of 640x360@10" in text  # the one whose N_max was searched
    assert "7 predicted, 7 measured (target met" in text
    single = carrying.held_out.ladders[1]
    assert f"CPU per stream-second {single.cpu.error:.1%} off (noise floor" in text


def test_what_noise_hides_is_unresolved_in_the_answer(carrying):
    game, single = carrying.held_out.ladders
    hidden = single.model_copy(
        update={
            "cpu": single.cpu.model_copy(update={"verdict": "UNRESOLVED", "noise_floor": 0.3}),
            "n_max": single.n_max.model_copy(update={"verdict": "UNRESOLVED"}),
        }
    )
    table = carrying.held_out.model_copy(update={"ladders": (game, hidden)})
    text = held_out_text(carrying.model_copy(update={"held_out": table}), SOURCE, LADDERS["single"])
    assert "CPU per stream-second UNRESOLVED (noise floor 30.0%); N_max UNRESOLVED" in text


def test_nearest_is_by_the_ratio_of_cpu_per_stream_second(carrying):
    single = carrying.held_out.ladders[1]
    far = single.model_copy(update={"ladder": "far", "cpu_s_per_stream_s": 10 * single.cpu_s_per_stream_s})
    table = carrying.held_out.model_copy(update={"ladders": (single, far)})
    assert nearest_ladder(table, 3.0 * single.cpu_s_per_stream_s).ladder == "single"
    assert nearest_ladder(table, 3.3 * single.cpu_s_per_stream_s).ladder == "far"


def test_the_verb_writes_the_table_into_a_profile_on_several_processes(folder, carrying, tmp_path):
    write_profile(true_profile(), tmp_path / "synthetic.yaml")
    out = tmp_path / "with_table.yaml"
    asked = ["replay", str(folder), "--profile", str(tmp_path / "synthetic.yaml"), "--workers", "2", "--out", str(out)]
    done = CliRunner().invoke(application(), [*asked, "--json"])
    assert done.exit_code == 0, done.output
    assert load_profile(str(out)).held_out == carrying.held_out
    assert {row["metric"] for row in json.loads(done.stdout)["held_out"]} >= {"cpu", "n_max"}


def test_the_benchmark_prints_the_agreed_keys(carrying, result):
    found = json.loads(json.dumps(fidelity.document(carrying, result, None, None)))
    for key in ("held_out", "noise_floor", "null_models"):
        assert {"segment_publish_mean", "frame_p95", "segment_publish_p99", "n_max", "cpu"} <= found[key].keys()
        assert found[key]["segment_publish_p99"] is None  # too few segments
    assert found["repeats"] == 6
    assert found["held_out"]["cpu"] == pytest.approx(by_figure(carrying)["cpu"].error, rel=1e-3)
    assert found["null_models"]["n_max"] == pytest.approx(1 / 7)  # cores ÷ CPU says 6
    each = found["null_models_each"]["segment_publish_mean"]
    assert found["null_models"]["segment_publish_mean"] == min(each["as_at_one"], each["mdc"])
    assert found["verdicts"]["segment_publish_mean"] == "met"
    assert found["near_capacity"]
    assert found["cannot_know"]
    assert found["held_out_at_speed"] is None
    assert fidelity.document(carrying, result, result, None)["held_out_at_speed"] == found["held_out"]


def test_a_slower_day_is_told_and_predicted_where_its_speed_may_be_known(tmp_path):
    loads = [Series("single", {2: 2})]
    slow = write_runs(tmp_path / "slow", loads, identity="slow", slowness=1.2)
    plain, at_speed = (replay(slow, true_profile(), at_speed=known) for known in (False, True))
    errors = [result.summary(in_sample=False).set_index("metric")["error"]["cpu"] for result in (plain, at_speed)]
    assert errors[0] == pytest.approx(1 / 6, abs=0.03)
    assert errors[1] < 0.03
    assert any("took +20." in note or "took +19." in note for note in plain.notes)
    assert "at the speed of the day" in at_speed.table_text()
    with pytest.raises(CalibrationError, match="without --at-speed"):
        held_out_table(at_speed, true_profile())
    older = write_runs(tmp_path / "older", loads, identity="older", slowness=None)
    with pytest.raises(CalibrationError, match="bundle older does not say how fast its machine was"):
        replay(older, true_profile(), at_speed=True)
    assert not any("fixed job" in note for note in replay(older, true_profile()).notes)


def test_the_benchmark_fits_and_replays_the_committed_bundles_that_the_profile_names(
    folder, carrying, monkeypatch, capsys
):
    with pytest.raises(CalibrationError, match="carries no held-out table"):
        fidelity.committed(true_profile(), folder.parent)
    with pytest.raises(CalibrationError, match="no bundle in-sample, which profile synthetic rests on; commit it"):
        fidelity.committed(carrying, folder.parent)
    seen = write_runs(folder.parent / "seen", [Series("chief", {1: 2})], identity="in-sample", held_out=False)
    assert fidelity.committed(carrying, folder.parent) == ([seen], [folder])

    def refit(folders, *, name, workers):
        assert (folders, name, workers) == ([seen], "synthetic", 1)
        return true_profile()

    monkeypatch.setattr(fidelity, "BUNDLES", folder.parent)
    monkeypatch.setattr(fidelity, "load_profile", lambda name: carrying)
    monkeypatch.setattr(fidelity, "fit", refit)
    monkeypatch.setattr(sys, "argv", ["fidelity", "--json", "--workers", "1"])
    fidelity.main()
    found = json.loads(capsys.readouterr().out)
    assert found["fit_is_the_shipped_one"]
    assert found["held_out_table_is_the_shipped_one"]
    assert found["in_sample_bundles"] == ["in-sample"]
    assert found["in_sample"]["cpu"] < 0.05


def test_measuring_anew_runs_both_depths_keeps_what_is_there_and_tells_a_failure(tmp_path, monkeypatch):
    asked, codes = [], {"--full": 3, "--holdout": 1}

    def measure(command, **_):
        asked.append(command[3:])
        return subprocess.CompletedProcess(command, codes[command[4]])

    monkeypatch.setattr(fidelity.subprocess, "run", measure)
    with pytest.raises(subprocess.CalledProcessError):  # 3: some runs are void, the rest stand; 1: none stands
        fidelity.measured_anew(tmp_path)
    assert asked == [
        ["measure", "--full", "--out", str(tmp_path / "full")],
        ["measure", "--holdout", "--out", str(tmp_path / "holdout")],
    ]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "meta.json").write_text("{}")
    codes["--holdout"] = 0
    assert fidelity.measured_anew(tmp_path) == ([tmp_path / "full"], [tmp_path / "holdout"])
    assert asked[2:] == [["measure", "--holdout", "--out", str(tmp_path / "holdout")]]
