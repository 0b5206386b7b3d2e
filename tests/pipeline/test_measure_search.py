"""Which load comes next, and what a budget allows."""

from __future__ import annotations

import pytest

from pipeline.measure.plan import FEWEST_SEGMENTS, QUICK_SEGMENTS, USUAL_STREAMS, quick_plan
from pipeline.measure.search import Tried, next_load
from scenarios.errors import NotReady


def searched(capacity: int, *, cores: int, cpu_per_stream: float, runs: int) -> list[int]:
    """Return the loads that are run on a machine that holds `capacity` streams."""
    tried: list[Tried] = []
    while (streams := next_load(tried, cores=cores, runs_left=runs - len(tried))) is not None:
        tried.append(Tried(streams, streams <= capacity, min(streams * cpu_per_stream, cores)))
    return [load.streams for load in tried]


def test_two_cores_are_bracketed_in_five_runs():
    assert searched(4, cores=2, cpu_per_stream=0.4, runs=5) == [1, 2, 4, 6, 5]
    assert searched(5, cores=2, cpu_per_stream=0.38, runs=5) == [1, 2, 4, 6, 5]
    assert searched(2, cores=2, cpu_per_stream=0.8, runs=5) == [1, 2, 3, 1]


@pytest.mark.parametrize(("cores", "capacity"), [(1, 2), (2, 4), (4, 9), (16, 37), (64, 150)])
def test_a_load_that_holds_and_one_that_does_not_are_always_found(cores, capacity):
    loads = searched(capacity, cores=cores, cpu_per_stream=0.4, runs=5)
    assert len(loads) <= 5
    assert min(loads) == 1
    assert any(load <= capacity for load in loads)
    assert any(load > capacity for load in loads)
    assert sorted(set(loads)) == sorted(loads)[loads.count(1) - 1 :]  # only one stream is ever run again
    assert loads.count(1) <= 2


def test_with_runs_to_spare_the_largest_load_is_found_exactly():
    loads = searched(37, cores=16, cpu_per_stream=0.4, runs=30)
    assert {37, 38} <= set(loads)


def test_a_machine_that_cannot_carry_one_stream_is_not_asked_again():
    assert searched(0, cores=1, cpu_per_stream=1.4, runs=5) == [1]


def test_a_void_run_is_run_again_as_it_is_not_among_the_tried():
    assert next_load([], cores=2, runs_left=4) == 1
    assert next_load([], cores=2, runs_left=0) is None


def test_the_quick_budget_holds_five_loads_of_enough_segments():
    plan = quick_plan(budget_s=150.0, segment_s=2.0)
    assert plan.runs == 5
    assert FEWEST_SEGMENTS <= plan.segments <= QUICK_SEGMENTS
    assert plan.runs * plan.run_s(USUAL_STREAMS) < 150
    assert "150 s" in plan.describe()


def test_long_segments_leave_fewer_loads_and_a_short_budget_none():
    assert quick_plan(budget_s=150.0, segment_s=4.0).runs in {2, 3}
    with pytest.raises(NotReady, match="60 s are too short"):
        quick_plan(budget_s=60.0, segment_s=4.0)
