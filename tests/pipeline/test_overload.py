"""Overload of a running server is declared by slope, once, and taken back when the stream has caught up."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.marks import SegmentMark
from pipeline.overload import WINDOW_SEGMENTS, OverloadWatch


def close(watch: OverloadWatch, number: int, lag_s: float, *, rung: str = "720p30", stream: str = "cam") -> None:
    arrival_s = 100.0 + 2.0 * number
    watch.segment_closed(SegmentMark(stream, rung, number, arrival_s - 2, arrival_s, arrival_s + lag_s, 2.0, 1000))


@pytest.fixture
def said() -> list[str]:
    return []


def test_a_lag_that_grows_is_declared_once(said):
    watch = OverloadWatch(said.append)
    for number in range(20):
        close(watch, number, 0.05 + 0.1 * number)
    assert said == ["cam is overloaded: 0.75 s behind, growing by 0.048 s/s; run fewer streams or rungs"]
    assert watch.overloaded == {"cam"}


def test_a_large_lag_that_does_not_grow_is_none(said):
    watch, rng = OverloadWatch(said.append), np.random.default_rng(1)
    for number in range(60):
        close(watch, number, 3.0 + rng.normal(0, 0.004))
    assert (said, watch.overloaded) == ([], frozenset())


def test_a_full_queue_stays_overload_until_the_lag_is_back(said):
    watch = OverloadWatch(said.append)
    lags_s = [0.05] * 4 + [0.05 + 0.5 * step for step in range(8)] + [4.0] * 20
    for number, lag_s in enumerate(lags_s):
        close(watch, number, lag_s)
    assert watch.overloaded == {"cam"}
    close(watch, len(lags_s), 0.05)
    assert watch.overloaded == frozenset()
    assert said[1:] == ["cam has caught up"]


def test_rungs_do_not_count_twice_and_streams_are_apart(said):
    watch = OverloadWatch(said.append)
    for number in range(WINDOW_SEGMENTS):
        close(watch, number, 0.05 + 0.1 * number)
        close(watch, number, 9.0 - number, rung="480p30")
        close(watch, number, 0.05, stream="other")
    assert watch.overloaded == {"cam"}


def test_another_publisher_starts_anew(said):
    watch = OverloadWatch(said.append)
    for number in range(WINDOW_SEGMENTS):
        close(watch, number, 0.1 * number)
    watch.published("cam", 200.0)
    assert watch.overloaded == frozenset()
    for number in range(30):
        close(watch, number, 0.05)
    assert len(said) == 1
