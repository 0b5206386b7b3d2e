import math

import pytest
from watched_fleet import Watched, spot

from sim.components.node import NodeState
from sim.components.pools import Pool


def test_a_full_fleet_makes_wait_until_a_node_has_booted():
    world = Watched([500, 500, 500])
    world.fleet.start_ready(1)
    world.request(0, 1, 2)
    assert world.fleet.order(1) == 1
    world.env.run(until=100)
    assert world.placed == [(0, 0, 0), (0, 1, 0), (30, 2, 1)]
    assert world.fleet.log.ready_s[1] == 30


def test_best_fit_takes_the_fullest_node_with_room():
    world = Watched([10, 500, 500, 500])
    world.fleet.start_ready(2)
    world.request(0, 1, 2)
    world.env.run(until=20)  # broadcast 0 has left node 0: it holds 1, node 1 holds 1
    world.request(3)
    assert [node for _, _, node in world.placed] == [0, 0, 1, 0]


@pytest.mark.parametrize("broadcasts", [13, 17, 22])
def test_spread_fills_zones_alike_whatever_they_are_called(broadcasts):
    """Three zones of three nodes, each with room for four: no zone is fuller than another by more than a broadcast."""
    pools = tuple(Pool(f"in {zone}", zone, 4, (1,)) for zone in "abc")
    world = Watched([500] * broadcasts, pools=pools, spread=True)
    world.fleet.start_ready(9)
    world.request(*range(broadcasts))
    zone_of = [world.fleet.log.pool[node] for _, _, node in world.placed]
    counts = [zone_of.count(zone) for zone in range(3)]
    assert sum(counts) == broadcasts
    assert max(counts) - min(counts) <= 1


def test_spread_takes_the_emptiest_node():
    world = Watched([500] * 4, spread=True)
    world.fleet.start_ready(2)
    world.request(0, 1, 2, 3)
    assert [node for _, _, node in world.placed] == [0, 1, 0, 1]


def test_draining_lets_broadcasts_finish_and_takes_no_new_ones():
    world = Watched([100, 500])
    world.fleet.start_ready(2)
    world.request(0)
    world.fleet.drain(2)
    assert world.fleet.states() == [NodeState.DRAINING, NodeState.GONE]
    world.request(1)
    world.env.run(until=150)
    assert world.ended == [(100, 0)]
    assert world.fleet.log.gone_s[0] == 100
    assert world.refused == [(60, 1, "gave up waiting")]


def test_a_drain_with_a_deadline_interrupts_what_is_left_and_orders_nothing():
    world = Watched([100, 500])
    world.fleet.start_ready(1)
    world.request(0, 1)
    world.fleet.drain(1, deadline_s=200.0)
    world.env.run(until=1000)
    assert world.interrupted == [(200, 1, 0)]
    assert world.gone == [(200, 0, "scaled in")]
    assert len(world.fleet.log.ordered_s) == 1


def test_a_drain_that_migrates_moves_what_finds_room_and_the_rest_when_there_is_some():
    world = Watched([500, 500, 50, 500])
    world.fleet.start_ready(2)
    world.request(0, 1, 2)  # 0 and 1 on node 0, 2 on node 1
    world.fleet.replace([0], "replaced", migrate=True, deadline_s=None)
    assert world.moved == [(0, 0, 1)]
    world.request(3)
    world.env.run(until=40)
    # The node ordered instead boots in 30 s; who is to move comes before who waits.
    assert world.moved == [(0, 0, 1), (30, 1, 2)]
    assert world.placed[-1] == (30, 3, 2)
    assert world.gone == [(30, 0, "replaced")]


def test_a_node_drained_while_booting_never_becomes_ready():
    world = Watched([500])
    world.fleet.order(1)
    world.fleet.drain(1)
    world.env.run(until=100)
    assert world.fleet.states() == [NodeState.GONE]
    assert math.isnan(world.fleet.log.ready_s[0])


def test_the_newest_go_first_if_asked_for_whatever_they_hold():
    world = Watched([500] * 3, newest_first=True)
    world.fleet.start_ready(2)
    world.request(0, 1, 2)
    world.at(5, world.fleet.leave, 0)
    world.at(6, world.fleet.leave, 1)
    world.at(10, world.fleet.drain, 1)
    world.env.run(until=20)
    assert world.fleet.states() == [NodeState.READY, NodeState.DRAINING]  # the empty, older one stays


def test_max_nodes_bounds_an_order():
    world = Watched([500], max_nodes=3)
    assert world.fleet.order(5) == 3
    assert world.fleet.order(1) == 0


def test_a_lost_node_interrupts_its_broadcasts_and_is_replaced_at_once():
    world = Watched([500] * 3)
    world.fleet.start_ready(2)
    world.request(0, 1, 2)
    assert world.fleet.kill([0], "died") == 2
    assert world.interrupted == [(0, 0, 0), (0, 1, 0)]
    assert world.fleet.nodes == 2
    assert world.fleet.count[NodeState.BOOTING] == 1
    assert world.fleet.in_service == world.fleet.held == 1


def test_a_notice_moves_broadcasts_if_there_is_room_and_interrupts_the_rest_when_it_runs_out():
    world = Watched([5000] * 3, boot_s=300.0)
    world.fleet.start_ready(2)
    world.request(0, 1, 2)
    world.fleet.notice(0, 120.0, "taken back")
    world.env.run(until=1000)
    assert world.moved == [(0, 0, 1)]
    assert world.interrupted == [(120, 1, 0)]
    assert world.gone == [(120, 0, "taken back")]
    assert world.fleet.log.ready_s[2] == 300


def test_a_notice_without_migration_waits_for_the_end():
    world = Watched([5000] * 2, boot_s=300.0, migrate_on_notice=False)
    world.fleet.start_ready(2)
    world.request(0)
    world.fleet.notice(0, 120.0, "taken back")
    world.env.run(until=1000)
    assert world.moved == []
    assert world.interrupted == [(120, 0, 0)]


def test_a_spot_node_lives_as_long_as_its_draw_and_no_longer_than_its_greatest_age():
    pool = Pool("spot", "a", 2, (1,), purchase="spot", taken_back=spot(per_hour=1.0))
    world = Watched([], pools=(pool,), life=1 - math.exp(-0.5))
    world.fleet.start_ready(1)
    world.env.run(until=3599)
    assert world.gone == [(1800, 0, "taken back")]  # empty: gone at its notice
    aged = Pool("preemptible", "a", 2, (1,), purchase="preemptible", taken_back=spot(max_life_s=100.0))
    world = Watched([], pools=(aged,))
    world.fleet.start_ready(1)
    world.env.run(until=150)
    assert world.gone == [(100, 0, "taken back")]


def test_an_order_that_fails_is_made_again_later():
    pool = Pool("only", "a", 2, (1,), launch_failure=0.5)
    world = Watched([], pools=(pool,), fails=(0.2, 0.7), launch_retry_s=60.0)
    world.fleet.order(1)
    world.env.run(until=200)
    assert world.gone == [(0, 0, "launch failed")]
    assert world.fleet.log.ordered_s == [0, 60]
    assert world.fleet.log.ready_s[1] == 90


def test_what_cannot_be_had_in_one_pool_comes_from_the_others_and_later_from_it():
    pools = (Pool("a", "a", 2, (1,), available_max=3), Pool("b", "b", 2, (1,), weight=0.0))
    world = Watched([], pools=pools, max_nodes=20, launch_retry_s=60.0)
    world.fleet.order(5)
    assert world.fleet.log.pool == [0, 1, 0, 1, 0]
    world.fleet.close([0, 1])
    world.fleet.kill([0], "died")
    assert world.fleet.nodes == 4
    world.fleet.reopen([0, 1])
    assert world.fleet.nodes == 5


def test_pools_grow_by_weight_and_shrink_to_their_least():
    pools = (Pool("kept", "a", 2, (1,), least=2, weight=1.0), Pool("spot", "a", 2, (1,), weight=3.0))
    world = Watched([], pools=pools, max_nodes=100)
    world.fleet.order(10)
    assert [world.fleet.log.pool.count(pool) for pool in (0, 1)] == [4, 6]
    world.fleet.drain(9)
    assert [len(world.fleet.living([pool])) for pool in (0, 1)] == [2, 0]  # the least is always held


def test_a_broadcast_takes_what_its_source_takes():
    pool = Pool("only", "a", units=10, need=(3, 5))
    world = Watched([500] * 4, pools=(pool,), source=[0, 1, 0, 0], deadline_s=0.0)
    world.fleet.start_ready(1)
    world.request(0, 1, 2)
    assert [(b, n) for _, b, n in world.placed] == [(0, 0), (1, 0)]
    assert [b for _, b, _ in world.refused] == [2]
    assert world.fleet.places_left(0) == 0
    world.fleet.leave(0)
    assert world.fleet.places_left(0) == 1


@pytest.mark.parametrize("spread", [False, True])
def test_the_fleet_agrees_with_a_search_over_all_nodes(spread):
    """Random comings and goings, against a list of rooms that is searched from one end to the other."""
    import numpy as np

    rng = np.random.default_rng(5)
    pool = Pool("only", "a", units=7, need=(1, 2, 3))
    source = rng.integers(0, 3, 4000).tolist()
    world = Watched([1e9] * 4000, pools=(pool,), source=source, max_nodes=40, spread=spread, deadline_s=0.0)
    world.fleet.start_ready(40)
    room, where = [7] * 40, {}
    for broadcast in range(4000):
        if where and rng.random() < 0.48:
            leaving = int(rng.choice(list(where)))
            world.fleet.leave(leaving)
            room[where.pop(leaving)] += pool.need[source[leaving]]
        need = pool.need[source[broadcast]]
        fitting = [node for node in range(40) if room[node] >= need]
        node = world.fleet.place(broadcast)
        if not fitting:
            assert node == -1
            continue
        best = (max if spread else min)(room[candidate] for candidate in fitting)
        assert node == next(candidate for candidate in fitting if room[candidate] == best)
        room[node] -= need
        where[broadcast] = node
    assert world.fleet.held == world.fleet.in_service == len(where)
