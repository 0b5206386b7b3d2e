"""Waiting, giving up and pooling in the real fleet and the queue before it, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from fleets import serve
from test_fleet_against_erlang import MEAN_S, arrivals, interval

from scenarios.law import Exponential
from sim.theory import ErlangA, FiniteQueue, erlang_b, erlang_c, erlang_c_wait_quantile_s, erlang_c_wait_s

EXPONENTIAL = Exponential(kind="exponential", mean_s=MEAN_S)
CUT = 0.2
"""Share of the arrivals that fill the empty fleet."""


def waits(offered_load: float, replication: int, count: int = 5000, **fleet) -> np.ndarray:
    """Return the wait of each arrival after the first ones, NaN for those who were turned away."""
    arrival_s, duration_s = arrivals(offered_load, count, replication, EXPONENTIAL)
    placed_s, _ = serve(arrival_s, duration_s, holds_place_for_its_duration=True, **fleet)
    return (placed_s - arrival_s)[int(CUT * count) :]


def over_replications(figure, offered_load: float, replications: int = 10, **fleet) -> tuple[float, float]:
    return interval([float(figure(waits(offered_load, number, **fleet))) for number in range(replications)])


def test_waiting_in_the_fleet_is_erlang_c():
    fleet = {"nodes": 5, "broadcasts_per_node": 2, "queue_deadline_s": 1e9}
    low, high = over_replications(lambda wait: (wait > 1e-9).mean(), 8.0, **fleet)
    assert low <= erlang_c(10, 8.0) <= high  # V5: 0.409180
    assert not low <= erlang_c(11, 8.0) <= high
    low, high = over_replications(np.mean, 8.0, **fleet)
    assert low <= erlang_c_wait_s(10, 8.0, MEAN_S) <= high
    low, high = over_replications(lambda wait: np.quantile(wait, 0.95), 8.0, **fleet)
    assert low <= erlang_c_wait_quantile_s(10, 8.0, MEAN_S, 0.95) <= high
    assert not low <= erlang_c_wait_quantile_s(10, 8.0, MEAN_S, 0.99) <= high


def test_a_bounded_queue_is_m_m_c_k():
    """V7: M/M/4/10 at λ = 3.5: 5.828 % refused, a mean wait of 0.4735 service times."""
    fleet = {"nodes": 2, "broadcasts_per_node": 2, "queue_deadline_s": 1e9, "queue_limit": 6}
    expected = FiniteQueue(4, 10, 3.5 / MEAN_S, MEAN_S)
    low, high = over_replications(lambda wait: np.isnan(wait).mean(), 3.5, **fleet)
    assert low <= expected.refused_share <= high
    one_more = FiniteQueue(4, 11, 3.5 / MEAN_S, MEAN_S).refused_share
    assert not low <= one_more <= high
    low, high = over_replications(np.nanmean, 3.5, **fleet)
    assert low <= expected.wait_s <= high


def test_patience_is_erlang_a():
    """V20: θ = μ, λ = 10, c = 10: 12.511 % give up."""
    rng = np.random.default_rng(7)
    patience_s = rng.exponential(MEAN_S, 5000)
    fleet = {"nodes": 5, "broadcasts_per_node": 2, "queue_deadline_s": lambda broadcast: patience_s[broadcast]}
    low, high = over_replications(lambda wait: np.isnan(wait).mean(), 10.0, **fleet)
    assert low <= ErlangA(10, 10.0 / MEAN_S, MEAN_S, MEAN_S).abandoned_share <= high
    assert not low <= ErlangA(10, 10.0 / MEAN_S, MEAN_S, 2 * MEAN_S).abandoned_share <= high


@pytest.mark.parametrize("shards", [1, 4])
def test_shards_block_more_than_one_pool_of_all_their_places(shards):
    """4 shards of 8 places at 6 erlang each block 12.2 %, one pool of 32 at 24 erlang 2.2 %."""
    places, load = 32 // shards, 24.0 / shards
    shares = []
    for replication in range(12):
        arrival_s, duration_s = arrivals(24.0, 6000, replication, EXPONENTIAL)
        to = np.random.default_rng(replication).integers(0, shards, arrival_s.size)
        placed = [
            serve(arrival_s[to == s], duration_s[to == s], nodes=places, broadcasts_per_node=1, queue_deadline_s=0.0)[0]
            for s in range(shards)
        ]
        shares.append(float(np.isnan(np.concatenate([one[one.size // 5 :] for one in placed])).mean()))
    low, high = interval(shares)
    assert low <= erlang_b(places, load) <= high
    assert not low <= erlang_b(32 // (5 - shards), 24.0 / (5 - shards)) <= high
