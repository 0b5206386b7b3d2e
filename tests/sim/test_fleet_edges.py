"""A fleet, its queue and its failures where several things happen at once."""

from __future__ import annotations

import math

import pytest
from booted_fleet import PLACES, BootedFleet
from hypothesis import given, settings
from hypothesis import strategies as st
from test_failures import fail
from watched_fleet import Watched, spot

from scenarios.admission import PartnersFirst
from scenarios.autoscaler import QueueAutoscaler
from scenarios.failures import RollingDeploy, SpotStorm, ZoneLoss
from sim.components.admission import Channels, policy
from sim.components.failures import Site
from sim.components.node import NodeState
from sim.components.pools import Pool, shared_out
from sim.components.rooms import Rooms

# ---------------------------------------------------------------- nodes that are kept


def test_a_drain_deadline_is_of_its_own_drain():
    """Drained, kept, resumed and drained again: the first deadline is gone with the first drain."""
    world = Watched([10, 5000])
    world.fleet.start_ready(1)
    world.request(0)
    world.fleet.drain(1, deadline_s=100.0, keep=True)
    world.at(20, world.fleet.resume, 1)
    world.at(21, world.request, 1)
    world.at(30, lambda: world.fleet.drain(1, deadline_s=100.0, keep=True))
    world.env.run(until=200)
    assert world.interrupted == [(130, 1, 0)]


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_kept_node_that_is_taken_back_is_gone(is_empty):
    world = Watched([40])
    world.fleet.start_ready(1)
    if not is_empty:
        world.request(0)
    world.fleet.drain(1, keep=True)
    world.at(20, world.fleet.notice, 0, 120.0, "taken back")
    world.env.run(until=300)
    assert [node for _, node, _ in world.gone] == [0]
    assert world.fleet.idle == 0
    assert world.fleet.resume(1) == 0


def test_what_is_resumed_makes_up_for_what_cannot_be_had():
    world = Watched([])
    world.fleet.start_ready(5)
    world.fleet.drain(2, keep=True)
    world.fleet.close([0])
    world.fleet.kill([0], "died")
    assert (world.fleet.nodes, world.fleet.wanted_nodes) == (2, 3)
    assert world.fleet.resume(1) == 1
    assert (world.fleet.nodes, world.fleet.wanted_nodes) == (3, 3)
    world.fleet.reopen([0])
    world.env.run(until=500)
    assert world.fleet.nodes == 3


# ---------------------------------------------------------------- pools


def test_the_least_of_the_pools_is_held_from_the_start_and_after_a_loss():
    world = Watched([], pools=(Pool("kept", "a", 2, (1,), least=4), Pool("spot", "a", 2, (1,))), max_nodes=20)
    world.fleet.start_ready(1)
    assert world.fleet.living([0]) == [0, 1, 2, 3]
    world.fleet.close([0, 1])
    world.fleet.kill([0, 1], "died")
    world.fleet.drain(1)
    world.fleet.reopen([0, 1])
    assert len(world.fleet.living([0])) == 4


def test_a_surge_that_cannot_be_had_is_not_taken_from_the_fleet():
    world = Watched([], pools=(Pool("only", "a", 2, (1,), available_max=4),))
    world.fleet.start_ready(4)
    world.fleet.add_surge(2)
    assert world.fleet.nodes == 4
    world.fleet.add_surge(-2)
    assert world.fleet.count[NodeState.READY] == 4


def test_an_autoscaler_may_order_up_to_the_most_while_there_is_a_surge():
    world = Watched([], max_nodes=6)
    world.fleet.start_ready(4)
    world.fleet.add_surge(2)
    assert world.fleet.order(5) == 2
    assert (world.fleet.nodes, world.fleet.wanted_nodes) == (6, 6)


amounts = st.lists(
    st.tuples(st.integers(0, 40), st.one_of(st.integers(0, 60), st.just(10**9)), st.floats(0, 50)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(total=st.integers(0, 200), pools=amounts)
def test_sharing_out_sums_stays_within_bounds_and_is_monotone(total, pools):
    least, most, weight = (list(column) for column in zip(*pools, strict=True))
    given_ = shared_out(total, least, most, weight)
    floor = [min(a, b) for a, b in zip(least, most, strict=True)]
    assert sum(given_) == min(max(total, sum(floor)), sum(most))
    assert all(low <= nodes <= high for low, nodes, high in zip(floor, given_, most, strict=True))
    assert sum(shared_out(total + 1, least, most, weight)) >= sum(given_)


@settings(max_examples=100, deadline=None)
@given(total=st.integers(0, 500), weight=st.lists(st.floats(0.01, 50), min_size=1, max_size=6))
def test_sharing_out_without_bounds_is_in_proportion(total, weight):
    shares = [total * part / sum(weight) for part in weight]
    given_ = shared_out(total, [0] * len(weight), [10**9] * len(weight), weight)
    assert all(abs(nodes - share) < 1 + 1e-6 for nodes, share in zip(given_, shares, strict=True))


# ---------------------------------------------------------------- the queue


def test_who_comes_again_stands_at_the_end():
    world = Watched([5000] * 5, deadline_s=1e9)
    world.request(0, 1, 2)
    world.admission.withdraw(1)
    world.request(1)
    world.fleet.start_ready(1)
    world.admission.serve()
    assert [broadcast for _, broadcast, _ in world.placed] == [0, 2]


def test_when_a_large_one_gives_up_the_small_ones_behind_it_are_served():
    pool = Pool("only", "a", units=10, need=(3, 8))
    world = Watched([5000, 15, 5000], pools=(pool,), source=[0, 1, 0], deadline_s=60.0)
    world.fleet.start_ready(1)
    world.request(0, 1, 2)  # the second does not fit, the third may not overtake it
    world.env.run(until=30)
    assert world.placed == [(0, 0, 0), (15, 2, 0)]


def test_a_partner_who_needs_more_is_not_overtaken_by_others():
    pool = Pool("only", "a", units=10, need=(3, 8))
    rule = policy(PartnersFirst(kind="partners_first", reserved_share=0.0), Channels([False, False, True], [0.0] * 3))
    world = Watched([5000] * 3, pools=(pool,), source=[0, 0, 1], deadline_s=1e9, rule=rule)
    world.request(1, 2)
    world.fleet.start_ready(1)
    world.request(0)
    world.fleet.place(0)  # room is left for the other small one, not for the partner
    world.admission.serve()
    assert world.placed == []


# ---------------------------------------------------------------- failures


def test_each_pool_has_its_own_notice_in_a_storm():
    pools = tuple(
        Pool(name, "a", 1, (1,), purchase="spot", taken_back=spot(notice_s=notice_s))
        for name, notice_s in (("long", 100.0), ("short", 20.0))
    )
    world = Watched([5000] * 4, pools=pools, boot_s=5000.0, migrate_on_notice=False)
    world.fleet.start_ready(4)
    world.request(*range(4))
    fail(world, SpotStorm(kind="spot_storm", at_s=10.0, share=1.0, over_s=0.0), position=lambda node: 0.0)
    world.env.run(until=1000)
    assert {world.fleet.log.pool[node]: at for at, _, node in world.interrupted} == {0: 110.0, 1: 30.0}


def test_a_zone_that_is_lost_twice_is_down_once():
    pools = (Pool("a", "a", 2, (1,)), Pool("b", "b", 2, (1,)))
    world = Watched([], pools=pools)
    losses = [ZoneLoss(kind="zone_loss", at_s=at_s, zones=("a",), duration_s=100.0) for at_s in (10.0, 60.0)]
    _, down = fail(world, *losses)
    sums = []
    for moment_s in (5, 70, 115, 200):
        world.at(moment_s, lambda: sums.append(sum(down)))
    world.env.run(until=300)
    assert sums == [0.0, 0.5, 0.5, 0.0]


def test_a_deploy_goes_no_further_than_its_surge_while_what_it_replaces_cannot_be_had():
    """The old nodes never end: with the largest fleet as large as the surge allows, no more than that may drain."""
    world = Watched([1e9] * 20, boot_s=60.0, max_nodes=10)
    world.fleet.start_ready(8)
    world.request(*range(16))
    fail(world, RollingDeploy(kind="rolling_deploy", at_s=10.0, surge=0.25))
    world.env.run(until=5000)
    assert world.fleet.ready >= 6


def test_a_deploy_a_storm_and_an_autoscaler_at_once_leave_what_was_wanted():
    pools = (
        Pool("kept", "a", 2, (1,), least=2),
        Pool("spot", "b", 2, (1,), weight=3.0, purchase="spot", taken_back=spot(notice_s=30.0), launch_failure=0.3),
    )
    fails = [number * 0.37 % 1.0 for number in range(500)]
    world = Watched([4000] * 30, pools=pools, boot_s=45.0, max_nodes=60, fails=fails, deadline_s=1e9)
    world.fleet.start_ready(12)
    world.request(*range(24))
    fail(
        world,
        RollingDeploy(kind="rolling_deploy", at_s=10.0, surge=0.25, drain_deadline_s=60.0, migrate=True),
        SpotStorm(kind="spot_storm", at_s=40.0, share=0.7, over_s=100.0, duration_s=200.0),
        ZoneLoss(kind="zone_loss", at_s=90.0, zones=("b",), duration_s=300.0),
        position=lambda node: node * 0.618 % 1.0,
    )
    for at_s, nodes in ((55, 3), (120, -4), (260, 5), (500, -2)):
        world.at(
            at_s, lambda nodes=nodes: world.fleet.order(nodes) if nodes > 0 else world.fleet.drain(-nodes, keep=True)
        )
    world.at(400, world.fleet.resume, 1)
    for moment_s in range(5, 2000, 5):
        world.at(moment_s, lambda: balanced(world))
    world.env.run(until=2500)
    assert world.fleet.nodes == world.fleet.ready == world.fleet.wanted_nodes


def balanced(world):
    fleet = world.fleet
    assert fleet.held == fleet.in_service
    assert sum(fleet.count.values()) == len(fleet.log.ordered_s)
    assert fleet.nodes >= 0
    assert all(
        math.isnan(gone_s) == (state < NodeState.GONE)
        for gone_s, state in zip(fleet.log.gone_s, fleet.states(), strict=True)
    )
    assert 0 <= fleet.in_service_on_ready <= fleet.in_service


# ---------------------------------------------------------------- room


def test_room_that_the_largest_source_cannot_use_is_stranded():
    pool = Pool("only", "a", units=10, need=(3, 4))
    world = Watched([500] * 6, pools=(pool,), source=[0, 0, 0, 1, 1, 1])
    world.fleet.start_ready(2)
    assert world.fleet.stranded_share() == pytest.approx(4 / 20)  # 2 of 10 on each node
    world.request(0, 1, 2, 3)  # rooms 1 and 6: 1 and 2 are left over
    assert world.fleet.stranded_share() == pytest.approx(3 / 20)
    assert world.fleet.places_left(1) == 1
    assert Watched([], pools=(pool,)).fleet.stranded_share() == 0.0


@settings(max_examples=100, deadline=None)
@given(rooms=st.lists(st.integers(0, 60), max_size=30), need=st.integers(1, 60))
def test_places_left_are_those_of_each_node(rooms, need):
    counted = Rooms(60)
    for node, room in enumerate(rooms):
        counted.add(node, room)
    assert counted.free_for(need) == sum(room // need for room in rooms)


def test_sources_that_need_more_than_a_node_find_no_place():
    world = Watched([500], pools=(Pool("only", "a", units=10, need=(11,)),), deadline_s=0.0)
    world.fleet.start_ready(1)
    world.request(0)
    assert [why for _, _, why in world.refused] == ["refused: no place"]
    assert world.fleet.places_left(0) == 0


def test_a_region_that_is_lost_twice_comes_back_once():
    world = Watched([])
    turned = []
    site = Site(
        world.env,
        world.fleet,
        ["a"],
        [None],
        lambda share: None,
        lambda *what: turned.append(what),
        lambda *_: None,
        lambda _: 0.0,
    )
    for down in (True, True, False, False):
        site.turn_regions(("east", "east"), down=down)
    assert turned == [(["east"], True), ([], True), ([], False), (["east"], False)]


def test_a_scale_in_that_the_pools_do_not_allow_is_not_told():
    pools = (Pool("kept", "a", PLACES, (1,), least=6),)
    booted = BootedFleet(QueueAutoscaler(kind="queue", scale_in_window_s=0.0), [], pools=pools)
    booted.start(0)
    booted.run(300.0)
    assert booted.fleet.ready == 6
    assert booted.autoscaling.change == []
