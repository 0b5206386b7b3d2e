"""The closed forms against published or independently computed values; those of the simulator's tests rest on them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scenarios.law import Exponential, Lognormal
from sim.sampling import law
from sim.theory import (
    ErlangA,
    FiniteQueue,
    SpotPool,
    erlang_b,
    erlang_c,
    erlang_c_wait_quantile_s,
    erlang_c_wait_s,
    live_from_empty,
    periodic_response,
    surge_deficit,
)
from sim.theory.kiefer_wolfowitz import _sift_down, interpreted

DAY_S, HOUR_S = 86_400.0, 3600.0


def test_erlang_b_and_c():
    assert erlang_b(3, 2.0) == pytest.approx(4 / 19, rel=1e-12)
    assert erlang_b(1000, 1000.0) == pytest.approx(0.0248119, abs=1e-7)
    assert erlang_c(10, 8.0) == pytest.approx(0.409180, abs=1e-6)
    assert erlang_c_wait_s(10, 8.0, 1.0) == pytest.approx(0.204590, abs=1e-6)
    assert erlang_c_wait_quantile_s(10, 8.0, 1.0, 0.95) == pytest.approx(1.051066, abs=1e-6)
    assert erlang_c_wait_quantile_s(10, 8.0, 1.0, 0.99) == pytest.approx(1.855785, abs=1e-6)
    assert erlang_c_wait_quantile_s(10, 8.0, 1.0, 0.5) == 0.0
    assert math.isinf(erlang_c_wait_s(10, 10.0, 1.0))


def test_halfin_whitt_is_near_erlang_c():
    """Square-root staffing of 1,000 erlang: values of the exact formula at c = 1016, 1032, 1064."""
    found = [erlang_c(c, 1000.0) for c in (1016, 1032, 1064)]
    assert found == pytest.approx([0.50370, 0.22306, 0.02725], abs=1e-5)


def test_a_finite_queue():
    queue = FiniteQueue(4, 10, 3.5, 1.0)
    assert queue.refused_share == pytest.approx(0.0582807, abs=1e-7)
    assert queue.waiting == pytest.approx(1.560669, abs=1e-6)
    assert queue.wait_s == pytest.approx(0.473501, abs=1e-6)
    assert queue.utilisation == pytest.approx(0.824004, abs=1e-6)
    assert FiniteQueue(3, 3, 2.0, 1.0).refused_share == pytest.approx(erlang_b(3, 2.0))


def test_impatience_as_long_as_service_is_an_infinite_server_queue():
    queue = ErlangA(10, 10.0, 1.0, 1.0)
    assert queue.abandoned_share == pytest.approx(0.1251100, abs=1e-7)
    assert queue.waiting_share == pytest.approx(0.5420703, abs=1e-7)
    patient = ErlangA(10, 8.0, 1.0, 1e6)
    assert patient.waiting_share == pytest.approx(erlang_c(10, 8.0), abs=1e-3)


def test_the_live_load_from_empty():
    heavy = law(Lognormal(kind="lognormal", mean_s=2 * HOUR_S, cv=1.5))
    found = [live_from_empty(1.2e6 / DAY_S, heavy, hours * HOUR_S) for hours in (1, 6, 24)]
    assert found == pytest.approx([38_779, 86_051, 98_738], rel=1e-4)


def test_a_periodic_rate_is_damped_and_late():
    memoryless = law(Exponential(kind="exponential", mean_s=2 * HOUR_S))
    amplitude, lag_s = periodic_response(memoryless, 0.4, DAY_S, 80 * HOUR_S)
    assert amplitude == pytest.approx(0.35436, abs=1e-4)
    assert lag_s / HOUR_S == pytest.approx(1.8424, abs=1e-3)
    heavy = law(Lognormal(kind="lognormal", mean_s=2 * HOUR_S, cv=1.5))
    other, _ = periodic_response(heavy, 0.4, DAY_S, 400 * HOUR_S)
    assert abs(other - amplitude) > 0.01  # the same mean, another law, another answer


def test_a_spot_pool_and_a_surge():
    pool = SpotPool(100, 0.05 / HOUR_S, 240.0)
    assert pool.down_share == pytest.approx(0.00332226, abs=1e-8)
    assert pool.at_least_down(3) == pytest.approx(0.00466411, abs=1e-7)
    assert pool.interruptions_per_s * HOUR_S == pytest.approx(4.98339, abs=1e-5)
    assert surge_deficit(1200.0, 1000.0, 180.0) == 36_000.0
    assert surge_deficit(900.0, 1000.0, 180.0) == 0.0


def test_what_is_compiled_walks_the_same_path():
    rng = np.random.default_rng(3)
    arrival_s = np.cumsum(rng.exponential(size=5000))
    service_s = rng.lognormal(size=5000) * 5
    for servers in (1, 2, 7, 40):
        assert np.array_equal(_sift_down(arrival_s, service_s, servers), interpreted(arrival_s, service_s, servers))
