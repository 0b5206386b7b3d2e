"""What became of a run, measured or predicted, in one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scenarios.backlog import Slope, backlog_slope, grows, lag_by_segment
from sim.calibration.arrivals import Arrivals, Floats
from sim.calibration.cores import scheduling
from sim.calibration.node import NodeRecords, run_node
from sim.calibration.service import StreamService, service_times
from sim.calibration.tables import Bundle
from sim.stream_cost import startup_s

SEGMENT = ["stream", "rung", "segment"]
SLOPE_ENDS = ("", "_low", "_high")


@dataclass(frozen=True)
class Outcome:
    """What became of one run, warm-up excluded.

    Attributes:
        frame_latency_s: encoded − arrived, one value for each frame and encoded rung.
        publish_s: closed − arrival of the closing frame; index (stream, rung, segment).
        cpu_s_per_stream_s: of the whole server process.
        slope: of the backlog; NaN where frames were dropped, as a queue that is full grows no more.
        holds: whether the backlog did not grow.
        startup_s: of each stream, from its accepted publish until every rung has its first segment.
    """

    frame_latency_s: Floats
    publish_s: pd.Series[float]
    cpu_s_per_stream_s: float
    slope: Slope
    holds: bool
    startup_s: Floats


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
    streams = bundle.streams[bundle.streams["run"] == run]
    return Outcome(
        (rungs["encoded_s"] - rungs["arrival_s"]).dropna().to_numpy(float),
        publish_s,
        float(facts["server_cpu_s"] / facts["media_s"]),
        Slope(*(np.nan if facts["dropped_frames"] else float(facts[f"backlog_slope{end}"]) for end in SLOPE_ENDS)),
        bool(facts["verdict"] == "holds"),
        (streams["first_segment_s"] - streams["publish_accepted_s"]).dropna().to_numpy(float),
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
    records = run_node(arrivals, services, scheduling=scheduling(values), seed=seed)
    return outcome_of(arrivals, services, records, startup_s=startup_s(values, arrivals.ladder))


def outcome_of(
    arrivals: Arrivals, services: Sequence[StreamService], records: NodeRecords, *, startup_s: float
) -> Outcome:
    """Return what became of a load on a node, from the node's records.

    Args:
        arrivals: the load.
        services: what it asked of the node.
        records: what the node did.
        startup_s: from an accepted publish until every rung has its first segment.
    """
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
        cpu_s_per_stream_s(arrivals, services),
        slope,
        not growing,
        np.full(len(arrivals.streams), startup_s),
    )


def cpu_s_per_stream_s(arrivals: Arrivals, services: Sequence[StreamService]) -> float:
    """Return CPU of the whole server process per stream-second of the window."""
    cpu_s, media_s = 0.0, 0.0
    start_s, end_s = arrivals.window_start_s, arrivals.window_end_s
    for stream, service in zip(arrivals.streams, services, strict=True):
        within = (stream.arrival_s >= start_s) & (stream.arrival_s <= end_s)
        media_s += float(within.sum()) / arrivals.source.fps
        cpu_s += float(service.decode_s[within].sum()) + service.receive_s * float(within.sum())
        for rung in service.rungs.values():
            cpu_s += float(rung.cpu_s[within & rung.kept].sum())
    return cpu_s / media_s
