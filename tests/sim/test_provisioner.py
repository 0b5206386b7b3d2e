"""Nodes for pods: when they are ordered, when they go, and that neither pods nor nodes are lost or invented."""

from __future__ import annotations

import pytest
from booted_fleet import BootedFleet

from scenarios.hpa_autoscaler import ClusterAutoscaler, Karpenter
from sim.components.autoscaler import ProvisionedFleet
from sim.components.node import NodeState
from sim.sampling import stream


class Provisioned(BootedFleet):
    """A real fleet of nodes for two broadcasts each beneath pods; every order of nodes is noted."""

    def __init__(self, spec, *, ends_s=(), boot_s=60.0, max_nodes=100, ready=0):
        super().__init__(None, ends_s, boot_s=boot_s, max_nodes=max_nodes, places=2)
        self.fleet.start_ready(ready)
        self.pods = ProvisionedFleet(self.env, spec, self.both)
        self.pods.start()

    def at(self, at_s: float) -> Provisioned:
        self.env.run(until=at_s)
        self.balance()
        return self

    def balance(self) -> None:
        count = self.fleet.count
        assert self.pods.nodes == self.pods.pending + count[NodeState.BOOTING] + count[NodeState.READY]
        assert sum(count.values()) == len(self.fleet.log.ordered_s)
        assert self.fleet.idle <= count[NodeState.DRAINING]
        assert self.fleet.in_service == self.fleet.held
        on_ready = sum(len(self.fleet.broadcasts_on(node)) for node in self.fleet.serving([0]))
        assert self.fleet.in_service_on_ready == on_ready

    @property
    def ordered_s(self) -> list[float]:
        return list(self.fleet.log.ordered_s)


def cluster_autoscaler(**changes) -> ClusterAutoscaler:
    return ClusterAutoscaler(kind="cluster_autoscaler", **changes)


def karpenter(**changes) -> Karpenter:
    return Karpenter(kind="karpenter", **changes)


def test_a_cluster_autoscaler_orders_at_its_next_scan():
    world = Provisioned(cluster_autoscaler())
    world.at(12.0).pods.order(3)
    assert (world.pods.nodes, world.pods.pending, world.pods.ready) == (3, 3, 0)
    world.at(20.5)
    assert world.ordered_s == [20.0] * 3
    assert world.pods.pending == 0
    assert world.at(80.5).pods.ready == 3


def test_karpenter_closes_a_batch_after_an_idle_second_or_ten_in_all():
    world = Provisioned(karpenter())
    for number in range(3):
        world.at(5.0 + 0.5 * number).pods.order(1)
    world.at(20.0)
    assert world.ordered_s == [7.0] * 3  # a second after the last one, of 6 s
    for number in range(30):
        world.at(30.0 + 0.6 * number).pods.order(1)
    world.at(60.0)
    # Ten seconds from the first one; what comes from 40.2 s on is the next batch, whose last pod is of 47.4 s.
    assert world.ordered_s[3:] == pytest.approx([40.0] * 17 + [48.4] * 13)


def test_a_pod_that_is_deleted_before_it_has_a_node_costs_none():
    world = Provisioned(cluster_autoscaler())
    world.at(12.0).pods.order(5)
    world.pods.drain(3)
    world.at(100.0)
    assert world.ordered_s == [20.0] * 2
    assert (world.pods.nodes, world.pods.ready) == (2, 2)


def test_a_node_without_a_pod_stands_idle_until_it_was_unneeded_for_long_enough():
    world = Provisioned(cluster_autoscaler(), ready=4)
    world.at(15.0).pods.drain(3)
    assert (world.pods.nodes, world.fleet.idle, world.pods.ready) == (1, 3, 1)
    world.at(619.0)
    assert world.fleet.count[NodeState.GONE] == 0
    world.at(621.0)  # seen without a pod at the scan of 20 s
    assert world.fleet.count[NodeState.GONE] == 3
    assert [gone for gone in world.fleet.log.gone_s if gone == gone] == [620.0] * 3


def test_a_pod_takes_the_newest_idle_node_at_once_and_the_others_go_on_idling():
    world = Provisioned(cluster_autoscaler(), ready=4)
    world.at(15.0).pods.drain(2)
    world.at(115.0).pods.drain(1)
    assert (world.pods.ready, world.fleet.idle) == (1, 3)
    world.at(300.0).pods.order(1)
    assert (world.pods.pending, world.pods.ready, world.fleet.idle) == (0, 2, 2)
    world.at(611.0).pods.drain(1)
    world.at(621.0)
    assert world.fleet.count[NodeState.GONE] == 2  # those of the beginning
    world.at(1219.0)
    assert world.fleet.count[NodeState.GONE] == 2
    world.at(1221.0)
    assert world.fleet.count[NodeState.GONE] == 3
    assert len(world.ordered_s) == 4


def test_broadcasts_end_on_the_node_of_a_deleted_pod_before_it_is_idle():
    world = Provisioned(karpenter(scale_down_unneeded_s=30.0), ready=1, ends_s=[100.0, 1000.0])
    world.admission.request(0)
    world.at(10.0).pods.drain(1)
    assert (world.pods.nodes, world.fleet.idle, world.fleet.in_service) == (0, 0, 1)
    world.admission.request(1)  # no pod runs, so that it waits
    world.at(50.0)
    assert world.admission.waiting == 1
    world.at(129.0)
    assert (world.fleet.idle, world.fleet.in_service) == (1, 0)
    world.at(141.0)  # empty at 100 s, which is the moment of a scan
    assert world.fleet.count[NodeState.GONE] == 1


def test_what_cannot_be_had_stays_pending_and_comes_when_it_can():
    for spec in (cluster_autoscaler(scale_down_unneeded_s=0.0), karpenter(scale_down_unneeded_s=0.0)):
        world = Provisioned(spec, max_nodes=3)
        world.at(1.0).pods.order(5)
        world.at(100.0)
        assert (world.pods.nodes, world.pods.pending, world.pods.ready) == (5, 2, 3)
        world.fleet.drain(1)  # a node is lost
        world.balance()
        assert world.pods.pending == 3
        world.at(200.0)
        assert (world.pods.nodes, world.pods.pending, world.pods.ready) == (5, 2, 3)


@pytest.mark.parametrize("make", [cluster_autoscaler, karpenter])
def test_pods_and_nodes_are_conserved_under_any_orders(make):
    """A thousand random orders and deletions over broadcasts that come and go."""
    rng = stream(1, 0, "provisioner")
    ends_s = 10.0 * (1 + rng.integers(0, 600, 2000))
    world = Provisioned(make(scale_down_unneeded_s=100.0), ends_s=sorted(ends_s), boot_s=45.0, max_nodes=60, ready=5)
    pods = 5
    for number in range(1000):
        world.at(6.5 * (number + 1))
        change = int(rng.integers(-6, 7))
        if change > 0:
            world.pods.order(change)
        elif change < 0:
            world.pods.drain(-change)
        pods = max(0, pods + change)
        world.go_live([number])
        world.balance()
        assert world.pods.nodes == pods
    assert world.fleet.count[NodeState.GONE] > 100
