"""Nodes that are taken back and replaced, and a step of demand while nodes boot, on the real fleet."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from test_fleet_against_erlang import interval
from watched_fleet import Watched, spot

from sim.components.fleet import Fleet
from sim.components.node import Startup, Told
from sim.components.pools import Pool
from sim.theory import SpotPool, surge_deficit

NODES, PER_HOUR, REPLACED_S = 100, 0.5, 240.0


def spot_fleet(replication: int, hours: float, replaced_s: float = REPLACED_S) -> tuple[float, float, float]:
    """Return interruptions per hour, the share of nodes down, and that of minutes with 8 or more down."""
    env = simpy.Environment()
    rng = np.random.default_rng(replication)
    pool = Pool("spot", "a", 1, (1,), purchase="spot", taken_back=spot(per_hour=PER_HOUR, notice_s=0.0))
    told = Told(lambda b, n: None, lambda b, n: None, lambda: None)
    fleet = Fleet(
        env,
        pools=[pool],
        source_of=[],
        max_nodes=2 * NODES,
        startup=lambda: Startup(0.0, replaced_s),
        life=rng.random,
        told=told,
    )
    fleet.start_ready(NODES)
    down = []

    def watch():
        while True:
            yield env.timeout(60.0)
            down.append(NODES - fleet.ready)

    env.process(watch())
    env.run(until=hours * 3600)
    gone_s = np.array(fleet.log.gone_s)
    return float(np.isfinite(gone_s).sum()) / hours, float(np.mean(down)) / NODES, float((np.array(down) >= 8).mean())


def test_nodes_that_are_taken_back_are_down_as_a_birth_death_pool_says():
    """V25's formulas at ten times its rate: u = rb / (1 + rb), Binomial(N, u) down, N (1 - u) r interruptions."""
    expected = SpotPool(NODES, PER_HOUR / 3600, REPLACED_S)
    per_hour, share, many = (
        interval(list(figure)) for figure in zip(*(spot_fleet(n, 40.0) for n in range(12)), strict=True)
    )
    assert per_hour[0] <= expected.interruptions_per_s * 3600 <= per_hour[1]
    assert share[0] <= expected.down_share <= share[1]
    assert many[0] <= expected.at_least_down(8) <= many[1]
    slower = SpotPool(NODES, PER_HOUR / 3600, 1.25 * REPLACED_S)
    assert not share[0] <= slower.down_share <= share[1]


def test_a_surge_waits_for_the_boot():
    """V26: demand steps from 800 to 1200 places, 1000 are there: 200 places lack for the boot of 180 s."""
    world = Watched([1e6] * 1200, deadline_s=1e6, boot_s=180.0, max_nodes=100, pools=(Pool("only", "a", 20, (1,)),))
    world.fleet.start_ready(50)
    world.request(*range(800))
    world.at(1000, world.request, *range(800, 1200))
    world.at(1000, world.fleet.order, 10)
    world.env.run(until=2000)
    waited_s = sum(at - (0 if broadcast < 800 else 1000) for at, broadcast, _ in world.placed)
    assert waited_s == pytest.approx(surge_deficit(1200, 1000, 180.0))
    assert waited_s != pytest.approx(surge_deficit(1200, 1020, 180.0))
