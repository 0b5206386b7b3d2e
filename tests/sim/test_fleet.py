import math

import numpy as np
import simpy

from sim.components.fleet import Fleet, NodeState, Placement


class Watched:
    """A fleet of nodes that hold two broadcasts, and what it told."""

    def __init__(self, ends_s, *, deadline_s=60.0, max_nodes=10, boot_s=30.0, demand=(0.5, 1.0)):
        self.env = simpy.Environment()
        self.placed, self.refused, self.ended = [], [], []
        self.fleet = Fleet(
            self.env,
            capacity=np.array([1.0, 10.0]),
            demand=np.array(demand),
            max_nodes=max_nodes,
            boot_s=lambda: boot_s,
            end_s=np.array(ends_s, dtype=float),
            queue_deadline_s=deadline_s,
            placement=Placement(
                lambda b, n: self.placed.append((self.env.now, b, n)),
                lambda b, why: self.refused.append((self.env.now, b, why)),
                lambda b: self.ended.append((self.env.now, b)),
            ),
        )


def test_a_full_fleet_makes_wait_until_a_node_has_booted():
    world = Watched([500, 500, 500])
    world.fleet.start_ready(1)
    for broadcast in range(3):
        world.fleet.request(broadcast)
    assert world.fleet.order(1) == 1
    world.env.run(until=100)
    assert world.placed == [(0, 0, 0), (0, 1, 0), (30, 2, 1)]
    assert world.fleet.ready_s[1] == 30


def test_giving_up_at_the_deadline_or_at_the_own_end():
    world = Watched([500, 500, 500, 20], deadline_s=60.0)
    world.fleet.start_ready(1)
    for broadcast in range(4):
        world.fleet.request(broadcast)
    world.env.run(until=100)
    assert world.refused == [(20, 3, "gave up waiting"), (60, 2, "gave up waiting")]


def test_deadline_zero_refuses_at_once():
    world = Watched([500], deadline_s=0.0)
    world.fleet.request(0)
    assert world.refused == [(0, 0, "refused: no place")]


def test_nobody_overtakes_the_queue():
    world = Watched([50, 500, 500, 500])
    world.fleet.start_ready(1)
    for broadcast in range(3):
        world.fleet.request(broadcast)

    def late():
        yield world.env.timeout(40)
        world.fleet.request(3)

    world.env.process(late())
    world.env.run(until=55)
    assert [(at, broadcast) for at, broadcast, _ in world.placed] == [(0, 0), (0, 1), (50, 2)]


def test_best_fit_takes_the_fullest_node_with_room():
    world = Watched([10, 500, 500, 500])
    world.fleet.start_ready(2)
    for broadcast in range(3):
        world.fleet.request(broadcast)
    world.env.run(until=20)  # broadcast 0 has left node 0: it holds 1, node 1 holds 1
    world.fleet.request(3)
    assert [node for _, _, node in world.placed] == [0, 0, 1, 0]


def test_draining_lets_broadcasts_finish_and_takes_no_new_ones():
    world = Watched([100, 500])
    world.fleet.start_ready(2)
    world.fleet.request(0)
    world.fleet.drain(2)
    assert world.fleet.states() == [NodeState.DRAINING, NodeState.GONE]
    world.fleet.request(1)
    world.env.run(until=150)
    assert world.ended == [(100, 0)]
    assert world.fleet.gone_s[0] == 100
    assert world.refused == [(60, 1, "gave up waiting")]


def test_a_node_drained_while_booting_never_becomes_ready():
    world = Watched([500])
    world.fleet.order(1)
    world.fleet.drain(1)
    world.env.run(until=100)
    assert world.fleet.states() == [NodeState.GONE]
    assert math.isnan(world.fleet.ready_s[0])


def test_the_first_resource_to_saturate_binds():
    world = Watched([500] * 4, deadline_s=0.0, demand=(0.1, 5.0))
    world.fleet.start_ready(1)
    for broadcast in range(4):
        world.fleet.request(broadcast)
    assert len(world.placed) == 2  # of 10 by the first resource, 2 by the second


def test_max_nodes_bounds_an_order():
    world = Watched([500], max_nodes=3)
    assert world.fleet.order(5) == 3
    assert world.fleet.order(1) == 0


def test_equal_demands_fill_a_node_despite_rounding():
    world = Watched([500] * 11, deadline_s=0.0, demand=(0.1, 0.1))
    world.fleet.start_ready(1)
    for broadcast in range(11):
        world.fleet.request(broadcast)
    assert len(world.placed) == 10
