import pytest
import simpy

from scenarios.autoscaler import QueueAutoscaler
from sim.components.autoscaler import desired_nodes, follow_queue


class Recorded:
    """A fleet whose queue is a script, and whose nodes appear and vanish at once."""

    def __init__(self, env, demand, nodes):
        self._env, self._demand, self.nodes, self.actions = env, demand, nodes, []
        self.waiting = 0

    @property
    def in_service(self):
        return self._demand(self._env.now)

    def order(self, nodes):
        self.actions.append((self._env.now, nodes))
        self.nodes += nodes
        return nodes

    def drain(self, nodes):
        if nodes:
            self.actions.append((self._env.now, -nodes))
            self.nodes -= nodes


def follow(demand, nodes, until_s=600.0, waiting=0, **changes):
    env = simpy.Environment()
    fleet = Recorded(env, demand, nodes)
    fleet.waiting = waiting
    spec = QueueAutoscaler(kind="queue", target_utilisation=1.0, **changes)
    env.process(follow_queue(env, spec, fleet, broadcasts_per_node=4, min_nodes=1, max_nodes=50))
    env.run(until=until_s)
    return fleet


@pytest.mark.parametrize(
    ("in_queue", "target", "nodes"), [(0, 1.0, 0), (8, 1.0, 2), (9, 1.0, 3), (36, 0.9, 10), (37, 0.9, 11)]
)
def test_desired_nodes_is_an_exact_ceiling(in_queue, target, nodes):
    assert desired_nodes(in_queue, broadcasts_per_node=4, target_utilisation=target) == nodes


def test_scales_out_at_the_next_sync():
    assert follow(lambda at: 40, nodes=5).actions == [(15.0, 5)]


def test_tolerance_holds_small_differences_unless_somebody_waits():
    assert follow(lambda at: 42, nodes=10).actions == []
    assert follow(lambda at: 42, nodes=10, waiting=2, until_s=20.0).actions == [(15.0, 1)]


def test_scales_in_only_after_the_whole_window_has_asked_for_less():
    fleet = follow(lambda at: 40 if at < 100 else 8, nodes=10, scale_in_window_s=300.0)
    assert fleet.actions == [(405.0, -8)]  # the last sync that wanted 10 was at 90 s, and 90 < 405 - 300


def test_stays_within_its_bounds():
    assert follow(lambda at: 10_000, nodes=5).nodes == 50
    assert follow(lambda at: 0, nodes=5, scale_in_window_s=0.0).nodes == 1
