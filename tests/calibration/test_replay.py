"""A replay: what it predicts, beside what it judges itself by; and that it reads arrivals and configuration only."""

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from profiles import LADDER, SOURCE, profile
from scipy import stats
from synthetic_held_out import LADDERS, Series, scrambled, true_profile, write_runs
from synthetic_held_out import SOURCE as SENT
from test_node import FRAME_S, load

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from sim.calibration.arrivals import replicated
from sim.calibration.figures import FIGURES
from sim.calibration.n_max_search import majority, predicted_n_max
from sim.calibration.outcome import predicted
from sim.calibration.replay import replay
from sim.stream_cost import load_growth, needed, stream_cpu_s, utilisation


def test_prediction_has_the_profiles_mean_cost():
    arrivals = load(np.arange(1200) * FRAME_S, cores=2, ladder=LADDER)
    values = profile().middle()
    outcome = predicted(arrivals, values=values, seed=1)
    assert outcome.cpu_s_per_stream_s == pytest.approx(alone_cpu_s(values, SOURCE, LADDER), rel=0.02)
    assert outcome.holds


def alone_cpu_s(values: dict[str, float], source: Source, ladder: Ladder) -> float:
    """Return CPU per stream-second of one stream on two cores: its frames, dearer for the load, and the process."""
    cpu_s = stream_cpu_s(values, source, ladder)
    busy_s = cpu_s + needed(values, "generator_cpu_s_per_frame") * source.fps
    growth = load_growth(values, utilisation(values, busy_s, cores=2))
    return cpu_s * growth + needed(values, "base_cpu_s_per_s")


def test_more_load_never_lowers_predicted_latency():
    """At one seed a stream's frames cost the same whatever runs beside it, so that the loads are nested."""
    pattern = load(np.arange(450) * FRAME_S, cores=2, ladder=LADDER)
    outcomes = [
        [
            predicted(replicated(pattern, streams, stagger_s=0.31), values=profile().middle(), seed=seed)
            for seed in range(6)
        ]
        for streams in (1, 2, 3, 4, 5)
    ]
    of_first = [pd.concat([run.publish_s.xs(0, level="stream") for run in runs], keys=range(6)) for runs in outcomes]
    alike = pd.concat(of_first, axis=1).dropna()
    assert len(alike) == 6 * 8  # both rungs of the segments after everybody's warm-up
    assert alike.mean().is_monotonic_increasing
    for name in ("segment_publish_p95", "frame_p95"):
        latency = [FIGURES[name].of(runs) for runs in outcomes]
        assert latency == sorted(latency)


@pytest.mark.parametrize("capacity", [0, 1, 2, 5, 12, 13, 14, 20, 26])
def test_the_search_finds_the_largest_load_that_holds_and_asks_once(capacity):
    asked = []

    def holds(streams: int) -> bool:
        asked.append(streams)
        return streams <= capacity

    assert predicted_n_max(holds, naive=13) == capacity
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(("votes", "most"), [("hh", True), ("ghh", True), ("hgg", False), ("gg", False)])
def test_a_load_holds_by_the_majority_of_its_runs_and_no_more_are_made_than_needed(votes, most):
    asked = []

    def holds(run: int) -> bool:
        asked.append(run)
        return votes[run] == "h"

    assert majority(holds, of=3) == most
    assert asked == list(range(len(votes)))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    series = [Series("single", {1: 1, 2: 2, 5: 2, 7: 1, 8: 2}), Series("chief", {2: 1}, start="aligned")]
    return write_runs(folder, series, identity="in-sample", held_out=False, segments=7)


@pytest.fixture(scope="module")
def result(bundle):
    return replay(bundle, true_profile())


def figure(result, name: str, streams: int | None = None, ladder: str = "single"):
    rows = result.metrics[(result.metrics["metric"] == name) & (result.metrics["ladder"] == ladder)]
    if streams is not None:
        rows = rows[rows["load"] == streams]
    assert len(rows) == 1
    return rows.iloc[0]


def test_cpu_and_capacity_are_predicted_beside_the_null_models(result):
    alone = figure(result, "cpu", 1)["measured"]
    for streams in (2, 5):
        row = figure(result, "cpu", streams)
        assert abs(row["error"]) < 0.03
        assert row["as_at_one"] == pytest.approx(alone)
    n_max = figure(result, "n_max")
    assert (n_max["measured"], n_max["predicted"]) == (7, 7)
    assert n_max["division"] == math.floor(2 / alone)
    assert n_max["noise_floor"] == 0  # the next load run is the next there is


def test_null_models_start_from_the_measured_single_stream_and_do_not_judge_it(result):
    alone = figure(result, "segment_publish_mean", 1)
    assert np.isnan(alone["as_at_one"])
    assert np.isnan(alone["mdc"])
    row = figure(result, "segment_publish_mean", 5)
    assert row["as_at_one"] == pytest.approx(alone["measured"])
    assert row["mdc"] > row["as_at_one"]
    predicted_alone = figure(result, "cpu", 2, ladder="chief")["as_at_one"]  # no single stream of it was measured
    assert predicted_alone == pytest.approx(alone_cpu_s(true_profile().middle(), SENT, LADDERS["chief"]), rel=0.03)
    assert "from the predicted one for chief of camera" in str(result)


def test_bands_compare_only_the_backlog_near_capacity(result):
    single = result.metrics[result.metrics["ladder"] == "single"]
    bands = single.groupby("load")["band"].first()
    assert bands.to_dict() == {1: "up to 0.5", 2: "up to 0.5", 5: "0.5 to 0.8", 7: "above 0.8", 8: "above 0.8"}
    above = single[single["band"] == "above 0.8"]
    assert set(above["metric"]) == {"backlog_slope", "overloaded"}
    assert figure(result, "overloaded", 8)["predicted"] == 1
    assert figure(result, "overloaded", 7)["predicted"] == 0
    assert set(result.segment_errors.loc[result.segment_errors["ladder"] == "single", "load"]) == {1, 2, 5}


def test_start_up_is_compared_from_the_accepted_publish(result):
    row = figure(result, "startup", 5)
    assert row["measured"] == pytest.approx(2.15, rel=0.02)
    assert row["predicted"] == pytest.approx(2.15)


def test_single_segments_are_compared_one_by_one(result):
    pairs = result.segments[(result.segments["ladder"] == "single") & (result.segments["load"] == 5)].dropna()
    error = (pairs["predicted_s"] - pairs["measured_s"]) / pairs["measured_s"]
    row = result.segment_errors.set_index(["ladder", "load"]).loc[("single", 5)]
    assert row["segments"] == len(pairs) == 2 * (7 + 4 * 6)  # warm-up ends when the last stream's does
    assert row["mape"] == pytest.approx(np.abs(error).mean())
    assert row["bias"] == pytest.approx(error.mean())
    correlation = stats.pearsonr(pairs["measured_s"], pairs["predicted_s"]).statistic
    assert row["correlation"] == pytest.approx(correlation)


def test_what_was_not_measured_is_null_and_said(result):
    assert np.isnan(figure(result, "segment_publish_p99", 5)["measured"])
    assert np.isnan(figure(result, "cpu", 1)["noise_floor"])
    assert figure(result, "cpu", 2)["noise_floor"] > 0
    text = str(result)
    assert "What the model cannot know:\n  - what an unseen clip shows" in text
    assert "in-sample: the profile was fitted to in-sample" in text
    assert "shares of N_max are of the predicted one where none was measured: chief of camera" in text
    assert result.metrics["in_sample"].all()
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    assert document["held_out"] == []
    assert document["cannot_know"]
    assert "<table" in result._repr_html_()


def test_a_clip_that_was_not_fitted_is_named_with_what_it_counts_as(tmp_path, result):
    write_runs(tmp_path / "b", [Series("chief", {1: 1}, clip="game")], identity="game", segments=4)
    assert (
        "no clip of game was fitted: its frames count as those of camera"
        in replay(tmp_path / "b", true_profile()).notes
    )
    assert not any("was fitted: its frames" in note for note in result.notes)


def test_replaying_twice_gives_the_same_bytes_and_another_seed_does_not(bundle, result):
    again, other = replay(bundle, true_profile()), replay(bundle, true_profile(), seed=2)
    assert json.dumps(again.document()) == json.dumps(result.document())
    assert again.segments.to_csv() == result.segments.to_csv()
    assert other.document() != result.document()


def test_workers_move_no_digit(bundle, result):
    told = []
    with ThreadPoolExecutor(2) as executor:
        shared = replay(bundle, true_profile(), executor=executor, progress=lambda *state: told.append(state))
    assert json.dumps(shared.document()) == json.dumps(result.document())
    assert told[-1][0] == told[-1][1] == len(told)


@pytest.mark.parametrize("seed", [0, 1])
def test_scrambled_outcomes_do_not_move_the_prediction(bundle, result, tmp_path, seed):
    """Every column of every table but who sent which frame when, into what, changes places with itself."""
    other = replay(scrambled(bundle, tmp_path / "scrambled", seed=seed), true_profile())
    keys = ["run", "stream", "rung", "segment"]
    ours, theirs = (r.segments.dropna(subset="predicted_s").set_index(keys)["predicted_s"] for r in (result, other))
    common = ours.index.intersection(theirs.index)
    assert len(common) > 50
    assert ours[common].to_numpy().tobytes() == theirs[common].to_numpy().tobytes()
    keys = ["ladder", "load", "metric"]
    ours, theirs = (r.metrics[r.metrics["metric"] != "n_max"].set_index(keys) for r in (result, other))
    common = ours.index.intersection(theirs.index)
    assert len(common) > 20
    assert ours.loc[common, "predicted"].equals(theirs.loc[common, "predicted"])
    assert not ours.loc[common, "measured"].equals(theirs.loc[common, "measured"])


def test_a_profile_of_other_pictures_is_refused(bundle):
    with pytest.raises(CalibrationError, match="measured were"):
        replay(bundle, profile())


def test_a_profile_of_another_preset_is_refused(bundle):
    ours = true_profile()
    other = ours.model_copy(update={"encoder": ours.encoder.model_copy(update={"preset": "veryfast"})})
    with pytest.raises(CalibrationError, match="every run is of preset ultrafast, and profile synthetic was measured"):
        replay(bundle, other)


def test_no_bundle_or_one_bundle_twice_is_refused(bundle):
    with pytest.raises(CalibrationError, match="no bundle to replay"):
        replay([], true_profile())
    with pytest.raises(CalibrationError, match="a bundle was named twice"):
        replay([bundle, bundle], true_profile())


def test_a_bundle_without_a_valid_run_is_refused(tmp_path):
    folder = write_runs(tmp_path / "b", [Series("single", {1: 1})], identity="void", segments=3, voids=(0,))
    with pytest.raises(CalibrationError, match="every run is void"):
        replay(folder, true_profile())
