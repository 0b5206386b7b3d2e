"""Failures that begin at their moment, on a real fleet."""

from __future__ import annotations

import pytest
from watched_fleet import Watched, spot

from scenarios.failures import NodeLoss, RollingDeploy, SpotStorm, ZoneLoss
from sim.components.failures import Site, start_failures
from sim.components.node import NodeState
from sim.components.pools import Pool


def fail(world, *failures, position=lambda node: node / 10):
    told, down = [], []
    pools = world.fleet.pools
    site = Site(
        world.env,
        world.fleet,
        [pool.zone for pool in pools],
        [pool.taken_back.notice_s if pool.taken_back else None for pool in pools],
        down.append,
        lambda regions, is_down: None,
        lambda failure, nodes, broadcasts: told.append((world.env.now, failure.kind, list(nodes), list(broadcasts))),
        position,
    )
    start_failures(failures, site)
    return told, down


def zones(*names):
    return tuple(Pool(f"in {name}", name, 2, (1,)) for name in names)


def test_a_lost_zone_takes_its_nodes_and_a_share_of_ingest_until_it_is_back():
    world = Watched([5000] * 6, pools=zones("a", "b", "c"), boot_s=30.0, max_nodes=50)
    world.fleet.start_ready(6)
    world.request(*range(6))
    told, down = fail(world, ZoneLoss(kind="zone_loss", at_s=100.0, zones=("a",), duration_s=600.0))
    world.env.run(until=101)
    assert told == [(100, "zone_loss", [0, 3], world.fleet.broadcasts_on(0) or told[0][3])]
    assert len(world.interrupted) == len(told[0][3]) > 0
    assert down == [pytest.approx(1 / 3)]
    assert world.fleet.nodes == 6  # ordered again at once, in the zones that are left
    assert {world.fleet.log.pool[node] for node in (6, 7)} == {1, 2}
    world.env.run(until=701)
    assert sum(down) == pytest.approx(0.0)
    world.fleet.order(1)
    assert world.fleet.log.pool[-1] == 0


def test_a_storm_takes_its_share_of_spot_nodes_with_notice_and_sells_none_for_a_while():
    pools = (Pool("kept", "a", 2, (1,)), Pool("spot", "a", 2, (1,), purchase="spot", taken_back=spot(notice_s=50.0)))
    world = Watched([5000] * 8, pools=pools, boot_s=500.0, max_nodes=50)
    world.fleet.start_ready(8)  # kept and spot in turns: 1, 3, 5 and 7 are spot
    world.request(*range(8))
    told, _ = fail(world, SpotStorm(kind="spot_storm", at_s=10.0, share=0.6, over_s=100.0, duration_s=300.0))
    world.env.run(until=400)
    assert told[0][2] == [1, 3, 5]
    # One after another over the storm, each as soon as its broadcasts have moved; best fit had left the last one empty.
    assert [(node, at) for at, node, _ in world.gone] == [
        (1, pytest.approx(10.0)),
        (3, pytest.approx(10.0 + 100.0 / 3)),
        (5, pytest.approx(10.0 + 200.0 / 3)),
    ]
    assert (len(world.moved), world.interrupted) == (6, [])
    assert [world.fleet.log.pool[node] for node in (8, 9, 10)] == [0, 0, 0]


def test_nodes_that_die():
    world = Watched([5000] * 8, boot_s=30.0)
    world.fleet.start_ready(4)
    world.request(*range(8))
    told, _ = fail(world, NodeLoss(kind="node_loss", at_s=5.0, share=0.5), position=lambda node: -node)
    world.env.run(until=6)
    assert told[0][2] == [2, 3]
    assert [b for _, b, _ in world.interrupted] == [4, 5, 6, 7]


@pytest.mark.parametrize("migrate", [False, True])
def test_a_rolling_deploy_replaces_every_node_and_ends_with_as_many(migrate):
    world = Watched([3000] * 8, boot_s=60.0, max_nodes=50)
    world.fleet.start_ready(8)
    world.request(*range(8))
    deploy = RollingDeploy(kind="rolling_deploy", at_s=10.0, surge=0.25, drain_deadline_s=200.0, migrate=migrate)
    fail(world, deploy)
    counted = []
    for moment_s in range(20, 1500, 20):
        world.at(moment_s, lambda: counted.append(world.fleet.nodes))
    world.env.run(until=1500)
    assert set(counted) == {8}  # an autoscaler does not see the surge
    assert all(world.fleet.states()[node] is NodeState.GONE for node in range(8))
    assert world.fleet.ready == 8
    if migrate:
        assert world.interrupted == []
        assert sorted({b for _, b, _ in world.moved}) == list(range(8))
    else:
        assert [at for at, _, _ in world.interrupted][:2] == [270.0, 270.0]  # surge at 10, ready at 70, 200 later
        assert sorted({b for _, b, _ in world.interrupted}) == list(range(8))
