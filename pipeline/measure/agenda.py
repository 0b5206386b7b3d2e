"""The state of one series: what was run of it, and what is next."""

from __future__ import annotations

from collections import Counter

from pipeline.measure.plan import Series
from pipeline.measure.search import Tried, next_load, next_repeat

MOST_VOID = 3
"""Runs of one load in a row that may be void before it is given up, and with it the rest of its series."""


class Agenda:
    """What is to be run of a series: first every load once, later the repeats.

    Attributes:
        series: what is run.
        tried: its runs that stand, in their order.
        unmet: loads that were asked for and never stood.
        last_was_void: of the run before.
    """

    def __init__(self, series: Series, *, cores: int) -> None:
        self.series = series
        self.tried: list[Tried] = []
        self.unmet: set[int] = set()
        self.last_was_void = False
        self._cores = cores
        self._runs = 0
        self._void: Counter[int] = Counter()

    def took(self, streams: int, tried: Tried | None) -> None:
        """Note a run; None for a void one."""
        self._runs += 1
        self.last_was_void = tried is None
        if tried is None:
            self._void[streams] += 1
            self.unmet.add(streams)
        else:
            self._void[streams] = 0
            self.unmet.discard(streams)
            self.tried.append(tried)

    def give_up(self, streams: int) -> None:
        """Note that a load cannot stand, however often it is run."""
        self._void[streams] = MOST_VOID

    def first(self) -> int | None:
        """Return the next load to be run for the first time, or None."""
        if not self.series.loads:
            return self._unless_given_up(next_load(self.tried, cores=self._cores, runs_left=self._runs_left))
        runs = Counter(load.streams for load in self.tried)
        for streams in self.series.loads:
            if not runs[streams]:
                return self._unless_given_up(streams)
            if not self._holds(streams):
                return None
        return None

    def again(self) -> int | None:
        """Return the next load to be repeated, or None; asked once `first` has no more."""
        if self._given_up:
            return None
        if not self.series.loads:
            repeats, base = self.series.repeats, self.series.base_repeats
            return next_repeat(self.tried, repeats=repeats, base_repeats=base, runs_left=self._runs_left)
        runs = Counter(load.streams for load in self.tried)
        fewest = min(runs, key=lambda streams: (runs[streams], streams), default=None)
        return fewest if fewest is not None and runs[fewest] < self.series.repeats else None

    @property
    def _runs_left(self) -> int:
        return self.series.most_runs - self._runs

    @property
    def _given_up(self) -> bool:
        return any(count >= MOST_VOID for count in self._void.values())

    def _holds(self, streams: int) -> bool:
        return all(load.holds for load in self.tried if load.streams == streams)

    def _unless_given_up(self, streams: int | None) -> int | None:
        return None if self._given_up else streams
