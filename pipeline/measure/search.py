"""Which load to run next: double until one does not hold, bisect, then repeat what the answer rests on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


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
    where that is so far away that doubling would not reach it with the runs that are left.
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
    if failing is not None:
        return (largest.streams + failing) // 2 if failing - largest.streams > 1 else None
    hopeless = math.floor(cores * largest.streams / max(largest.cores_in_use, 1e-6)) + 1
    stride = max(2.0, (hopeless / largest.streams) ** (1 / max(runs_left - 1, 1)))
    return max(min(math.floor(largest.streams * stride), hopeless), largest.streams + 1)


def next_repeat(tried: Sequence[Tried], *, repeats: int, base_repeats: int, runs_left: int) -> int | None:
    """Return the load to run again once `next_load` knows its answer, or None when nothing is left to repeat.

    The largest load that holds is run until it was run `repeats` times: two runs of one load are the only measure of
    how far any figure can be trusted. If most of them fail after all, the search goes on below it. One stream, from
    which costs are taken, is run `base_repeats` times; the two take turns, so that repeats lie apart in time.
    """
    if runs_left < 1:
        return None
    largest, failing = capacity(tried, repeats=repeats)
    if largest is None:
        return None
    runs = Counter(load.streams for load in tried)
    if failing is not None and failing - largest > 1:
        turned = any(load.holds for load in tried if load.streams == failing)
        return failing - 1 if turned else (largest + failing) // 2
    wanted = [load for load, most in ((largest, repeats), (1, base_repeats)) if runs[load] < most]
    apart = [load for load in wanted if load != tried[-1].streams]
    return next(iter(apart or wanted), None)


def capacity(tried: Sequence[Tried], *, repeats: int = 1) -> tuple[int | None, int | None]:
    """Return the largest load that holds below the smallest that does not, and the latter; None where there is none.

    A load holds if most of its runs do; as long as it was not run `repeats` times, half of them are enough.
    """
    runs = Counter(load.streams for load in tried)
    passes = Counter(load.streams for load in tried if load.holds)
    fails = [load for load in runs if 2 * passes[load] < runs[load] or (2 * passes[load] == runs[load] >= repeats)]
    failing = min(fails, default=None)
    below = [load for load in runs if load not in fails and (failing is None or load < failing)]
    return max(below, default=None), failing
