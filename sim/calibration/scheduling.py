"""How a machine's operating system gives its cores to threads, fitted to the latencies of loads that hold.

Three numbers stand between CPU times and latencies (`sim.calibration.cores.Scheduling`). No trace of the scheduler is
needed for them: the node model runs the measured loads with service times from the laws, once for each triple of a
grid, and the triple whose latencies are nearest to the measured ones is taken. Nearest is the least mean square of
the logarithm of predicted ÷ measured over loads, of mean publication, mean frame latency and its 95 % quantile. A
second grid, around the best of the first, has half its steps.

Draws resample the loads and take the best triple for each resample, of those that were tried; no run is needed again.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.calibration.arrivals import Arrivals, Floats, arrivals_of
from sim.calibration.cores import Scheduling
from sim.calibration.evidence import Case, Evidence
from sim.calibration.node import NodeRecords, run_node
from sim.calibration.outcome import SEGMENT, cpu_s_per_stream_s, measured
from sim.calibration.service import StreamService, service_times
from sim.calibration.speed import slowed
from sim.calibration.tables import Bundle
from sim.calibration.workers import Progress, part_of, results_of

LARGEST_SHARE = 0.8
"""Of N_max; above it latency is the length of the test."""
LOADS_OF_A_CASE = 3
WINDOW_SEGMENTS = 4
"""Of each load, after the warm-up: enough for a mean, and a grid of runs stays affordable."""
GRID = {
    "waker_core_share": (0.2, 0.5, 0.8, 1.0),
    "idle_pull_delay_s": (0.002, 0.008, 0.032),
    "wake_up_s": (0.0, 0.0002, 0.0004),
}
"""First grid. Delays are spaced by factors where 0 makes no sense."""
GRIDS = 2
SEED = 1


@dataclass(frozen=True)
class ObservedLoad:
    """A load that holds, and the latencies it had.

    Attributes:
        arrivals: all that the model may know of it.
        latencies_s: what was measured, see `_latencies`.
        cpu_s_per_stream_s: of the whole server process in the whole run.
    """

    arrivals: Arrivals
    latencies_s: Floats
    cpu_s_per_stream_s: float


@dataclass(frozen=True)
class Fitted:
    """Triples that were tried and how far off each was.

    Attributes:
        tried: one row per triple, columns as the fields of `Scheduling`.
        loss: mean square error of the logarithms, shape (triples, loads).
    """

    tried: pd.DataFrame
    loss: Floats

    @classmethod
    def known(cls, scheduling: Scheduling) -> Fitted:
        """Return the one triple that is taken as known."""
        return cls(pd.DataFrame([vars(scheduling)]), np.zeros((1, 0)))

    def __str__(self) -> str:
        if not self.loss.size:
            return "taken from another measurement of the machine"
        return f"latencies of {self.loss.shape[1]} loads met to ±{self.rms_error:.1%} rms"

    @property
    def best(self) -> Scheduling:
        """The triple with the least loss over all loads."""
        return _triple(self.tried, int(self.loss.sum(axis=1).argmin()))

    @property
    def rms_error(self) -> float:
        """Root mean square of the logarithms that is left at the best triple."""
        return math.sqrt(float(self.loss.mean(axis=1).min()))

    def draws(self, count: int, rng: np.random.Generator) -> pd.DataFrame:
        """Return the best triple of each of `count` resamples of the loads, columns as in `tried`."""
        loads = self.loss.shape[1]
        picked = rng.integers(0, max(loads, 1), size=(count, loads))
        return self.tried.iloc[self.loss[:, picked].sum(axis=2).argmin(axis=0)].reset_index(drop=True)


def observed_loads(evidence: Evidence) -> list[ObservedLoad]:
    """Return some loads of every case of the fitted preset, the first run of each."""
    runs = evidence.bundle.runs
    found = []
    for number, case in enumerate(evidence.cases):
        if case.preset != evidence.preset:
            continue
        for load in _some_loads(case):
            of_load = runs[(runs["concurrent_streams"] == load) & (runs["run"].map(evidence.case_of) == number)]
            found.append(_observed(evidence.bundle, int(of_load["run"].iloc[0])))
    return found


def fit_scheduling(
    loads: Sequence[ObservedLoad],
    values: Mapping[str, float],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Fitted:
    """Return the triples that were tried on the loads.

    Args:
        loads: at least one.
        values: coefficient key → value, all but the three.
        workers: processes; no digit depends on it.
        progress: told after each load of each of the two grids.
    """
    known = [(load, _services(load, values)) for load in loads]
    first = [Scheduling(*triple) for triple in itertools.product(*GRID.values())]
    total = GRIDS * len(known)
    losses = _losses(first, known, workers, part_of(progress, 0, total))
    best = first[int(losses.mean(axis=1).argmin())]
    second = [triple for triple in _around(best) if triple not in first]
    losses = np.vstack([losses, _losses(second, known, workers, part_of(progress, len(known), total))])
    return Fitted(pd.DataFrame([vars(triple) for triple in first + second]), losses)


def _services(load: ObservedLoad, values: Mapping[str, float]) -> tuple[StreamService, ...]:
    """Return service times that cost in all what was measured: an error of the laws is not the scheduler's."""
    expected = cpu_s_per_stream_s(load.arrivals, service_times(load.arrivals, values=values, seed=SEED))
    return service_times(load.arrivals, values=slowed(values, load.cpu_s_per_stream_s / expected), seed=SEED)


def _losses(
    triples: Sequence[Scheduling],
    known: Sequence[tuple[ObservedLoad, tuple[StreamService, ...]]],
    workers: int,
    progress: Progress | None,
) -> Floats:
    """Return the loss of each triple at each load, shape (triples, loads)."""
    jobs = {
        position: functools.partial(_of_load, load, services, tuple(triples))
        for position, (load, services) in enumerate(known)
    }
    found = results_of(jobs, workers=workers, progress=progress)
    return np.array([found[position] for position in range(len(known))]).T


def _of_load(load: ObservedLoad, services: tuple[StreamService, ...], triples: tuple[Scheduling, ...]) -> list[float]:
    losses = []
    for triple in triples:
        records = run_node(load.arrivals, services, scheduling=triple, seed=SEED)
        foreseen_s = _predicted_latencies(load.arrivals, records)
        losses.append(float(np.mean(np.log(foreseen_s / load.latencies_s) ** 2)))
    return losses


def _some_loads(case: Case) -> list[int]:
    """Return the smallest, the middle and the largest load of a case within `LARGEST_SHARE` of its N_max."""
    most = case.capacity_streams * (LARGEST_SHARE if case.overloaded_streams else 1.0)
    within = [load for load in case.loads if load <= most] or [load for load in case.loads[:1] if case.capacity_streams]
    picked = np.linspace(0, len(within) - 1, min(LOADS_OF_A_CASE, len(within))).round().astype(int)
    return [within[position] for position in picked]


def _observed(bundle: Bundle, run: int) -> ObservedLoad:
    """Return arrivals and latencies of the first segments of a run after its warm-up."""
    arrivals = arrivals_of(bundle, run)
    end_s = arrivals.window_start_s + WINDOW_SEGMENTS * arrivals.ladder.segment_s
    frames = bundle.frames[(bundle.frames["run"] == run) & (bundle.frames["arrival_s"] <= end_s)]
    rungs = bundle.rungs.merge(frames[["run", "stream", "frame"]], on=["run", "stream", "frame"])
    segments = bundle.segments[(bundle.segments["run"] == run) & (bundle.segments["closing_arrival_s"] <= end_s)]
    seen = measured(dataclasses.replace(bundle, frames=frames, rungs=rungs, segments=segments), run)
    latencies_s = _latencies(seen.frame_latency_s, seen.publish_s.to_numpy(float))
    return ObservedLoad(arrivals.until(end_s), latencies_s, seen.cpu_s_per_stream_s)


def _predicted_latencies(arrivals: Arrivals, records: NodeRecords) -> Floats:
    start_s = arrivals.window_start_s
    frames = records.frames[records.frames["arrival_s"] >= start_s]
    segments = records.segments[records.segments["first_arrival_s"] >= start_s].set_index(SEGMENT)
    return _latencies(
        (frames["encoded_s"] - frames["arrival_s"]).dropna().to_numpy(float),
        (segments["closed_s"] - segments["closing_arrival_s"]).to_numpy(float),
    )


def _latencies(frame_s: Floats, publish_s: Floats) -> Floats:
    """Return what is fitted: mean publication, mean latency of a frame, and its 95 % quantile."""
    return np.array([publish_s.mean(), frame_s.mean(), np.quantile(frame_s, 0.95)])


def _around(best: Scheduling) -> Iterator[Scheduling]:
    """Yield the second grid."""
    shares = sorted({min(max(best.waker_core_share + step, 0.0), 1.0) for step in (-0.15, 0.0, 0.15)})
    pulls = [best.idle_pull_delay_s * factor for factor in (0.5, 1.0, 2.0)]
    wakes = sorted({max(best.wake_up_s + step, 0.0) for step in (-0.0001, 0.0, 0.0001)})
    for triple in itertools.product(shares, pulls, wakes):
        yield Scheduling(*triple)


def _triple(tried: pd.DataFrame, row: int) -> Scheduling:
    return Scheduling(**{str(name): float(value) for name, value in tried.iloc[row].items()})
