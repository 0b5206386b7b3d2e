"""The HPA of a scenario over the fleet: late metrics in, replicas out."""

from __future__ import annotations

import math

from scenarios.hpa_autoscaler import HpaAutoscaler
from sim.components.autoscaler.fleet_seen import Bounds, ScalableFleet
from sim.components.autoscaler.hpa import HorizontalPodAutoscaler
from sim.components.autoscaler.hpa_metrics import FleetMetrics


class HpaOverFleet:
    """One replica is one pod, and one pod is one node.

    Args:
        spec: of the scenario.
        bounds: of the fleet; only the places of a node are read, the manifest has its own bounds.
    """

    def __init__(self, spec: HpaAutoscaler, bounds: Bounds) -> None:
        self._spec, self._places = spec, bounds.places_per_node
        self._controller = HorizontalPodAutoscaler(spec.replicas, tolerance=spec.tolerance)
        self._metrics = FleetMetrics(spec, bounds.places_per_node)
        self._replicas: int | None = None
        self.sync_period_s = spec.sync_period_s

    def initial_nodes(self, live: int) -> int:
        """Return what the scenario says, else the replicas at which every metric is on target or below.

        Of a target of type Value there is no such number, and of an empty queue it is none: `minReplicas`.
        """
        replicas = self._spec.replicas
        if self._spec.initial_nodes is not None:
            return self._spec.initial_nodes
        most = max(self._on_target(number, live) for number in range(len(replicas.metrics)))
        return min(max(most, replicas.min_replicas), replicas.max_replicas)

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the replicas after this sync: those it set itself, whether or not there are nodes for all of them."""
        current = fleet.nodes if self._replicas is None else self._replicas
        seen = self._metrics.see(fleet, replicas=current, at_s=at_s)
        self._replicas = self._controller.sync(seen, current=current, at_s=at_s)
        self._controller.scaled(current, self._replicas, at_s=at_s)
        return self._replicas

    def _on_target(self, number: int, live: int) -> int:
        metric = self._spec.replicas.metrics[number]
        if metric.resource is not None:
            percent = metric.resource.target.average_utilization
            assert percent is not None  # nothing else is taken from a scenario
            return math.ceil(100 * live / (percent * self._places))
        named = metric.external or metric.pods
        assert named is not None
        if named.target.average_value is None or self._spec.source(metric) == "waiting":
            return 0
        return math.ceil(1000 * live / named.target.average_value)
