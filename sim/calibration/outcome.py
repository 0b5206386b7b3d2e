"""What became of a run, measured or predicted, in one shape; and the figures read off it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scenarios.backlog import Slope, backlog_slope, grows, lag_by_segment
from sim.calibration.arrivals import Arrivals, Floats
from sim.calibration.node import run_node
from sim.calibration.service import StreamService, service_times
from sim.calibration.tables import Bundle

SEGMENT = ["stream", "rung", "segment"]
SLOPE_ENDS = ("", "_low", "_high")
FEWEST_FOR_P99 = 1000
"""Segments of one load below which a 99 % quantile says more about chance than about the server."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run, warm-up excluded.

    Attributes:
        frame_latency_s: encoded − arrived, one value for each frame and encoded rung.
        publish_s: closed − arrival of the closing frame; index (stream, rung, segment).
        cpu_s_per_stream_s: of the whole server process.
        slope: of the backlog; NaN where frames were dropped, as a queue that is full grows no more.
        holds: whether the backlog did not grow.
    """

    frame_latency_s: Floats
    publish_s: pd.Series[float]
    cpu_s_per_stream_s: float
    slope: Slope
    holds: bool


def measured(bundle: Bundle, run: int) -> Outcome:
    """Return what was measured of one run."""
    facts = bundle.runs[bundle.runs["run"] == run].to_dict("records")[0]
    segments = bundle.segments[(bundle.segments["run"] == run) & ~bundle.segments["warm_up"]]
    segments = segments.dropna(subset=["closing_arrival_s", "closed_s"])
    publish_s = segments.set_index(SEGMENT)["closed_s"] - segments.set_index(SEGMENT)["closing_arrival_s"]
    start_s = float(segments["first_arrival_s"].min()) if len(segments) else np.inf
    rungs = bundle.rungs[bundle.rungs["run"] == run].merge(
        bundle.frames.loc[bundle.frames["run"] == run, ["stream", "frame", "arrival_s"]],
        on=["stream", "frame"],
    )
    rungs = rungs[rungs["arrival_s"] >= start_s]
    return Outcome(
        (rungs["encoded_s"] - rungs["arrival_s"]).dropna().to_numpy(float),
        publish_s,
        float(facts["server_cpu_s"] / facts["media_s"]),
        Slope(*(np.nan if facts["dropped_frames"] else float(facts[f"backlog_slope{end}"]) for end in SLOPE_ENDS)),
        bool(facts["verdict"] == "holds"),
    )


def predicted(arrivals: Arrivals, *, values: Mapping[str, float], seed: int) -> Outcome:
    """Return what the node model makes of arrivals and configuration, with service times from a profile.

    Args:
        arrivals: the load; all that is known of it.
        values: coefficient key → value, its middle or one of its draws.
        seed: of the service times.

    Raises:
        CalibrationError: the profile lacks a coefficient, or the load is too short for a verdict.
    """
    services = service_times(arrivals, values=values, seed=seed)
    records = run_node(arrivals, services)
    start_s, end_s = arrivals.window_start_s, arrivals.window_end_s
    frames = records.frames[records.frames["arrival_s"].between(start_s, end_s)]
    segments = records.segments[records.segments["first_arrival_s"] >= start_s].set_index(SEGMENT)
    slope = backlog_slope(
        *lag_by_segment(
            frames["arrival_s"].tolist(),
            (frames["muxed_s"] - frames["arrival_s"]).tolist(),
            start_s=start_s,
            end_s=end_s,
            segment_s=arrivals.ladder.segment_s,
        )
    )
    growing = grows(slope, window_s=end_s - start_s, frame_interval_s=1.0 / arrivals.source.fps)
    return Outcome(
        (frames["encoded_s"] - frames["arrival_s"]).dropna().to_numpy(float),
        segments["closed_s"] - segments["closing_arrival_s"],
        _cpu_s_per_stream_s(arrivals, services),
        slope,
        not growing,
    )


def _cpu_s_per_stream_s(arrivals: Arrivals, services: Sequence[StreamService]) -> float:
    cpu_s, media_s = 0.0, 0.0
    for stream, service in zip(arrivals.streams, services, strict=True):
        within = (stream.arrival_s >= arrivals.window_start_s) & (stream.arrival_s <= arrivals.window_end_s)
        media_s += float(within.sum()) / arrivals.source.fps
        cpu_s += float(service.decode_s[within].sum()) + service.receive_s * float(within.sum())
        for rung in service.rungs.values():
            cpu_s += float(rung.cpu_s[within & rung.kept].sum())
    return cpu_s / media_s


def _publish_mean(runs: Sequence[Outcome]) -> float:
    return _mean(np.concatenate([run.publish_s.to_numpy(float) for run in runs]))


def _publish_p99(runs: Sequence[Outcome]) -> float:
    values = np.concatenate([run.publish_s.to_numpy(float) for run in runs])
    return float(np.quantile(values, 0.99)) if values.size >= FEWEST_FOR_P99 else np.nan


def _frame_p95(runs: Sequence[Outcome]) -> float:
    values = np.concatenate([run.frame_latency_s for run in runs])
    return float(np.quantile(values, 0.95)) if values.size else np.nan


def _cpu(runs: Sequence[Outcome]) -> float:
    return _mean(np.array([run.cpu_s_per_stream_s for run in runs]))


def _slope(runs: Sequence[Outcome]) -> float:
    return _mean(np.array([run.slope.middle for run in runs]))


def _overloaded(runs: Sequence[Outcome]) -> float:
    return float(np.mean([not run.holds for run in runs]) >= 0.5)


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else np.nan


@dataclass(frozen=True)
class Figure:
    """A number read off the runs of one load.

    Attributes:
        unit: as printed.
        relative: its error is a fraction of the measured value; else a difference.
        of: pooled over runs; NaN where they cannot tell.
    """

    unit: str
    relative: bool
    of: Callable[[Sequence[Outcome]], float]


FIGURES = {
    "segment_publish_mean": Figure("s", True, _publish_mean),
    "segment_publish_p99": Figure("s", True, _publish_p99),
    "frame_p95": Figure("s", True, _frame_p95),
    "cpu": Figure("core-s/stream-s", True, _cpu),
    "backlog_slope": Figure("s/s", False, _slope),
    "overloaded": Figure("1", False, _overloaded),
}
"""Every figure of a load, by name."""


def noise_floor(figure: Figure, runs: Sequence[Outcome]) -> float:
    """Return the median difference of a figure between pooled halves of a load's repeats, as an error.

    Every way to halve the repeats counts once; an odd repeat goes to the second half. NaN: one repeat, not
    measured.
    """
    if len(runs) < 2:
        return np.nan
    positions = range(len(runs))
    differences = []
    for half in itertools.combinations(positions, len(runs) // 2):
        if len(runs) % 2 == 0 and 0 not in half:
            continue  # the same halving, seen from the other side
        one = figure.of([runs[i] for i in half])
        other = figure.of([runs[i] for i in positions if i not in half])
        scale = (one + other) / 2 if figure.relative else 1.0
        differences.append(abs(one - other) / scale)
    return float(np.median(differences))
