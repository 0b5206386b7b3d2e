"""Which load to run next: double until one does not hold, then bisect, with a known number of runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

REPEATS = 2
"""Runs of one stream, as far as runs are left."""


class Tried(NamedTuple):
    """A load that was run and is not void.

    Attributes:
        streams: how many at once.
        holds: whether its backlog did not grow.
        cores_in_use: CPU of the server ÷ wall-clock time.
    """

    streams: int
    holds: bool
    cores_in_use: float


def next_load(tried: Sequence[Tried], *, cores: int, runs_left: int) -> int | None:
    """Return the number of streams to run next, or None when the answer is known or no run is left.

    Doubling goes no further than one stream beyond cores ÷ CPU per stream, which cannot hold; it goes faster
    where that is so far away that doubling would not reach it with the runs that are left. Once the largest
    load that holds is known, one stream is run a second time, if a run is left: two runs of one load are the
    only measure of how far any of the figures can be trusted.
    """
    if runs_left < 1:
        return None
    if not tried:
        return 1
    failing = min((load.streams for load in tried if not load.holds), default=None)
    holding = [load for load in tried if load.holds and (failing is None or load.streams < failing)]
    if not holding:
        return None
    largest = max(holding)
    if failing is not None and failing - largest.streams > 1:
        return (largest.streams + failing) // 2
    if failing is not None:
        return 1 if sum(load.streams == 1 for load in tried) < REPEATS else None
    hopeless = math.floor(cores * largest.streams / max(largest.cores_in_use, 1e-6)) + 1
    stride = max(2.0, (hopeless / largest.streams) ** (1 / max(runs_left - 1, 1)))
    return max(min(math.floor(largest.streams * stride), hopeless), largest.streams + 1)
