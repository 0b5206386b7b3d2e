"""One table of the kinds of autoscalers, and the process that asks one and acts on its answer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import simpy

from scenarios.autoscaler import Autoscaler as AutoscalerSpec
from scenarios.hpa_autoscaler import HpaAutoscaler, NoProvisioner
from sim.components.autoscaler.fixed import Fixed
from sim.components.autoscaler.fleet_seen import Autoscaler, Bounds, ScalableFleet
from sim.components.autoscaler.kubernetes import HpaOverFleet
from sim.components.autoscaler.predictive import Predictive
from sim.components.autoscaler.provisioner import KeepingFleet, ProvisionedFleet
from sim.components.autoscaler.queue import QueueFollower
from sim.components.autoscaler.schedule import Schedule
from sim.components.autoscaler.utilisation import TargetTracking

AUTOSCALERS: Mapping[str, Callable[[Any, Bounds, float], Autoscaler]] = {
    "fixed": lambda spec, bounds, _: Fixed(spec, bounds),
    "queue": lambda spec, bounds, _: QueueFollower(spec, bounds),
    "hpa": lambda spec, bounds, _: HpaOverFleet(spec, bounds),
    "schedule": Schedule,
    "predictive": lambda spec, bounds, _: Predictive(spec, bounds),
    "utilisation": lambda spec, bounds, _: TargetTracking(spec, bounds),
}
"""Kind → what makes one, from its part of the scenario, the bounds and the hour at which the simulation starts."""


class Autoscaling:
    """A fleet that is scaled.

    Args:
        env: the clock.
        spec: of the scenario.
        fleet: what is scaled.
        bounds: nodes at least and at most, and the places of a node.
        start_hour: local time of day at which the simulation starts.

    Attributes:
        at_s: moments at which it ordered or drained.
        change: nodes (with a provisioner: pods) that it ordered, or drained as a negative number, by moment.
    """

    def __init__(
        self, env: simpy.Environment, spec: AutoscalerSpec, fleet: KeepingFleet, *, bounds: Bounds, start_hour: float
    ) -> None:
        self._env, self._most = env, bounds.max_nodes
        self._autoscaler = AUTOSCALERS[spec.kind](spec, bounds, start_hour)
        self._provisioned: ProvisionedFleet | None = None
        if isinstance(spec, HpaAutoscaler) and not isinstance(spec.provisioner, NoProvisioner):
            self._provisioned = ProvisionedFleet(env, spec.provisioner, fleet)
        self._fleet: ScalableFleet = self._provisioned or fleet
        self.at_s: list[float] = []
        self.change: list[int] = []

    def initial_nodes(self, live: int) -> int:
        """Return the nodes that are ready at the start, for the broadcasts live then."""
        return min(self._autoscaler.initial_nodes(live), self._most)

    def start(self) -> None:
        """Begin to scale the fleet, as it is now."""
        if self._provisioned is not None:
            self._provisioned.start()
        if self._autoscaler.sync_period_s < float("inf"):
            self._env.process(self._syncs())

    def _syncs(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self._env.timeout(self._autoscaler.sync_period_s)
            current = self._fleet.nodes
            wanted = self._autoscaler.wanted(self._fleet, self._env.now)
            if wanted > current:
                self._note(self._fleet.order(wanted - current))
            elif wanted < current:
                self._fleet.drain(current - wanted)  # pools may hold more: what counts is what goes
                self._note(self._fleet.nodes - current)

    def _note(self, change: int) -> None:
        if change:
            self.at_s.append(self._env.now)
            self.change.append(change)
