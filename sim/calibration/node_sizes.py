"""Capacity and latency at other core counts, by running the node model there: session-level figures of a profile.

The load is the chief ladder with arrivals as one measured stream had them, copied and staggered, and without the load
generator, which no production node runs.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from scenarios.profile import NodeSize
from sim.calibration.arrivals import USUAL_STAGGER_S, Arrivals, arrivals_of, replicated
from sim.calibration.evidence import Evidence
from sim.calibration.n_max_search import n_max_of
from sim.calibration.outcome import Outcome, predicted
from sim.calibration.workers import Progress, results_of
from sim.stream_cost import stream_cpu_s

NODE_CORES = (2, 4, 8, 16)
"""Up to a `4xlarge`; larger nodes count as this one, their threads being spread over more of the same."""
MOST_STREAMS = 64
"""By division; a node of more is not looked at: the time it takes grows with them, and what they ask for evens out."""
WINDOW_SEGMENTS = 5
"""After the warm-up."""
HALF, FULL = 0.5, 0.8
"""Shares of N_max at which latency is told."""
OVERLOADED = 1.5
"""Share of N_max at which the growth of the lag is told."""
SEED = 1
DIGITS = 6


def pattern_of(evidence: Evidence) -> Arrivals:
    """Return the chief case's smallest load without its generator, for as long as a size is looked at."""
    runs = evidence.bundle.runs
    of_chief = runs[runs["run"].map(evidence.case_of) == 0].sort_values(["concurrent_streams", "run"])
    load = arrivals_of(evidence.bundle, int(of_chief["run"].iloc[0]))
    first = dataclasses.replace(load, streams=load.streams[:1], has_generator=False)
    return first.until(first.window_start_s + WINDOW_SEGMENTS * load.ladder.segment_s)


def node_sizes(
    pattern: Arrivals,
    values: Mapping[str, float],
    *,
    cores: Sequence[int] = NODE_CORES,
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[NodeSize, ...]:
    """Return what the node model makes of copies of a stream on nodes of several sizes.

    Args:
        pattern: whose first stream is copied.
        values: coefficient key → value.
        cores: those that would hold more than `MOST_STREAMS` are left out.
        workers: processes; no digit depends on it.
        progress: told after each size.

    Raises:
        CalibrationError: the profile lacks a coefficient.
    """
    jobs = {
        count: functools.partial(_node_size, dataclasses.replace(pattern, cores=count), dict(values))
        for count in sorted(cores, reverse=True)  # the largest takes longest, so it starts first
        if count / stream_cpu_s(values, pattern.source, pattern.ladder) <= MOST_STREAMS
    }
    found = results_of(jobs, workers=workers, progress=progress) if jobs else {}
    return tuple(size for _, size in sorted(found.items()) if size is not None)


def _node_size(pattern: Arrivals, values: Mapping[str, float]) -> NodeSize | None:
    """Return one size; None if not even one stream holds there."""
    n_max = n_max_of(pattern, stagger_s=USUAL_STAGGER_S, values=values, seed=SEED)
    if not n_max:
        return None
    whole = _outcome(pattern, n_max, values)
    return NodeSize(
        cores=pattern.cores,
        capacity_streams=n_max,
        usable_core_fraction=_rounded(min(n_max * whole.cpu_s_per_stream_s / pattern.cores, 1.0)),
        segment_publish_half_s=_publish_s(pattern, HALF * n_max, values),
        segment_publish_full_s=_publish_s(pattern, FULL * n_max, values),
        overloaded_lag_s_per_s=_rounded(
            max(_outcome(pattern, math.ceil(OVERLOADED * n_max), values).slope.middle, 0.0)
        ),
    )


def _publish_s(pattern: Arrivals, streams: float, values: Mapping[str, float]) -> float:
    """Return the mean publication at a load, between those of the whole numbers beside it."""
    below = max(int(streams), 1)
    sides = [float(_outcome(pattern, load, values).publish_s.mean()) for load in (below, below + 1)]
    return _rounded(float(np.interp(streams, [below, below + 1], sides)))


def _outcome(pattern: Arrivals, streams: int, values: Mapping[str, float]) -> Outcome:
    return predicted(replicated(pattern, streams, stagger_s=USUAL_STAGGER_S), values=values, seed=SEED)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
