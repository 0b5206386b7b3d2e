"""A table of the day, taken a little ahead of its hours."""

from __future__ import annotations

from bisect import bisect_right

from scenarios.autoscaler import ScheduleAutoscaler
from sim.components.autoscaler.fleet_seen import Bounds, ScalableFleet

DAY_S = 86_400.0


class Schedule:
    """Wants what the table says for the time `ahead_s` from now.

    Args:
        spec: of the scenario.
        bounds: of the fleet.
        start_hour: local time of day at which the simulation starts.
    """

    def __init__(self, spec: ScheduleAutoscaler, bounds: Bounds, start_hour: float) -> None:
        self._bounds, self._ahead_s, self._start_s = bounds, spec.ahead_s, start_hour * 3600.0
        self._from_s = [step.hour * 3600.0 for step in spec.steps]
        self._nodes = [step.nodes for step in spec.steps]
        self.sync_period_s = spec.sync_period_s

    def initial_nodes(self, live: int) -> int:
        """Return what the table says at the start, whoever is live."""
        return self._at(0.0)

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return what the table says."""
        return self._at(at_s)

    def _at(self, at_s: float) -> int:
        time_of_day_s = (self._start_s + at_s + self._ahead_s) % DAY_S
        step = bisect_right(self._from_s, time_of_day_s) - 1  # -1 before the first: the last one, over midnight
        return self._bounds.clamp(self._nodes[step])
