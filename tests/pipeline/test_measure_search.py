"""Which load comes next, what is repeated, and when a series is over."""

from __future__ import annotations

import pytest

from pipeline.load.clip import DEFAULT_SOURCE
from pipeline.measure.agenda import MOST_VOID, Agenda
from pipeline.measure.plan import Case, Series
from pipeline.measure.search import Tried, capacity, next_load, next_repeat
from pipeline.serve import BUILT_IN_LADDER

CASE = Case("ladder", BUILT_IN_LADDER, DEFAULT_SOURCE, "ultrafast")


def run_of(streams: int, *, holds: bool, cpu_per_stream: float = 0.4, cores: int = 2) -> Tried:
    return Tried(streams, holds, min(streams * cpu_per_stream, cores))


def searched(capacity: int, *, cores: int, cpu_per_stream: float, runs: int, repeats: int = 1) -> list[int]:
    """Return the loads that are run on a machine that holds `capacity` streams."""
    agenda = Agenda(Series(CASE, repeats=repeats, most_runs=runs), cores=cores)
    while (streams := agenda.first()) is not None or (streams := agenda.again()) is not None:
        agenda.took(streams, run_of(streams, holds=streams <= capacity, cpu_per_stream=cpu_per_stream, cores=cores))
    return [load.streams for load in agenda.tried]


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


def test_the_last_pass_is_run_three_times_in_turns_with_one_stream():
    assert searched(4, cores=2, cpu_per_stream=0.4, runs=30, repeats=3) == [1, 2, 4, 6, 5, 4, 1, 4]
    assert searched(1, cores=2, cpu_per_stream=1.2, runs=30, repeats=3) == [1, 2, 1, 1]


def test_a_load_that_passed_once_and_fails_twice_is_left_for_the_one_below():
    tried = [run_of(n, holds=holds) for n, holds in ((1, True), (2, True), (4, True), (8, True), (9, False))]
    options = {"repeats": 3, "base_repeats": 1, "runs_left": 9}
    assert next_repeat(tried, **options) == 8
    tried.append(run_of(8, holds=False))
    assert next_repeat(tried, **options) == 8  # one of two: not decided yet
    tried.append(run_of(8, holds=False))
    assert capacity(tried, repeats=3) == (4, 8)
    assert next_repeat(tried, **options) == 7
    tried.append(run_of(7, holds=True))
    assert next_repeat(tried, **options) == 7
    tried += [run_of(7, holds=False), run_of(7, holds=True)]
    assert capacity(tried, repeats=3) == (7, 8)
    assert next_repeat(tried, **options) is None


def test_what_lies_below_a_load_that_never_held_is_searched():
    tried = [run_of(n, holds=holds) for n, holds in ((1, True), (4, True), (8, False))]
    assert next_repeat(tried, repeats=1, base_repeats=1, runs_left=9) == 6
    assert next_repeat(tried, repeats=1, base_repeats=1, runs_left=0) is None


def test_a_machine_that_cannot_carry_one_stream_is_not_asked_again():
    assert searched(0, cores=1, cpu_per_stream=1.4, runs=5) == [1]
    assert capacity([run_of(1, holds=False)]) == (None, 1)


def test_the_search_ends_with_its_runs():
    assert next_load([], cores=2, runs_left=4) == 1
    assert next_load([], cores=2, runs_left=0) is None


def test_a_void_run_is_run_again_at_most_twice_and_what_never_stood_is_unmet():
    agenda = Agenda(Series(CASE), cores=2)
    for _ in range(MOST_VOID - 1):
        agenda.took(1, None)
        assert agenda.first() == 1
    assert agenda.unmet == {1}
    agenda.took(1, run_of(1, holds=True))
    assert (agenda.unmet, agenda.first()) == (set(), 2)
    for _ in range(MOST_VOID):
        agenda.took(2, None)
    assert agenda.first() is None
    assert agenda.again() is None
    assert agenda.unmet == {2}


def test_given_loads_are_run_in_rounds_the_next_only_where_the_one_before_holds():
    agenda = Agenda(Series(CASE, loads=(1, 2), repeats=2), cores=2)
    assert agenda.first() == 1
    agenda.took(1, run_of(1, holds=True))
    assert agenda.first() == 2
    agenda.took(2, run_of(2, holds=True))
    assert agenda.first() is None
    assert agenda.again() == 1
    agenda.took(1, run_of(1, holds=True))
    assert agenda.again() == 2
    agenda.took(2, run_of(2, holds=False))
    assert agenda.again() is None
    alone = Agenda(Series(CASE, loads=(1, 2), repeats=1), cores=2)
    alone.took(1, run_of(1, holds=False))
    assert (alone.first(), alone.again()) == (None, None)
