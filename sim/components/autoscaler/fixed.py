"""A fleet that stays as it is."""

from __future__ import annotations

import math

from scenarios.autoscaler import FixedFleet
from sim.components.autoscaler.fleet_seen import Bounds, ScalableFleet


class Fixed:
    """Holds `min_nodes` and never looks."""

    sync_period_s = math.inf

    def __init__(self, spec: FixedFleet, bounds: Bounds) -> None:
        self._nodes = bounds.min_nodes

    def initial_nodes(self, live: int) -> int:
        """Return `min_nodes`."""
        return self._nodes

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the nodes there are."""
        return fleet.nodes
