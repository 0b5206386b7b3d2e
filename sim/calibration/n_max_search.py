"""The largest load that the node model holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sim.calibration.arrivals import Arrivals, replicated
from sim.calibration.outcome import predicted
from sim.stream_cost import stream_cpu_s

RUNS = 3
"""Of each load; one run in forty of a load that holds looks like a growing backlog."""


def majority(agrees: Callable[[int], bool], *, of: int) -> bool:
    """Return what most of an odd number of runs say; no more are asked than are needed."""
    votes = {True: 0, False: 0}
    for run in range(of):
        votes[agrees(run)] += 1
        if max(votes.values()) > of // 2:
            break
    return votes[True] > votes[False]


def predicted_n_max(holds: Callable[[int], bool], *, naive: int) -> int:
    """Return the largest number of streams that holds; the search starts where division says it is.

    Strides double, away from the guess, until the answer is bracketed; then it is bisected.

    Args:
        holds: whether a load holds; asked at most once for each.
        naive: cores ÷ CPU per stream. More than twice as many cannot hold, and are not tried.
    """
    guess = max(naive, 1)
    largest, failing = (guess, 2 * guess + 1) if holds(guess) else (0, guess)
    stride = 1
    while failing - largest > 1:
        middle = (largest + failing) // 2
        near = min(largest + stride, middle) if largest >= guess else max(failing - stride, middle)
        if holds(near):
            largest = near
        else:
            failing = near
        stride *= 2
    return largest


def n_max_of(pattern: Arrivals, *, stagger_s: float, values: Mapping[str, float], seed: int) -> int:
    """Return the largest number of copies of a load's first stream that the model holds, by the majority of `RUNS`.

    Args:
        pattern: whose first stream is copied.
        stagger_s: between the starts of two streams.
        values: coefficient key → value.
        seed: of the service times.
    """

    def one_holds(streams: int, run: int) -> bool:
        load = replicated(pattern, streams, stagger_s=stagger_s)
        return predicted(load, values=values, seed=seed + run).holds

    def holds(streams: int) -> bool:
        return majority(lambda run: one_holds(streams, run), of=RUNS)

    cpu_s_per_stream_s = stream_cpu_s(values, pattern.source, pattern.ladder)
    return predicted_n_max(holds, naive=math.floor(pattern.cores / cpu_s_per_stream_s + 1e-9))
