"""Cores as the node model gives them to threads."""

from __future__ import annotations

import numpy as np
import pytest
import simpy

from scenarios.errors import CalibrationError
from sim.calibration.cores import BASE_SLICE_S, TICK_S, Cores, Scheduling, Thread, scheduling
from sim.sampling import stream

PERFECT = Scheduling(waker_core_share=0.0, idle_pull_delay_s=0.0, wake_up_s=0.0)


def finished(starts_s, services_s, *, cores=1, how=PERFECT, seed=1):
    """Return when each of several threads, that wakes up once and has one job, is done."""
    env, done_s = simpy.Environment(), [0.0] * len(starts_s)
    shared = Cores(env, cores, how, stream(seed, 0, "test"))

    def thread(number):
        yield env.timeout(starts_s[number])
        yield shared.run(Thread(), services_s[number])
        done_s[number] = env.now

    for number in range(len(starts_s)):
        env.process(thread(number))
    env.run()
    return np.array(done_s)


def test_a_thread_alone_takes_its_service_and_its_waking_up():
    slow = Scheduling(waker_core_share=0.0, idle_pull_delay_s=0.0, wake_up_s=0.0004)
    assert finished([0.0], [0.01]) == pytest.approx([0.01])
    assert finished([0.0], [0.01], how=slow) == pytest.approx([0.0104])


def test_threads_of_one_core_share_it_in_slices():
    """Two equal jobs end within a slice of each other; served one after the other the first would end half-way."""
    first, second = np.sort(finished([0.0, 0.0], [0.1, 0.1]))
    assert second == pytest.approx(0.2)
    assert second - first <= BASE_SLICE_S + TICK_S


def test_a_thread_that_had_less_goes_first():
    """A short job does not wait for the whole of a long one that began before it."""
    _, short = finished([0.0, 0.01], [0.5, 0.001])
    assert short - 0.01 < BASE_SLICE_S + 2 * TICK_S


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_no_work_is_lost_and_no_core_idles_in_a_perfect_system(cores):
    services = np.random.default_rng(3).uniform(0.001, 0.02, 60)
    done = finished([0.0] * 60, services.tolist(), cores=cores)
    assert done.max() >= services.sum() / cores - 1e-9
    assert done.max() <= services.sum() / cores + services.max() + 1e-9
    assert cores > 1 or done.max() == pytest.approx(services.sum())


def test_staying_on_the_wakers_core_makes_threads_wait_for_an_idle_one():
    """The planted mistake of a perfect system: with it, two threads on two cores never wait for each other."""
    sticky = Scheduling(waker_core_share=1.0, idle_pull_delay_s=1.0, wake_up_s=0.0)
    starts, services = [0.0, 0.0], [0.01, 0.01]
    assert finished(starts, services, cores=2).max() == pytest.approx(0.01)
    assert finished(starts, services, cores=2, how=sticky).max() == pytest.approx(0.02)


def test_the_later_an_idle_core_takes_over_the_longer_threads_wait():
    means = []
    for delay_s in (0.0, 0.004, 0.5):
        how = Scheduling(waker_core_share=1.0, idle_pull_delay_s=delay_s, wake_up_s=0.0)
        means.append(finished([0.0] * 8, [0.02] * 8, cores=4, how=how).mean())
    assert means == sorted(means)
    assert means[2] > 1.2 * means[0]


def test_a_profile_without_a_fitted_scheduler_is_refused():
    with pytest.raises(CalibrationError, match="waker_core_share"):
        scheduling({"wake_up_s": 0.0})
