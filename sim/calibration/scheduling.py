"""How a machine's operating system gives its cores to threads, fitted to the latencies of loads that hold.

Three numbers stand between CPU times and latencies (`sim.calibration.cores.Scheduling`). No trace of the scheduler is
needed for them: the node model runs the measured loads with service times from the laws, once for each triple of a
grid, and the triple whose latencies are nearest to the measured ones is taken. Nearest is the least mean square of
the logarithm of predicted ÷ measured over loads and `FIGURES`. A second grid, around the best of the first, has half
its steps.

Draws resample the loads and take the best triple for each resample, of those that were tried; no run is needed again.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sim.calibration.arrivals import Arrivals, Floats
from sim.calibration.cores import Scheduling
from sim.calibration.node import run_node
from sim.calibration.outcome import Outcome, outcome_of
from sim.calibration.service import StreamService, service_times
from sim.calibration.workers import results_of

LARGEST_SHARE = 0.8
"""Of N_max; above it latency is the length of the test."""
LOADS_OF_A_CASE = 3
WINDOW_S = 8.0
"""Of each load, after the warm-up: enough for a mean, and a grid of runs stays affordable."""
GRID = {
    "waker_core_share": (0.2, 0.5, 0.8, 1.0),
    "idle_pull_delay_s": (0.002, 0.008, 0.032),
    "wake_up_s": (0.0, 0.0002, 0.0004),
}
"""First grid. Delays are spaced by factors where 0 makes no sense."""
SEED = 1


@dataclass(frozen=True)
class ObservedLoad:
    """A load that holds, and the latencies it had.

    Attributes:
        arrivals: all that the model may know of it.
        outcome: what was measured.
    """

    arrivals: Arrivals
    outcome: Outcome


@dataclass(frozen=True)
class Fitted:
    """Triples that were tried and how far off each was.

    Attributes:
        tried: one row per triple, columns as the fields of `Scheduling`.
        loss: mean square error of the logarithms, shape (triples, loads).
    """

    tried: pd.DataFrame
    loss: Floats

    @property
    def best(self) -> Scheduling:
        """The triple with the least loss over all loads."""
        return _triple(self.tried, int(self.loss.mean(axis=1).argmin()))

    @property
    def rms_error(self) -> float:
        """Root mean square of the logarithms that is left at the best triple."""
        return math.sqrt(float(self.loss.mean(axis=1).min()))

    def draws(self, count: int, rng: np.random.Generator) -> pd.DataFrame:
        """Return the best triple of each of `count` resamples of the loads, columns as in `tried`."""
        loads = self.loss.shape[1]
        picked = rng.integers(0, loads, size=(count, loads))
        return self.tried.iloc[self.loss[:, picked].mean(axis=2).argmin(axis=0)].reset_index(drop=True)


def fit_scheduling(
    loads: Sequence[ObservedLoad], values: Mapping[str, float], *, workers: int = 1, executor: Executor | None = None
) -> Fitted:
    """Return the triples that were tried on the loads.

    Args:
        loads: at least one, all below `LARGEST_SHARE` of N_max.
        values: coefficient key → value, all but the three.
        workers: processes.
        executor: used instead of own processes.
    """
    known = [(load, service_times(load.arrivals, values=values, seed=SEED)) for load in loads]
    first = [Scheduling(*triple) for triple in itertools.product(*GRID.values())]
    losses = _losses(first, known, workers, executor)
    best = first[int(losses.mean(axis=1).argmin())]
    second = [triple for triple in _around(best) if triple not in first]
    losses = np.vstack([losses, _losses(second, known, workers, executor)])
    return Fitted(pd.DataFrame([vars(triple) for triple in first + second]), losses)


def _losses(
    triples: Sequence[Scheduling],
    known: Sequence[tuple[ObservedLoad, tuple[StreamService, ...]]],
    workers: int,
    executor: Executor | None,
) -> Floats:
    """Return the loss of each triple at each load, shape (triples, loads)."""
    jobs = {
        position: functools.partial(_of_load, load, services, tuple(triples))
        for position, (load, services) in enumerate(known)
    }
    found = results_of(jobs, workers=workers, executor=executor)
    return np.array([found[position] for position in range(len(known))]).T


def _of_load(
    load: ObservedLoad, services: tuple[StreamService, ...], triples: tuple[Scheduling, ...]
) -> list[float]:
    seen = _latencies(load.outcome)
    losses = []
    for triple in triples:
        records = run_node(load.arrivals, services, scheduling=triple, seed=SEED)
        foreseen = _latencies(outcome_of(load.arrivals, services, records))
        losses.append(float(np.mean(np.log(foreseen / seen) ** 2)))
    return losses


def _latencies(outcome: Outcome) -> Floats:
    """Return what is fitted: mean publication, mean frame latency and its 95 % quantile."""
    frames = outcome.frame_latency_s
    return np.array([float(outcome.publish_s.mean()), float(frames.mean()), float(np.quantile(frames, 0.95))])


def _around(best: Scheduling) -> list[Scheduling]:
    shares = sorted({min(max(best.waker_core_share + step, 0.0), 1.0) for step in (-0.15, 0.0, 0.15)})
    pulls = [best.idle_pull_delay_s * factor for factor in (0.5, 1.0, 2.0)]
    wakes = sorted({max(best.wake_up_s + step, 0.0) for step in (-0.0001, 0.0, 0.0001)})
    return [Scheduling(*triple) for triple in itertools.product(shares, pulls, wakes)]


def _triple(tried: pd.DataFrame, row: int) -> Scheduling:
    return Scheduling(**{str(name): float(value) for name, value in tried.iloc[row].items()})
