"""Waits of a queue that is in its stationary state from the first customer on: no warm-up, no bias."""

from __future__ import annotations

import numpy as np

from sim.sampling import Floats
from sim.theory.kiefer_wolfowitz import kiefer_wolfowitz
from sim.theory.two_phase_queue import TwoPhaseQueue


def draw_waits(
    queue: TwoPhaseQueue, customers: int, rng: np.random.Generator, *, empty: bool = False
) -> tuple[Floats, Floats]:
    """Return wait and service of consecutive customers, in seconds, each of them with the exact stationary law.

    Whom the first customer finds is drawn from the stationary state, which Poisson arrivals see (Wolff 1982). Those in
    service come as arrivals at 0 with what their exponential phase has left, which is the whole phase again; those
    in the queue follow with services of their own, and then the customers, the first at 0.

    Args:
        queue: what they come to.
        customers: number of them.
        rng: the random numbers.
        empty: start without anyone instead, which biases the waits downwards: for those who look for that mistake.
    """
    found, short = (0, 0) if empty else queue.draw_in_system(rng.uniform())
    in_service = min(found, queue.servers)
    left_s = rng.exponential(np.repeat([queue.short_s, queue.long_s], [short, in_service - short]))
    waiting = found - in_service
    is_short = rng.uniform(size=waiting + customers) < queue.short_share
    service_s = rng.exponential(size=is_short.size) * np.where(is_short, queue.short_s, queue.long_s)
    gaps_s = rng.exponential(1.0 / queue.arrival_rate_per_s, size=customers)
    gaps_s[0] = 0.0
    arrival_s = np.concatenate([np.zeros(found), np.cumsum(gaps_s)])
    start_s = kiefer_wolfowitz(arrival_s, np.concatenate([left_s, service_s]), queue.servers)
    return (start_s - arrival_s)[found:], service_s[waiting:]
