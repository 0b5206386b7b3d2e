"""Follows the queue of broadcasts, waiting and in service, over nodes that take minutes to boot."""

from __future__ import annotations

import math

from scenarios.autoscaler import QueueAutoscaler
from sim.components.autoscaler.fleet_seen import Bounds, Highest, ScalableFleet


def desired_nodes(in_queue: float, *, broadcasts_per_node: int, target_utilisation: float) -> int:
    """Return ceil(broadcasts waiting and in service ÷ (broadcasts per node × target utilisation)), exactly."""
    return math.ceil(needed_nodes(in_queue, broadcasts_per_node * target_utilisation))


def needed_nodes(in_queue: float, target_per_node: float) -> float:
    """Return the nodes needed before they are rounded up."""
    return round(in_queue / target_per_node, 9)  # 36 / (4 × 0.9) is 10 nodes, not 10.000000000000002


class QueueFollower:
    """Out at once, in only as far as the look-back allows.

    Args:
        spec: of the scenario.
        bounds: of the fleet.
    """

    def __init__(self, spec: QueueAutoscaler, bounds: Bounds) -> None:
        self._spec, self._bounds = spec, bounds
        self._target = bounds.places_per_node * spec.target_utilisation
        self._recent = Highest(spec.scale_in_window_s)
        self.sync_period_s = spec.sync_period_s

    def initial_nodes(self, live: int) -> int:
        """Return the nodes it holds for those live at the start."""
        return self._bounds.clamp(math.ceil(needed_nodes(live, self._target)))

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the nodes wanted now."""
        needed = needed_nodes(fleet.in_service + fleet.waiting, self._target)
        desired = self._bounds.clamp(math.ceil(needed))
        highest = self._recent.of(desired, at_s)
        current = fleet.nodes
        within = current > 0 and abs(needed / current - 1) <= self._spec.tolerance
        if within and fleet.waiting == 0 and self._bounds.clamp(current) == current:
            return current
        return desired if desired > current else min(current, highest)
