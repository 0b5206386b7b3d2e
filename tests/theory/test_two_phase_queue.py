"""The exact M/H2/c against Erlang C, Pollaczek-Khinchine, a direct solve of its truncated chain, and its own draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.sampling import stream
from sim.theory import erlang_c, erlang_c_wait_quantile_s, erlang_c_wait_s
from sim.theory.two_phase_queue import TwoPhaseQueue, balanced_queue


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (3, 2.0), (10, 8.0), (50, 45.0)])
def test_equal_phases_are_erlang_c(servers, load):
    queue = TwoPhaseQueue(servers, load / 2.0, 0.3, 2.0, 2.0)
    assert queue.waiting_share == pytest.approx(erlang_c(servers, load), rel=1e-10)
    assert queue.wait_s == pytest.approx(erlang_c_wait_s(servers, load, 2.0), rel=1e-10)
    for share in (0.5, 0.95):
        exact = erlang_c_wait_quantile_s(servers, load, 2.0, share)
        assert queue.wait_quantile_s(share) == pytest.approx(exact, rel=1e-8)
    assert queue.service_scv == pytest.approx(1.0)


@pytest.mark.parametrize("scv", [1.0, 2.25, 9.0])
def test_one_server_is_pollaczek_khinchine(scv):
    """Wq = ρ (1 + cs²) ÷ 2 (1 − ρ) × E[S] (Pollaczek 1930; Khinchine 1932)."""
    queue = balanced_queue(1, 0.8, scv, 3.0)
    assert (queue.service_s, queue.service_scv) == pytest.approx((3.0, scv))
    assert queue.wait_s == pytest.approx(0.8 * (1 + scv) / (2 * 0.2) * 3.0, rel=1e-10)
    assert queue.waiting_share == pytest.approx(0.8, rel=1e-12)


def truncated(queue: TwoPhaseQueue, most: int) -> dict[tuple[int, int], float]:
    """Return the stationary probabilities of the chain with at most so many in the system, by its balance equations.

    The rates are written down state by state, from the words of the model.
    """
    servers = queue.servers
    states = [(n, k) for n in range(most + 1) for k in range(min(n, servers) + 1)]
    index = {state: number for number, state in enumerate(states)}
    rates = np.zeros((len(states), len(states)))
    for n, k in states:
        here, short_starts = index[n, k], queue.short_share
        busy = min(n, servers)
        if n < most:
            starts = [(k + 1, short_starts), (k, 1 - short_starts)] if n < servers else [(k, 1.0)]
            for phase, chance in starts:
                rates[here, index[n + 1, phase]] += queue.arrival_rate_per_s * chance
        for ending, per_s in ((1, k / queue.short_s), (0, (busy - k) / queue.long_s)):
            if per_s == 0:
                continue
            left = k - ending
            follows = [(left + 1, short_starts), (left, 1 - short_starts)] if n > servers else [(left, 1.0)]
            for phase, chance in follows:
                rates[here, index[n - 1, phase]] += per_s * chance
    balance = (rates - np.diag(rates.sum(axis=1))).T
    balance[-1] = 1.0
    solved = np.linalg.solve(balance, np.eye(len(states))[-1])
    return dict(zip(states, solved, strict=True))


@pytest.mark.parametrize("queue", [balanced_queue(2, 0.7, 4.0), TwoPhaseQueue(4, 2.0, 0.9, 0.5, 6.0)])
def test_it_is_the_solution_of_its_balance_equations(queue):
    """Planted mistake: a long service three tenths longer is told apart."""
    solved = truncated(queue, 220)
    for level, vector in enumerate(queue.levels):
        assert vector == pytest.approx([solved[level, short] for short in range(level + 1)], rel=1e-7)
    waiting = sum(chance * max(n - queue.servers, 0) for (n, _), chance in solved.items())
    assert queue.wait_s == pytest.approx(waiting / queue.arrival_rate_per_s, rel=1e-6)
    wrong = TwoPhaseQueue(queue.servers, queue.arrival_rate_per_s, queue.short_share, queue.short_s, 1.3 * queue.long_s)
    assert wrong.wait_s > 1.1 * queue.wait_s


def test_the_law_of_the_wait_has_its_mean():
    """The mean is the integral of P(wait > t), which rests on another formula; so is the quantile on its inverse."""
    queue = balanced_queue(3, 0.8, 4.0)
    t_s = np.linspace(0.0, 60.0, 1201)
    longer = np.array([queue.waits_longer(t) for t in t_s])
    assert np.trapezoid(longer, t_s) == pytest.approx(queue.wait_s, rel=1e-4)
    assert longer[0] == pytest.approx(queue.waiting_share, rel=1e-12)
    assert queue.waits_longer(queue.wait_quantile_s(0.95)) == pytest.approx(0.05, rel=1e-6)
    assert queue.wait_quantile_s(0.1) == 0.0


def test_draws_have_the_stationary_law():
    queue = balanced_queue(2, 0.7, 4.0)
    drawn = [queue.draw_in_system(u) for u in stream(1, 0, "states").uniform(size=20_000)]
    for level, vector in enumerate(queue.levels):
        for short, chance in enumerate(vector):
            seen = sum(state == (level, short) for state in drawn) / len(drawn)
            assert seen == pytest.approx(chance, abs=3.5 * math.sqrt(chance / len(drawn)))
    assert np.mean([number for number, _ in drawn]) == pytest.approx(
        queue.arrival_rate_per_s * (queue.wait_s + queue.service_s), rel=0.05
    )
    assert queue.draw_in_system(0.0) == (0, 0)
    assert queue.draw_in_system(1 - 2.0**-53)[0] > 20


def test_a_queue_without_a_stationary_state_is_refused():
    with pytest.raises(ValueError, match="no stationary state"):
        balanced_queue(3, 1.0, 4.0)
