"""The node model against closed forms; and that a replay reads arrivals and configuration only."""

from __future__ import annotations

import dataclasses
import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from profiles import LADDER, SOURCE, profile
from scipy import stats
from synthetic_held_out import Series, scrambled, true_profile, write_runs

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Rung
from sim.calibration.arrivals import Arrivals, StreamArrivals, replicated
from sim.calibration.figures import FIGURES
from sim.calibration.n_max_search import predicted_n_max
from sim.calibration.node import run_node
from sim.calibration.outcome import predicted
from sim.calibration.replay import replay
from sim.calibration.service import RungService, StreamService, load_growth
from sim.capacity import stream_cpu_s

ONE_RUNG = Ladder(rungs=(Rung(name="720p30", width=1280, height=720, fps=30.0, bitrate_bps=2.5e6),))
FRAME_S = 1 / 30


def load(arrival_s: np.ndarray, *, cores: int = 1, ladder: Ladder = ONE_RUNG) -> Arrivals:
    """Return one stream whose frames come at these moments, 60 to a segment."""
    frames = np.arange(arrival_s.size)
    stream = StreamArrivals(0, arrival_s, frames / 30, frames % 60 == 0, frames)
    return Arrivals((stream,), SOURCE, ladder, cores, 2)


def work(arrivals: Arrivals, *, decode_s: float, picture_s: float, mux_s: float = 0.0) -> tuple[StreamService, ...]:
    """Return the same constant service for every frame."""
    services = []
    for stream in arrivals.streams:
        frames = stream.arrival_s.size
        segments = stream.segments(2.0)
        rungs = {
            rung.name: RungService(stream.kept(rung.fps, segments), np.full(frames, picture_s), mux_s)
            for rung in arrivals.ladder.rungs
        }
        services.append(StreamService(segments, 0.0, np.full(frames, decode_s), rungs))
    return tuple(services)


def test_a_regular_stream_below_capacity_never_waits():
    arrivals = load(np.arange(600) * FRAME_S, cores=2)
    records = run_node(arrivals, work(arrivals, decode_s=0.003, picture_s=0.004, mux_s=0.001))
    assert len(records.frames) == 600
    latency = records.frames["encoded_s"] - records.frames["arrival_s"]
    assert np.allclose(latency, 0.007, atol=1e-12)
    publish = records.segments["closed_s"] - records.segments["closing_arrival_s"]
    assert np.allclose(publish, 0.008, atol=1e-12)
    assert records.segments["segment"].tolist() == list(range(9))


def test_a_regular_stream_above_capacity_falls_behind_by_its_excess():
    arrivals = load(np.arange(600) * FRAME_S)
    records = run_node(arrivals, work(arrivals, decode_s=1e-9, picture_s=1.25 * FRAME_S))
    lag = records.frames["encoded_s"] - records.frames["arrival_s"]
    growth = np.diff(lag) / FRAME_S
    assert np.allclose(growth, 0.25, atol=1e-6)


@pytest.fixture(scope="module")
def single_server_waits():
    """Mean waits of 20 replications of M/D/1 at a load of 0.8."""
    service_s, waits = 0.8 * FRAME_S, []
    for seed in range(20):
        gaps = np.random.default_rng(seed).exponential(FRAME_S, 3000)
        arrivals = load(np.cumsum(gaps))
        records = run_node(arrivals, work(arrivals, decode_s=1e-12, picture_s=service_s))
        latency = records.frames["encoded_s"] - records.frames["arrival_s"]
        waits.append(float(latency.iloc[500:].mean()) - service_s)
    return service_s, np.array(waits)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 99.9 % interval of the mean."""
    half = stats.t.ppf(0.9995, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size)
    return values.mean() - half, values.mean() + half


def test_poisson_arrivals_wait_as_in_m_d_1(single_server_waits):
    service_s, waits = single_server_waits
    low, high = interval(waits)
    assert low <= 0.8 * service_s / (2 * (1 - 0.8)) <= high


def test_the_mistake_of_taking_m_m_1_is_caught(single_server_waits):
    service_s, waits = single_server_waits
    low, high = interval(waits)
    assert not low <= 0.8 * service_s / (1 - 0.8) <= high


def test_rungs_compete_for_cores():
    arrivals = load(np.array([0.0]), cores=1, ladder=LADDER)
    records = run_node(arrivals, work(arrivals, decode_s=0.003, picture_s=0.004))
    assert sorted(records.frames["encoded_s"]) == pytest.approx([0.007, 0.011])
    wide = dataclasses.replace(arrivals, cores=2)
    records = run_node(wide, work(wide, decode_s=0.003, picture_s=0.004))
    assert sorted(records.frames["encoded_s"]) == pytest.approx([0.007, 0.007])


def test_an_overloaded_node_works_at_full_speed_and_is_fair():
    pattern = load(np.arange(300) * FRAME_S, cores=2, ladder=LADDER)
    arrivals = replicated(pattern, 6, stagger_s=0.3)
    records = run_node(arrivals, work(arrivals, decode_s=0.004, picture_s=0.005, mux_s=0.0003))
    work_s = 6 * 300 * (0.004 + 2 * 0.0053)
    assert records.frames["muxed_s"].max() == pytest.approx(work_s / 2, rel=0.06)  # starts and ends are ragged
    last = records.frames.groupby("stream")["muxed_s"].max()
    assert last.max() - last.min() < 0.1 * last.max()
    lag = records.frames["muxed_s"] - records.frames["arrival_s"]
    excess = work_s / 2 / 10.0 - 1.0
    assert np.polyfit(records.frames["arrival_s"], lag, 1)[0] == pytest.approx(excess, rel=0.1)


def test_frames_of_two_streams_may_come_at_the_same_moment():
    """The clock is advanced by differences, and here the sum rounds to just after the second moment."""
    first_s, second_s = 0.046693176380603406, 0.11710132088569795
    assert first_s + (second_s - first_s) > second_s
    arrivals = load(np.array([first_s, second_s]), cores=4)
    arrivals = dataclasses.replace(arrivals, streams=(*arrivals.streams, arrivals.streams[0].copy(1, later_s=0.0)))
    assert len(run_node(arrivals, work(arrivals, decode_s=1e-6, picture_s=1e-6)).frames) == 4


def test_a_copied_rung_is_muxed_without_waiting_for_a_decoder():
    """Its packet is handed on before it is decoded, so that with two cores only its muxing stands before it."""
    copied = ONE_RUNG.rungs[0].model_copy(update={"copied": True})
    arrivals = load(np.arange(600) * FRAME_S, cores=2, ladder=Ladder(rungs=(copied, *LADDER.rungs[1:])))
    (service,) = work(arrivals, decode_s=0.003, picture_s=0.004, mux_s=0.001)
    passed_on = dataclasses.replace(service.rungs["720p30"], picture_s=None)
    services = (dataclasses.replace(service, rungs=dict(service.rungs) | {"720p30": passed_on}),)
    frames = dict(list(run_node(arrivals, services).frames.groupby("rung")))
    assert frames["720p30"]["encoded_s"].isna().all()
    assert np.allclose(frames["720p30"]["muxed_s"] - frames["720p30"]["arrival_s"], 0.001, atol=1e-12)
    assert np.allclose(frames["480p30"]["muxed_s"] - frames["480p30"]["arrival_s"], 0.008, atol=1e-12)


def test_a_slower_rung_keeps_every_second_frame_and_every_opening_one():
    frames = np.arange(180)
    stream = StreamArrivals(0, frames / 60, np.round(frames / 60, 3), frames % 120 == 0, frames)
    segments = stream.segments(2.0)
    kept = stream.kept(30.0, segments)
    assert kept.sum() == 90
    assert kept[[0, 120]].all()
    assert np.flatnonzero(kept)[:3].tolist() == [0, 2, 4]
    assert stream.kept(60.0, segments).all()


def test_prediction_has_the_profiles_mean_cost():
    arrivals = load(np.arange(1200) * FRAME_S, cores=2, ladder=LADDER)
    values = profile().middle()
    outcome = predicted(arrivals, profile(), values=values, seed=1)
    assert outcome.cpu_s_per_stream_s == pytest.approx(stream_cpu_s(values, SOURCE, LADDER), rel=0.02)
    assert outcome.holds


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_more_load_never_lowers_predicted_latency(seed):
    """At one seed a stream's frames cost the same whatever runs beside it, so that the loads are nested."""
    pattern = load(np.arange(450) * FRAME_S, cores=2, ladder=LADDER)
    outcomes = [
        predicted(replicated(pattern, streams, stagger_s=0.31), profile(), values=profile().middle(), seed=seed)
        for streams in (1, 2, 3, 4, 5)
    ]
    of_first = pd.concat([outcome.publish_s.xs(0, level="stream") for outcome in outcomes], axis=1).dropna()
    assert len(of_first) == 8  # both rungs of the segments after everybody's warm-up
    assert of_first.mean().is_monotonic_increasing
    frames = [FIGURES["frame_p95"].of([outcome]) for outcome in outcomes]
    assert frames == sorted(frames)


def test_growth_is_none_at_one_stream_whole_at_capacity_and_level_above():
    values = {"cpu_growth_at_capacity": 0.2}
    growth = [load_growth(values, streams=n, capacity_streams=5) for n in (1, 3, 5, 50)]
    assert growth == pytest.approx([1.0, 1.1, 1.2, 1.2])
    assert load_growth(values, streams=1, capacity_streams=1) == 1.0


@pytest.mark.parametrize("capacity", [0, 1, 2, 5, 12, 13, 14, 20, 26])
def test_the_search_finds_the_largest_load_that_holds_and_asks_once(capacity):
    asked = []

    def holds(streams: int) -> bool:
        asked.append(streams)
        return streams <= capacity

    assert predicted_n_max(holds, naive=13) == capacity
    assert len(asked) == len(set(asked))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    series = [Series("single", {1: 1, 2: 2, 3: 2, 5: 1, 6: 2}), Series("chief", {2: 1}, start="aligned")]
    return write_runs(folder, series, identity="in-sample", held_out=False, segments=5)


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
    for streams in (2, 3):
        row = figure(result, "cpu", streams)
        assert abs(row["error"]) < 0.03
        assert row["as_at_one"] == pytest.approx(alone)
    n_max = figure(result, "n_max")
    assert (n_max["measured"], n_max["predicted"]) == (5, 5)
    assert n_max["division"] == math.floor(2 / alone)
    assert n_max["noise_floor"] == 0  # the next load run is the next there is


def test_null_models_start_from_the_measured_single_stream_and_do_not_judge_it(result):
    alone = figure(result, "segment_publish_mean", 1)
    assert np.isnan(alone["as_at_one"])
    assert np.isnan(alone["mdc"])
    row = figure(result, "segment_publish_mean", 3)
    assert row["as_at_one"] == pytest.approx(alone["measured"])
    assert row["mdc"] > row["as_at_one"]
    predicted_alone = figure(result, "cpu", 2, ladder="chief")["as_at_one"]  # no single stream of it was measured
    chief = stream_cpu_s(true_profile().middle(), *ladder_of("chief"))
    assert predicted_alone == pytest.approx(chief, rel=0.03)
    assert "from the predicted one for chief of camera" in str(result)


def ladder_of(name: str):
    from synthetic_held_out import LADDERS
    from synthetic_held_out import SOURCE as SENT

    return SENT, LADDERS[name]


def test_bands_compare_only_the_backlog_near_capacity(result):
    single = result.metrics[result.metrics["ladder"] == "single"]
    bands = single.groupby("load")["band"].first()
    assert bands.to_dict() == {1: "up to 0.5", 2: "up to 0.5", 3: "0.5 to 0.8", 5: "above 0.8", 6: "above 0.8"}
    above = single[single["band"] == "above 0.8"]
    assert set(above["metric"]) == {"backlog_slope", "overloaded"}
    assert figure(result, "overloaded", 6)["predicted"] == 1
    assert figure(result, "overloaded", 5)["predicted"] == 0
    assert set(result.segment_errors.loc[result.segment_errors["ladder"] == "single", "load"]) == {1, 2, 3}


def test_start_up_is_compared_from_the_accepted_publish(result):
    row = figure(result, "startup", 3)
    assert row["measured"] == pytest.approx(2.2, rel=0.02)
    assert row["predicted"] == pytest.approx(2.2)


def test_single_segments_are_compared_one_by_one(result):
    pairs = result.segments[(result.segments["ladder"] == "single") & (result.segments["load"] == 3)].dropna()
    error = (pairs["predicted_s"] - pairs["measured_s"]) / pairs["measured_s"]
    row = result.segment_errors.set_index(["ladder", "load"]).loc[("single", 3)]
    assert row["segments"] == len(pairs) == 2 * (5 + 4 + 4)  # warm-up ends when the last stream's does
    assert row["mape"] == pytest.approx(np.abs(error).mean())
    assert row["bias"] == pytest.approx(error.mean())
    correlation = stats.pearsonr(pairs["measured_s"], pairs["predicted_s"]).statistic
    assert row["correlation"] == pytest.approx(correlation)


def test_what_was_not_measured_is_null_and_said(result):
    assert np.isnan(figure(result, "segment_publish_p99", 3)["measured"])
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


def test_a_profile_without_the_rung_is_refused(bundle):
    with pytest.raises(CalibrationError, match="it was measured for"):
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
