"""The figures read off the runs of one load, and how well the measurement itself knows them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sim.calibration.arrivals import Floats
from sim.calibration.outcome import Outcome

FEWEST_FOR_P99 = 1000
"""Segments of one load, each rung counted, below which a 99 % quantile says more of chance than of the server."""
MOST_HALVINGS = 126
"""Halvings of the repeats that are looked at: all of them for up to ten repeats, evenly chosen ones for more."""


@dataclass(frozen=True)
class Figure:
    """A number read off the runs of one load.

    Attributes:
        unit: as printed.
        relative: its error is a fraction of the measured value; else a difference.
        values: what one run adds to the pool.
        of_pool: the number, of everything that was pooled.
        fewest: pooled values below which there is no number.
        target: error that is good enough, a fraction; None where none was set.
    """

    unit: str
    relative: bool
    values: Callable[[Outcome], Floats]
    of_pool: Callable[[Floats], float]
    fewest: int = 1
    target: float | None = None

    def of(self, runs: Sequence[Outcome]) -> float:
        """Return the figure of pooled runs; NaN where they cannot tell."""
        return self._of(runs, fewest=self.fewest)

    def of_half(self, runs: Sequence[Outcome]) -> float:
        """Return the figure of half the runs of a load, for its noise floor alone; NaN where they are empty."""
        return self._of(runs, fewest=1)

    def error(self, *, predicted: float, measured: float) -> float:
        """Return the signed error of a prediction; NaN where either is missing, or a fraction of nothing."""
        if not self.relative:
            return predicted - measured
        return (predicted - measured) / measured if measured else math.nan

    def _of(self, runs: Sequence[Outcome], *, fewest: int) -> float:
        pool = np.concatenate([self.values(run) for run in runs])
        return self.of_pool(pool) if pool.size >= fewest else math.nan


def _publish(run: Outcome) -> Floats:
    values: Floats = run.publish_s.to_numpy(float)
    return values


def _frame_latency(run: Outcome) -> Floats:
    return run.frame_latency_s


def _cpu(run: Outcome) -> Floats:
    return np.array([run.cpu_s_per_stream_s])


def _startup(run: Outcome) -> Floats:
    return run.startup_s


def _slope(run: Outcome) -> Floats:
    return np.array([run.slope.middle])


def _overloaded(run: Outcome) -> Floats:
    return np.array([float(not run.holds)])


def _mean(values: Floats) -> float:
    return float(values.mean())


def _quantile(share: float) -> Callable[[Floats], float]:
    return lambda values: float(np.quantile(values, share))


def _majority(values: Floats) -> float:
    return float(values.mean() >= 0.5)


FIGURES = {
    "segment_publish_mean": Figure("s", True, _publish, _mean, target=0.05),
    "segment_publish_p95": Figure("s", True, _publish, _quantile(0.95)),
    "segment_publish_p99": Figure("s", True, _publish, _quantile(0.99), fewest=FEWEST_FOR_P99),
    "frame_p95": Figure("s", True, _frame_latency, _quantile(0.95), target=0.10),
    "cpu": Figure("core-s/stream-s", True, _cpu, _mean, target=0.03),
    "startup": Figure("s", True, _startup, _mean),
    "backlog_slope": Figure("s/s", False, _slope, _mean),
    "overloaded": Figure("1", False, _overloaded, _majority),
}
"""Every figure of a load, by name. N_max is one of a whole search and stands apart."""


def halvings(count: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield the ways to part an even number of repeats into two equal halves, each way once.

    Six repeats have exactly ten. Of more than `MOST_HALVINGS` ways every n-th is taken.
    """
    # The half that lacks the first repeat is the same way, seen from the other side.
    ways = [(0, *rest) for rest in itertools.combinations(range(1, count), count // 2 - 1)]
    for half in ways[:: math.ceil(len(ways) / MOST_HALVINGS)]:
        yield half, tuple(position for position in range(count) if position not in half)


def noise_floor(figure: Figure, runs: Sequence[Outcome]) -> float:
    """Return the median difference of a figure between pooled halves of a load's repeats, as an error.

    Of an odd number of repeats the first is left out, so that halves are equal: it is the one that a search ran. NaN:
    there was one repeat, so it was not measured, or the load has no such figure.
    """
    if len(runs) < 2 or math.isnan(figure.of(runs)):
        return math.nan
    even = runs[len(runs) % 2 :]
    differences = []
    for half, rest in halvings(len(even)):
        one, other = (figure.of_half([even[position] for position in part]) for part in (half, rest))
        scale = (one + other) / 2 if figure.relative else 1.0
        differences.append(abs(one - other) / scale if scale else math.nan)
    return float(np.median(differences))
