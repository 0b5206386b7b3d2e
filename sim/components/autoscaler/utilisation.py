"""Keeps the share of taken places at a target."""

from __future__ import annotations

import math

from scenarios.autoscaler import UtilisationAutoscaler
from sim.components.autoscaler.fleet_seen import Bounds, ScalableFleet
from sim.components.autoscaler.queue import needed_nodes


class TargetTracking:
    """Out at once, in once a cooldown.

    Args:
        spec: of the scenario.
        bounds: of the fleet.
    """

    def __init__(self, spec: UtilisationAutoscaler, bounds: Bounds) -> None:
        self._bounds, self._cooldown_s = bounds, spec.scale_in_cooldown_s
        self._target = bounds.places_per_node * spec.target_utilisation
        self._changed_s = 0.0
        self.sync_period_s = spec.sync_period_s

    def initial_nodes(self, live: int) -> int:
        """Return the nodes at which those live at the start take the target share."""
        return self._desired(live)

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the nodes wanted now."""
        current, desired = fleet.nodes, self._desired(fleet.in_service)
        if desired == current or (desired < current and at_s - self._changed_s < self._cooldown_s):
            return current
        self._changed_s = at_s
        return desired

    def _desired(self, in_service: int) -> int:
        return self._bounds.clamp(math.ceil(needed_nodes(in_service, self._target)))
