"""When is a load too much? One definition of a growing backlog, for the load test and for its replay.

A latency threshold would measure the length of the test: an overloaded server is only later the longer one
waits. What tells is the *slope* of the lag. Pure Python, because both halves use it and neither may import
the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scenarios.errors import CalibrationError

NORMAL_975 = 1.959963984540054
FEWEST_POINTS = 3


class Slope(NamedTuple):
    """Growth of a lag with its 95 % interval, in seconds of lag per second."""

    middle: float
    low: float
    high: float


def student_t_975(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t.

    Closed forms for 1 and 2 degrees of freedom; from 3 on the asymptotic expansion of Abramowitz & Stegun
    (1972), 26.7.5, whose error is under 0.2 %.
    """
    if degrees < 1:
        raise ValueError(f"degrees of freedom must be at least 1, not {degrees}")
    if degrees == 1:
        return math.tan(0.475 * math.pi)
    if degrees == 2:
        return 0.95 / math.sqrt(2 * 0.025 * 0.975)
    z = NORMAL_975
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / degrees**power for power, term in enumerate(terms, start=1))


def backlog_slope(moments_s: Sequence[float], lags_s: Sequence[float]) -> Slope:
    """Return the least-squares slope of lag over time with its 95 % t interval.

    Args:
        moments_s: when each lag was seen; give one point per segment (the mean over frames, rungs and
            streams), as the lags of one moment move together and would count as evidence many times over.
        lags_s: the lag at each moment, in seconds.

    Raises:
        CalibrationError: fewer than three points, or all at one moment.
    """
    points = len(moments_s)
    if points != len(lags_s):
        raise ValueError(f"{points} moments but {len(lags_s)} lags")
    if points < FEWEST_POINTS or max(moments_s) <= min(moments_s):
        raise CalibrationError(
            f"a backlog slope needs at least {FEWEST_POINTS} segments after the warm-up, there are {points}; "
            "measure longer"
        )
    mean_moment, mean_lag = math.fsum(moments_s) / points, math.fsum(lags_s) / points
    spread = math.fsum((moment - mean_moment) ** 2 for moment in moments_s)
    pairs = list(zip(moments_s, lags_s, strict=True))
    slope = math.fsum((moment - mean_moment) * (lag - mean_lag) for moment, lag in pairs) / spread
    residual = math.fsum((lag - mean_lag - slope * (moment - mean_moment)) ** 2 for moment, lag in pairs)
    half_width = student_t_975(points - 2) * math.sqrt(residual / (points - 2) / spread)
    return Slope(slope, slope - half_width, slope + half_width)


def lag_by_segment(
    moments_s: Sequence[float], lags_s: Sequence[float], *, start_s: float, end_s: float, segment_s: float
) -> tuple[list[float], list[float]]:
    """Return the middle of each segment length within [start_s, end_s) and the mean lag of its frames.

    Only whole segment lengths count, and only those in which a frame was seen.

    Args:
        moments_s: when each frame of any stream and rung came.
        lags_s: how much later it was done.
        start_s: end of the warm-up.
        end_s: when the load ended.
        segment_s: length of a segment.
    """
    whole = int((end_s - start_s) / segment_s + 1e-9)
    sums, counts = [0.0] * whole, [0] * whole
    for moment, lag in zip(moments_s, lags_s, strict=True):
        position = math.floor((moment - start_s) / segment_s)
        if 0 <= position < whole:
            sums[position] += lag
            counts[position] += 1
    seen = [position for position in range(whole) if counts[position]]
    return [start_s + (position + 0.5) * segment_s for position in seen], [
        sums[position] / counts[position] for position in seen
    ]


def grows(slope: Slope, *, window_s: float, frame_interval_s: float) -> bool:
    """Return whether a backlog grew: with 95 % confidence, and by more than can be resolved.

    Growth of less than one frame interval over the whole window is beyond the resolution of a server that
    works frame by frame, however steady it looks, and does not count.
    """
    return slope.low > 0 and slope.middle * window_s > frame_interval_s
