"""The real fleet, with nodes that hold five broadcasts each and boot in a known time."""

from __future__ import annotations

import simpy

from scenarios.nodes import Drain
from sim.components.admission import Admission, Answers, FirstCome
from sim.components.autoscaler import Autoscaling, Bounds
from sim.components.fleet import Fleet
from sim.components.node import NodeState, Startup, Told
from sim.components.pools import Pool
from sim.scaling import FleetAndQueue

PLACES = 5


class BootedFleet:
    """A fleet, its autoscaling and its clock.

    Args:
        spec: of the autoscaler; None for none.
        ends_s: identity → when the broadcast ends.
        boot_s: of every node.
        max_nodes: that exist at once.
        deadline_s: longest wait for a place.
        places: broadcasts a node holds.
        drain: what becomes of the broadcasts of a node that goes.
        pools: of the fleet; one if None.
    """

    def __init__(
        self, spec, ends_s, *, boot_s=120.0, max_nodes=5000, deadline_s=1e6, places=PLACES, drain=None, pools=None
    ):
        self.env = simpy.Environment()
        self.interrupted, self._ends_s = [], ends_s
        self.fleet = Fleet(
            self.env,
            pools=pools or [Pool("only", "a", places, (1,))],
            source_of=[0] * len(ends_s),
            max_nodes=max_nodes,
            startup=lambda: Startup(0.0, boot_s),
            life=lambda: 0.0,
            told=Told(lambda b, n: self.interrupted.append(b), lambda b, n: None, lambda: self.admission.serve()),
        )
        self.admission = Admission(
            self.env,
            rule=FirstCome(),
            place=self.fleet.place,
            free_share=self.fleet.free_share,
            patience_s=lambda b: deadline_s,
            limit=None,
            answers=Answers(lambda b, n: None, lambda b: None, lambda b, why: None),
        )
        self.both = FleetAndQueue(self.fleet, self.admission, drain or Drain())
        for broadcast, end_s in enumerate(ends_s):
            self.env.timeout(end_s).callbacks.append(lambda _, broadcast=broadcast: self._stop(broadcast))
        if spec is None:
            return
        bounds = Bounds(1, max_nodes, places)
        self.autoscaling = Autoscaling(self.env, spec, self.both, bounds=bounds, start_hour=0.0)

    def start(self, live: int) -> None:
        """Begin with so many live broadcasts, the first ones, on the fleet that the autoscaler holds for them."""
        self.fleet.start_ready(self.autoscaling.initial_nodes(live))
        self.go_live(range(live))
        self.autoscaling.start()

    def go_live(self, broadcasts) -> None:
        for broadcast in broadcasts:
            if self._ends_s[broadcast] > self.env.now:
                self.admission.request(broadcast)

    def _stop(self, broadcast: int) -> None:
        if self.fleet.node_of(broadcast) >= 0:
            self.fleet.leave(broadcast)
        elif broadcast in self.admission:
            self.admission.withdraw(broadcast)

    def run(self, until_s: float) -> None:
        self.env.run(until=until_s)

    @property
    def draining(self) -> int:
        return self.fleet.count[NodeState.DRAINING]

    @property
    def gone(self) -> int:
        return self.fleet.count[NodeState.GONE]
