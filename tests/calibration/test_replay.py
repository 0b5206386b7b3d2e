"""The node model against closed forms; and that a replay reads arrivals and configuration only."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from profiles import LADDER, SOURCE, profile
from scipy import stats
from synthetic import CHIEF, Truth, store, stream_cpu_s, utilisation, write_bundle

from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Rung
from scenarios.profile import MeasuredLadder
from sim.calibration.arrivals import Arrivals, StreamArrivals, replicated
from sim.calibration.fit import fit
from sim.calibration.node import run_node
from sim.calibration.null_models import NullModels
from sim.calibration.outcome import FIGURES, Outcome, noise_floor, predicted
from sim.calibration.replay import predicted_n_max, replay
from sim.calibration.service import RungService, StreamService
from sim.calibration.tables import read_bundle

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
    outcome = predicted(arrivals, values=values, seed=1)
    nulls = NullModels(values, SOURCE, LADDER, 2, [])
    assert outcome.cpu_s_per_stream_s == pytest.approx(nulls.cpu_s_per_stream_s, rel=0.02)
    assert outcome.holds


def test_more_load_never_lowers_predicted_latency():
    pattern = load(np.arange(600) * FRAME_S, cores=2, ladder=LADDER)
    p95 = []
    for streams in (1, 2, 3, 4):
        outcome = predicted(replicated(pattern, streams, stagger_s=0.3), values=profile().middle(), seed=1)
        p95.append(FIGURES["frame_p95"].of([outcome]))
    assert p95 == sorted(p95)


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
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle", truth=Truth(), loads=(1, 2, 4, 6))


@pytest.fixture(scope="module")
def fitted(bundle):
    return fit([bundle], name="synthetic")


@pytest.fixture(scope="module")
def result(bundle, fitted):
    return replay(bundle, fitted)


def figure(result, name: str, streams: int | None = None):
    rows = result.metrics[result.metrics["metric"] == name]
    if streams is not None:
        rows = rows[rows["load"] == streams]
    assert len(rows) == 1
    return rows.iloc[0]


def test_cpu_and_capacity_are_predicted_beside_the_null_models(result):
    truth = Truth()
    for streams in (1, 2):
        row = figure(result, "cpu", streams)
        growth = 1 + truth.laws["cpu_growth_with_load"] * utilisation(truth, CHIEF, streams)
        expected = stream_cpu_s(truth, CHIEF) * growth + truth.laws["base_cpu_s_per_s"] / streams
        assert row["measured"] == pytest.approx(expected, rel=0.02)
        assert abs(row["error"]) < 0.05
        assert row["as_at_one"] == pytest.approx(stream_cpu_s(truth, CHIEF) * 1.05, rel=0.06)
    n_max = figure(result, "n_max")
    assert n_max["measured"] == 4
    assert 4 <= n_max["predicted"] < 6  # the bracket
    assert n_max["division"] == 5


def test_bands_compare_only_the_backlog_near_capacity(result):
    bands = result.metrics.groupby("load")["band"].first()
    assert bands.to_dict() == {1: "up to 0.5", 2: "up to 0.5", 4: "above 0.8", 6: "above 0.8"}
    above = result.metrics[result.metrics["band"] == "above 0.8"]
    assert set(above["metric"]) == {"backlog_slope", "overloaded"}
    assert figure(result, "overloaded", 6)["predicted"] == 1
    assert figure(result, "overloaded", 4)["predicted"] == 0


def test_a_queue_that_dropped_frames_has_no_slope(tmp_path, fitted):
    full = replay(write_bundle(tmp_path / "b", loads=(1, 6, 7), segments=5), fitted)
    assert figure(full, "backlog_slope", 6)["measured"] == pytest.approx(0.1)
    assert np.isnan(figure(full, "backlog_slope", 7)["measured"])
    assert figure(full, "overloaded", 7)["measured"] == 1


def test_what_was_not_measured_is_null_and_said(result):
    assert result.metrics["noise_floor"].isna().all()
    assert np.isnan(figure(result, "segment_publish_p99", 1)["measured"])
    text = str(result)
    assert "noise floor: not measured: one repeat" in text
    assert "in-sample" in text
    assert result.metrics["in_sample"].all()
    json.dumps(result.document(), allow_nan=False)
    assert "<table" in result._repr_html_()


def test_every_measured_segment_has_a_prediction(result):
    assert len(result.segments) == 2 * 10 * (1 + 2 + 4 + 6)
    assert result.segments["measured_s"].notna().all()
    assert (result.segments["predicted_s"].dropna() > 0).all()
    assert result.segments["predicted_s"].notna().mean() > 0.8  # staggered streams have a longer warm-up


def test_replaying_twice_gives_the_same_and_another_seed_does_not(bundle, fitted, result):
    again, other = replay(bundle, fitted), replay(bundle, fitted, seed=2)
    assert again.document() == result.document()
    assert other.document() != result.document()


def test_scrambled_outcomes_do_not_move_the_prediction(bundle, fitted, result, tmp_path):
    scrambled = replay(store(tmp_path / "scrambled", scramble(bundle)), fitted)
    ours, theirs = (
        r.metrics.set_index(["load", "metric"])["predicted"].drop("n_max", level="metric") for r in (result, scrambled)
    )
    common = ours.index.intersection(theirs.index)
    assert len(common) >= 8
    assert (ours[common].dropna() == theirs[common].dropna()).all()
    assert figure(result, "n_max")["predicted"] == figure(scrambled, "n_max")["predicted"]
    measured = [r.metrics.set_index(["load", "metric"])["measured"] for r in (result, scrambled)]
    assert (measured[0][common].dropna() != measured[1][common].dropna()).any()


def scramble(folder) -> dict[str, list[dict[str, object]]]:
    """Return a bundle's rows with every measured outcome replaced by noise."""
    rng = np.random.default_rng(0)
    bundle = read_bundle(folder)
    kept = {
        "runs": {"run", "ladder", "clip", "preset", "concurrent_streams", "repeat", "start", "verdict", "void_reason"},
        "streams": {"run", "stream"},
        "frames": {"run", "stream", "frame", "pts_s", "is_keyframe", "arrival_s"},
        "rungs": {"run", "stream", "rung", "frame"},
        "segments": {"run", "stream", "rung", "segment", "first_arrival_s", "closing_arrival_s", "warm_up"},
    }
    rows = {}
    for name, columns in kept.items():
        frame = getattr(bundle, name)
        for column in set(frame.columns) - columns:
            values = frame[column].to_numpy()
            noise = rng.uniform(0.1, 2.0, len(frame))
            frame = frame.assign(**{column: (values * noise).astype(values.dtype)})
        rows[name] = frame.to_dict("records")
    rows["runs"] = [dict(row, void_reason=None) for row in rows["runs"]]
    return rows


def test_repeats_give_a_noise_floor(tmp_path, fitted):
    repeated = replay(write_bundle(tmp_path / "b", loads=(1, 2), repeats=2, segments=5, seed=9), fitted)
    floor = figure(repeated, "segment_publish_mean", 1)["noise_floor"]
    assert 0 < floor < 0.2
    assert "not measured: one repeat" not in str(repeated)


def test_six_repeats_have_ten_halvings():
    def outcome(cpu: float) -> Outcome:
        return Outcome(np.array([0.01]), None, cpu, None, True)

    asked = []
    counting = dataclasses.replace(FIGURES["cpu"], of=lambda runs: asked.append(len(runs)) or 1.0)
    assert noise_floor(counting, [outcome(i) for i in range(6)]) == 0.0
    assert asked == [3] * 20
    halves = [outcome(1.0), outcome(1.1)]
    assert noise_floor(FIGURES["cpu"], halves) == pytest.approx(0.1 / 1.05)


def test_a_cost_wrong_by_a_fifth_shows_in_the_table(bundle, fitted, tmp_path):
    wrong = write_bundle(
        tmp_path / "dear",
        truth=Truth().but(decode_cpu_s_per_pixel=4e-9, encode_cpu_s_per_pixel=5.8e-9),
        identity="synthetic-2",
    )
    held_out = replay(wrong, fitted)
    assert not held_out.metrics["in_sample"].any()
    assert figure(held_out, "cpu", 1)["error"] < -0.15


def test_a_profile_without_the_rung_is_refused(bundle):
    small = SOURCE.model_copy(update={"width": 640, "height": 360})
    measured = MeasuredLadder.model_validate(dict(profile().measured.chief) | {"source": small})
    narrow = profile().model_copy(update={"measured": profile().measured.model_copy(update={"ladders": (measured,)})})
    with pytest.raises(CalibrationError, match="a source of 1280x720@30, measured were 230,400 pixels"):
        replay(bundle, narrow)
    assert "EXTRAPOLATED" in str(replay(bundle, narrow, extrapolate=True))


def test_a_bundle_without_a_valid_run_is_refused(tmp_path, fitted):
    with pytest.raises(CalibrationError, match="every run is void"):
        replay(write_bundle(tmp_path / "b", loads=(1, 2), segments=3, voids=(0, 1)), fitted)
