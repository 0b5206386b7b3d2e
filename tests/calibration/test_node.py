"""The node model against closed forms."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from profiles import LADDER, SOURCE
from scipy import stats

from scenarios.ladder import Ladder, Rung
from sim.calibration.arrivals import Arrivals, StreamArrivals, replicated
from sim.calibration.cores import Scheduling
from sim.calibration.node import NodeRecords, run_node
from sim.calibration.service import RungService, StreamService

ONE_RUNG = Ladder(rungs=(Rung(name="720p30", width=1280, height=720, fps=30.0, bitrate_bps=2.5e6),))
FRAME_S = 1 / 30
FRAME_BYTES = SOURCE.bitrate_bps / 8 / 30
PERFECT = Scheduling(waker_core_share=0.0, idle_pull_delay_s=0.0, wake_up_s=0.0)
"""A system that has every core busy while anything waits: what closed forms assume."""


def run(arrivals: Arrivals, services: tuple[StreamService, ...], *, scheduling: Scheduling = PERFECT) -> NodeRecords:
    """Return what a node does."""
    return run_node(arrivals, services, scheduling=scheduling, seed=1)


def load(arrival_s: np.ndarray, *, cores: int = 1, ladder: Ladder = ONE_RUNG) -> Arrivals:
    """Return one stream whose frames come at these moments, 60 to a segment."""
    frames = np.arange(arrival_s.size)
    stream = StreamArrivals(0, arrival_s, frames / 30, frames % 60 == 0, frames, np.full(frames.size, FRAME_BYTES))
    return Arrivals((stream,), SOURCE, ladder, "camera", cores, 2)


def work(arrivals: Arrivals, *, decode_s: float, picture_s: float, mux_s: float = 0.0) -> tuple[StreamService, ...]:
    """Return the same constant service for every frame."""
    services = []
    for stream in arrivals.streams:
        frames = stream.arrival_s.size
        segments = stream.segments(2.0)
        rungs = {
            rung.name: RungService(stream.kept(rung.fps, segments), np.full(frames, picture_s), np.full(frames, mux_s))
            for rung in arrivals.ladder.rungs
        }
        services.append(StreamService(segments, 0.0, 0.0, np.full(frames, decode_s), rungs))
    return tuple(services)


def test_a_regular_stream_below_capacity_never_waits():
    arrivals = load(np.arange(600) * FRAME_S, cores=2)
    records = run(arrivals, work(arrivals, decode_s=0.003, picture_s=0.004, mux_s=0.001))
    assert len(records.frames) == 600
    latency = records.frames["encoded_s"] - records.frames["arrival_s"]
    assert np.allclose(latency, 0.007, atol=1e-12)
    publish = records.segments["closed_s"] - records.segments["closing_arrival_s"]
    assert np.allclose(publish, 0.008, atol=1e-12)
    assert records.segments["segment"].tolist() == list(range(9))


def test_a_regular_stream_above_capacity_falls_behind_by_its_excess():
    arrivals = load(np.arange(600) * FRAME_S)
    records = run(arrivals, work(arrivals, decode_s=1e-9, picture_s=1.25 * FRAME_S))
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
        records = run(arrivals, work(arrivals, decode_s=1e-12, picture_s=service_s))
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
    records = run(arrivals, work(arrivals, decode_s=0.003, picture_s=0.004))
    first_s, last_s = sorted(records.frames["encoded_s"])  # in slices, so that the first may wait a little too
    assert last_s == pytest.approx(0.011)
    assert 0.007 - 1e-9 <= first_s < 0.011
    wide = dataclasses.replace(arrivals, cores=2)
    records = run(wide, work(wide, decode_s=0.003, picture_s=0.004))
    assert sorted(records.frames["encoded_s"]) == pytest.approx([0.007, 0.007])


def test_an_overloaded_node_works_at_full_speed_and_is_fair():
    pattern = load(np.arange(300) * FRAME_S, cores=2, ladder=LADDER)
    arrivals = replicated(pattern, 6, stagger_s=0.3)
    records = run(arrivals, work(arrivals, decode_s=0.004, picture_s=0.005, mux_s=0.0003))
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
    assert len(run(arrivals, work(arrivals, decode_s=1e-6, picture_s=1e-6)).frames) == 4


def test_a_copied_rung_is_muxed_without_waiting_for_a_decoder():
    """Its packet is handed on before it is decoded, so that with two cores only its muxing stands before it."""
    copied = ONE_RUNG.rungs[0].model_copy(update={"copied": True})
    arrivals = load(np.arange(600) * FRAME_S, cores=2, ladder=Ladder(rungs=(copied, *LADDER.rungs[1:])))
    (service,) = work(arrivals, decode_s=0.003, picture_s=0.004, mux_s=0.001)
    passed_on = dataclasses.replace(service.rungs["720p30"], picture_s=None)
    services = (dataclasses.replace(service, rungs=dict(service.rungs) | {"720p30": passed_on}),)
    frames = dict(list(run(arrivals, services).frames.groupby("rung")))
    assert frames["720p30"]["encoded_s"].isna().all()
    assert np.allclose(frames["720p30"]["muxed_s"] - frames["720p30"]["arrival_s"], 0.001, atol=1e-12)
    assert np.allclose(frames["480p30"]["muxed_s"] - frames["480p30"]["arrival_s"], 0.008, atol=1e-12)


def test_a_slower_rung_keeps_every_second_frame_and_every_opening_one():
    frames = np.arange(180)
    stream = StreamArrivals(
        0, frames / 60, np.round(frames / 60, 3), frames % 120 == 0, frames, np.full(180, FRAME_BYTES)
    )
    segments = stream.segments(2.0)
    kept = stream.kept(30.0, segments)
    assert kept.sum() == 90
    assert kept[[0, 120]].all()
    assert np.flatnonzero(kept)[:3].tolist() == [0, 2, 4]
    assert stream.kept(60.0, segments).all()
