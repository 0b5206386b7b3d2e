"""A raid of K viewers leaves as K (1 - G(t)), G the law of sessions, with the spread of independent viewers (V29)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from workloads import HORIZON, audience, table, workload

from scenarios.workload import Workload
from sim.components.broadcasts import BroadcastTable
from sim.components.raids import Raids
from sim.sampling import law, stream

ONE = BroadcastTable(np.array([-1e6]), np.array([1e9]), np.ones(1))
LIVE = np.zeros(1, np.intp)
RAID = {"at_s": 0.0, "viewers": 1e4, "ramp_s": 1.0}


def there(spec: Workload, moments: list[float], seed: int = 1) -> list[int]:
    raids = Raids(spec.audience, HORIZON, ONE, lambda name: stream(seed, 0, name))
    return [int(raids.step(at_s, LIVE)[1].sum()) for at_s in moments]


def test_half_an_hour_after_a_raid_so_many_are_left():
    spec = workload(audience={"raids": (RAID,)})
    left = np.array([there(spec, [30.0 * tick for tick in range(1, 61)], seed)[-1] for seed in range(60)])
    expected, spread = 2231.30, 41.634  # e^-1.5 of 1e4, binomial
    assert abs(left.mean() - expected) < 3 * spread / math.sqrt(left.size)
    assert 0.7 * spread < left.std(ddof=1) < 1.35 * spread
    planted = 1e4 * (1 - 30 / 40)  # the mistake: viewers who leave in a straight line over twice their mean
    assert abs(left.mean() - planted) > 3 * spread / math.sqrt(left.size)


def test_the_tick_does_not_matter():
    spec = workload(audience={"raids": (RAID,)})
    for moments in ([1800.0], [7.0, 1800.0], [10.0 * tick for tick in range(1, 181)]):
        assert abs(there(spec, moments)[-1] - 2231.30) < 3 * 41.634


@pytest.mark.parametrize(
    "session",
    [
        {"kind": "lognormal", "mean_s": 1200.0, "cv": 1.8},
        {"kind": "constant", "mean_s": 1200.0},
        {"kind": "uniform", "low_s": 600.0, "high_s": 1800.0},
    ],
    ids=lambda session: session["kind"],
)
def test_they_leave_by_the_law_of_sessions(session):
    """Beside a sum over viewers one by one: each arrives within the ramp and stays as long as its session."""
    spec = workload(audience={"raids": ({**RAID, "at_s": 45.0, "viewers": 1e5, "ramp_s": 60.0},), "session": session})
    rng = np.random.default_rng(7)
    arrival_s = 45.0 + 60.0 * rng.random(1_000_000)
    leaving_s = arrival_s + law(spec.audience.session_law).draw(rng.random(arrival_s.size))
    moments = [60.0, 90.0, 120.0, 600.0, 1200.0, 1290.0, 1500.0]
    for at_s, seen in zip(moments, there(spec, moments), strict=True):
        share = ((arrival_s <= at_s) & (leaving_s > at_s)).mean()
        assert abs(seen - 1e5 * share) < 4 * math.sqrt(1e5 * share * (1 - share) * 1.1) + 1


def test_raiders_come_on_top_of_the_curve_at_one_live_broadcast():
    spec = workload(audience={"raids": ({**RAID, "at_s": 600.0, "viewers": 20_000.0},)})
    broadcasts = table(spec)
    raided, plain = audience(spec, broadcasts), audience(workload(), broadcasts)
    for tick in range(1, 41):
        live, viewers = raided.step(30.0 * tick)
        extra = viewers - plain.step(30.0 * tick)[1]
        assert np.count_nonzero(extra) == (1 if 30 * tick > 600 and extra.any() else 0)
        if tick == 21:
            (row,) = live[extra != 0]
            assert extra.sum() == pytest.approx(20_000 * math.exp(-30 / 1200), rel=0.01)
    assert broadcasts.end_s[row] > 1200
    assert extra.sum() == pytest.approx(20_000 * math.exp(-600 / 1200), rel=0.05)


def test_a_raid_ends_with_its_broadcast():
    spec = workload(audience={"raids": (RAID,)})
    short = BroadcastTable(np.array([-1.0, -1.0]), np.array([100.0, 1e9]), np.array([1.0, 0.0]))
    raids = Raids(spec.audience, HORIZON, short, lambda name: stream(1, 0, name))
    assert raids.step(60.0, np.array([0, 1]))[0].tolist() == [0]  # nobody watches the other one
    assert raids.step(120.0, np.array([1]))[0].tolist() == []


def test_random_raids_come_at_their_rate_and_size():
    """In equilibrium viewers of raids are rate × size × mean session (Little's law): 200/h × 100 × 20 min."""
    raids = {"per_hour": 200.0, "mean_viewers": 100.0, "cv": 1.0}
    spec = workload(audience={"random_raids": raids})
    moments = [30.0 * tick for tick in range(1, 241)]
    seen = np.array([there(spec, moments, seed) for seed in range(12)])[:, 200:]
    expected = 200 / 3600 * 100 * 1200 * (1 - math.exp(-6600 / 1200))
    half = 3 * expected * math.sqrt((1 + 1) / (200 / 3 * 12))
    assert abs(seen.mean() - expected) < half
    assert abs(seen.mean() - 2 * expected) > half
