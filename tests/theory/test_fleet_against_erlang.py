"""Blocking and waiting of the real fleet against Erlang B, Erlang C and the Kiefer-Wolfowitz recursion."""

from __future__ import annotations

import numpy as np
import pytest
from fleets import serve
from scipy import stats

from scenarios.law import Exponential, Lognormal
from sim.sampling import law, stream
from sim.theory import erlang_b, erlang_c, kiefer_wolfowitz

MEAN_S = 100.0
LAWS = [Exponential(kind="exponential", mean_s=MEAN_S), Lognormal(kind="lognormal", mean_s=MEAN_S, cv=1.5)]


def arrivals(offered_load: float, count: int, replication: int, spec) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(11, replication, "theory")
    arrival_s = np.cumsum(rng.exponential(MEAN_S / offered_load, count))
    return arrival_s, law(spec).draw(rng.random(count))


def interval(values: list[float], confidence: float = 0.999) -> tuple[float, float]:
    mean, sem = np.mean(values), stats.sem(values)
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * sem
    return mean - half, mean + half


def blocking(nodes: int, per_node: int, offered_load: float, spec, replications: int = 12) -> tuple[float, float]:
    shares = []
    for replication in range(replications):
        arrival_s, duration_s = arrivals(offered_load, 4000, replication, spec)
        placed_s, _ = serve(arrival_s, duration_s, nodes=nodes, broadcasts_per_node=per_node, queue_deadline_s=0.0)
        shares.append(float(np.isnan(placed_s[800:]).mean()))  # a fifth of the arrivals fill the empty fleet
    return interval(shares)


@pytest.mark.parametrize("spec", LAWS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize(("nodes", "per_node", "offered_load"), [(4, 1, 3.0), (2, 8, 12.0), (5, 4, 19.0)])
def test_blocking_is_erlang_b(nodes, per_node, offered_load, spec):
    low, high = blocking(nodes, per_node, offered_load, spec)
    assert low <= erlang_b(nodes * per_node, offered_load) <= high


@pytest.mark.parametrize("spec", LAWS, ids=lambda spec: spec.kind)
def test_one_place_too_many_is_caught(spec):
    low, high = blocking(4, 1, 3.0, spec)
    assert not low <= erlang_b(5, 3.0) <= high


def test_erlang_b_published_value():
    assert erlang_b(3, 2.0) == pytest.approx(4 / 19, abs=1e-12)
    assert erlang_b(1000, 1000.0) == pytest.approx(0.0248119, abs=5e-8)


def test_waiting_is_kiefer_wolfowitz_path_by_path():
    arrival_s, duration_s = arrivals(7.0, 3000, 0, LAWS[1])
    placed_s, _ = serve(
        arrival_s,
        duration_s,
        nodes=2,
        broadcasts_per_node=4,
        queue_deadline_s=1e9,
        holds_place_for_its_duration=True,
    )
    np.testing.assert_allclose(placed_s, kiefer_wolfowitz(arrival_s, duration_s, 8), rtol=0, atol=1e-6)
    wrong = kiefer_wolfowitz(arrival_s, duration_s, 9)
    assert np.abs(placed_s - wrong).max() > 1.0


def test_probability_of_waiting_is_erlang_c():
    shares = []
    for replication in range(12):
        arrival_s, duration_s = arrivals(6.0, 6000, replication, LAWS[0])
        waits = kiefer_wolfowitz(arrival_s, duration_s, 8) - arrival_s
        shares.append(float((waits[1000:] > 0).mean()))
    low, high = interval(shares)
    assert low <= erlang_c(8, 6.0) <= high
    assert not low <= erlang_c(9, 6.0) <= high
