"""The real fleet, with nodes that hold five broadcasts each and boot in a known time."""

from __future__ import annotations

import numpy as np
import simpy

from sim.components.autoscaler import Autoscaling, Bounds
from sim.components.fleet import Fleet, NodeState, Placement

PLACES = 5


class BootedFleet:
    """A fleet, its autoscaling and its clock.

    Args:
        spec: of the autoscaler.
        ends_s: identity → when the broadcast ends.
        boot_s: of every node.
        max_nodes: that exist at once.
        deadline_s: longest wait for a place.
    """

    def __init__(self, spec, ends_s, *, boot_s=120.0, max_nodes=5000, deadline_s=1e6):
        self.env = simpy.Environment()
        self.fleet = Fleet(
            self.env,
            capacity=np.array([1.0]),
            demand=np.array([1.0 / PLACES]),
            max_nodes=max_nodes,
            boot_s=lambda: boot_s,
            end_s=np.asarray(ends_s, float),
            queue_deadline_s=deadline_s,
            placement=Placement(lambda b, n: None, lambda b, why: None, lambda b: None),
        )
        bounds = Bounds(1, max_nodes, PLACES)
        self.autoscaling = Autoscaling(self.env, spec, self.fleet, bounds=bounds, start_hour=0.0)

    def start(self, live: int) -> None:
        """Begin with so many live broadcasts, the first ones, on the fleet that the autoscaler holds for them."""
        self.fleet.start_ready(self.autoscaling.initial_nodes(live))
        self.go_live(range(live))
        self.autoscaling.start()

    def go_live(self, broadcasts) -> None:
        for broadcast in broadcasts:
            self.fleet.request(broadcast)

    def run(self, until_s: float) -> None:
        self.env.run(until=until_s)

    @property
    def draining(self) -> int:
        return self.fleet.count[NodeState.DRAINING]

    @property
    def gone(self) -> int:
        return self.fleet.count[NodeState.GONE]
