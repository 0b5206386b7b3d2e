"""Cores as an operating system gives them to threads: a queue at each core, time slices, and imperfect balance.

A thread that wakes up stays on the core of the thread that woke it, or takes an idle one, its last core first; where
none is idle it queues anywhere. A core serves its queue by virtual time (start-time fair queueing: Goyal, Vin & Cheng
1996), in slices that end at a tick of the clock, or when a thread wakes up that has had less. A core that runs out
of work takes a thread that waits at another, but not at once. Both imperfections are coefficients that are fitted
(`sim.calibration.scheduling`): without them a model has every core busy while anything waits, which no system does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import simpy
from simpy.events import EventPriority

from sim.stream_cost import needed

TICK_S = 0.004
"""Between two ticks of a core's clock: 250 Hz, as Linux distributions have it."""
BASE_SLICE_S = 0.0007
"""Shortest slice of a thread on one core; times 1 + log2 of the cores, up to 8 (Linux 6.6 and later, EEVDF)."""
RANDOMS_AT_ONCE = 4096
LAST = cast(EventPriority, 2)
"""Priority of a SimPy event that comes after everything else of its moment."""


@dataclass(frozen=True)
class Scheduling:
    """How far a system is from keeping every core busy.

    Attributes:
        waker_core_share: share of wake-ups that stay on the waker's core.
        idle_pull_delay_s: mean time until an idle core takes a thread that waits at another.
        wake_up_s: until an idle core runs what woke up on it.
    """

    waker_core_share: float
    idle_pull_delay_s: float
    wake_up_s: float


def scheduling(values: Mapping[str, float]) -> Scheduling:
    """Return what a profile says of its system; CalibrationError if it was not fitted."""
    return Scheduling(*(needed(values, field.name) for field in fields(Scheduling)))


class Thread:
    """What a scheduler knows of a thread: the CPU it has had, in virtual time, and where it ran last."""

    def __init__(self) -> None:
        self.served_s = 0.0
        self.core = 0


class _Job:
    def __init__(self, thread: Thread, service_s: float, done: simpy.Event) -> None:
        self.thread, self.left_s, self.done = thread, service_s, done


class _Last(simpy.Event):
    """An event of this very moment that comes after all others of it."""

    def __init__(self, env: simpy.Environment, then: Callable[[simpy.Event], None]) -> None:
        super().__init__(env)
        self._ok, self._value = True, None
        self.callbacks = [then]
        env.schedule(self, priority=LAST)


class _Core:
    """One core: the job it runs, if any, and those that wait."""

    def __init__(self, number: int, count: int) -> None:
        self.number = number
        self.phase_s = TICK_S * number / count
        self.waiting: list[_Job] = []
        self.running: _Job | None = None
        self.started_s = 0.0
        self.charged_s = 0.0
        self.served_s = 0.0
        self.version = 0

    @property
    def is_idle(self) -> bool:
        return self.running is None and not self.waiting

    def charge(self, now_s: float) -> None:
        """Account for the time that the running job has had since it was last accounted for."""
        assert self.running is not None
        had_s = now_s - self.charged_s
        self.charged_s = now_s
        self.running.left_s -= had_s
        self.running.thread.served_s += had_s

    def next_waiting(self) -> int:
        """Return the place in the queue of the job whose thread has had least."""
        return min(range(len(self.waiting)), key=lambda place: self.waiting[place].thread.served_s)

    def slice_end_s(self, now_s: float, slice_s: float) -> float:
        """Return the first tick at which the running job has had its slice."""
        earliest_s = max(now_s, self.started_s + slice_s)
        tick_s = self.phase_s + math.ceil((earliest_s - self.phase_s) / TICK_S - 1e-9) * TICK_S
        return tick_s if tick_s > now_s + 1e-9 else tick_s + TICK_S


class Cores:
    """The cores of a node, shared by threads."""

    def __init__(self, env: simpy.Environment, count: int, scheduling: Scheduling, rng: np.random.Generator) -> None:
        self._env, self._scheduling, self._rng = env, scheduling, rng
        self._cores = [_Core(number, count) for number in range(count)]
        self._slice_s = BASE_SLICE_S * (1 + math.log2(min(count, 8)))
        self._randoms: list[float] = []
        self._waker: _Core | None = None

    def run(self, thread: Thread, service_s: float) -> simpy.Event:
        """Return the event of a job of the thread being done; a thread asks for one after the other."""
        job = _Job(thread, service_s, self._env.event())
        core = self._waker
        if core is not None and core.running is not None and core.running.thread is thread:
            core.running = job  # it has not gone to sleep: the next job is the same stretch of work
            core.charged_s = self._env.now
            self._plan(core)
        else:
            self._wake(job)
        return job.done

    def _wake(self, job: _Job) -> None:
        core = self._cores[self._placed(job.thread)]
        thread = job.thread
        thread.served_s = max(thread.served_s, core.served_s - self._slice_s)
        if core.running is None:
            job.left_s += self._scheduling.wake_up_s
            self._start(core, job)
            return
        core.waiting.append(job)
        for other in self._cores:
            if other.is_idle:
                self._look_elsewhere(other)
        running = core.running
        if running.done.triggered:
            return  # its thread is about to sleep, and then the queue is looked at
        now_s = self._env.now
        core.charge(now_s)
        has_had_slice = now_s - core.started_s >= self._slice_s
        if has_had_slice and running.left_s > 0 and thread.served_s < running.thread.served_s:
            core.waiting.pop()
            core.waiting.append(running)
            self._start(core, job)
        else:
            self._plan(core)

    def _placed(self, thread: Thread) -> int:
        waker = self._waker.number if self._waker is not None else thread.core
        if self._random() < self._scheduling.waker_core_share:
            return waker
        if self._cores[thread.core].is_idle:
            return thread.core
        idle = next((core.number for core in self._cores if core.is_idle), None)
        return int(self._random() * len(self._cores)) if idle is None else idle

    def _start(self, core: _Core, job: _Job) -> None:
        core.running = job
        core.started_s = core.charged_s = self._env.now
        core.served_s = max(core.served_s, job.thread.served_s)
        job.thread.core = core.number
        self._plan(core)

    def _plan(self, core: _Core) -> None:
        """Schedule what happens next on a core: its job is done, or its slice is over while others wait."""
        assert core.running is not None
        core.version += 1
        version, now_s = core.version, self._env.now
        end_s = now_s + max(core.running.left_s, 0.0)
        then = self._finish
        if core.waiting:
            slice_end_s = core.slice_end_s(now_s, self._slice_s)
            if slice_end_s < end_s:
                end_s, then = slice_end_s, self._end_slice
        timeout = self._env.timeout(end_s - now_s)
        timeout.callbacks.append(lambda _: then(core) if core.version == version else None)

    def _finish(self, core: _Core) -> None:
        core.charge(self._env.now)
        job = core.running
        assert job is not None
        core.version += 1
        self._waker = core
        job.done.succeed()
        _Last(self._env, lambda _: self._release(core, job))

    def _release(self, core: _Core, job: _Job) -> None:
        """Give the core on, unless its thread went straight on to another job."""
        if self._waker is core:
            self._waker = None
        if core.running is not job:
            return
        core.running = None
        if core.waiting:
            self._start(core, core.waiting.pop(core.next_waiting()))
        else:
            self._look_elsewhere(core)

    def _end_slice(self, core: _Core) -> None:
        core.charge(self._env.now)
        running = core.running
        assert running is not None
        if core.waiting:  # another core may have taken what waited
            place = core.next_waiting()
            if core.waiting[place].thread.served_s <= running.thread.served_s:
                job = core.waiting.pop(place)
                core.waiting.append(running)
                self._start(core, job)
                return
        self._plan(core)

    def _look_elsewhere(self, core: _Core) -> None:
        """Have an idle core take a thread that waits at another, after a while."""
        if any(other.waiting for other in self._cores):
            timeout = self._env.timeout(2 * self._scheduling.idle_pull_delay_s * self._random())
            timeout.callbacks.append(lambda _: self._pull(core))

    def _pull(self, core: _Core) -> None:
        if not core.is_idle:
            return
        longest = max(self._cores, key=lambda other: len(other.waiting))
        if longest.waiting:
            self._start(core, longest.waiting.pop(0))

    def _random(self) -> float:
        if not self._randoms:
            self._randoms = self._rng.random(RANDOMS_AT_ONCE).tolist()
        return self._randoms.pop()
