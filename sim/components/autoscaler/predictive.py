"""Orders for the load that linear smoothing expects."""

from __future__ import annotations

import math

from scenarios.autoscaler import PredictiveAutoscaler
from sim.components.autoscaler.fleet_seen import Bounds, Highest, ScalableFleet
from sim.components.autoscaler.queue import needed_nodes


class HoltTrend:
    """Holt's linear exponential smoothing of values at equal distances (Holt 1957, 2004).

    Of a straight line it is right in the end, whatever its slope; of a bend it is late by about `trend_s`.

    Args:
        period_s: distance of the values.
        level_s: time constant of the level.
        trend_s: time constant of the slope.
    """

    def __init__(self, *, period_s: float, level_s: float, trend_s: float) -> None:
        self._period_s = period_s
        self._level_weight = 1.0 - math.exp(-period_s / level_s)
        self._slope_weight = 1.0 - math.exp(-period_s / trend_s)
        self._level: float | None = None
        self._slope_per_s = 0.0

    def observe(self, value: float) -> None:
        """Take the next value; the first one is the level, with no slope."""
        if self._level is None:
            self._level = value
            return
        expected = self._level + self._slope_per_s * self._period_s
        level = expected + self._level_weight * (value - expected)
        slope_per_s = (level - self._level) / self._period_s
        self._slope_per_s += self._slope_weight * (slope_per_s - self._slope_per_s)
        self._level = level

    def forecast(self, ahead_s: float) -> float:
        """Return the value expected so far ahead of the newest one; 0 before the first."""
        return 0.0 if self._level is None else self._level + self._slope_per_s * ahead_s


class Predictive:
    """Out at once for what is expected, in only as far as the look-back allows.

    Args:
        spec: of the scenario.
        bounds: of the fleet.
    """

    def __init__(self, spec: PredictiveAutoscaler, bounds: Bounds) -> None:
        self._bounds, self._ahead_s = bounds, spec.ahead_s
        self._target = bounds.places_per_node * spec.target_utilisation
        self._load = HoltTrend(period_s=spec.sync_period_s, level_s=spec.level_s, trend_s=spec.trend_s)
        self._recent = Highest(spec.scale_in_window_s)
        self.sync_period_s = spec.sync_period_s

    def initial_nodes(self, live: int) -> int:
        """Return the nodes for those live at the start, of whose trend nothing is known yet."""
        return self._nodes(live)

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the nodes wanted now."""
        load = fleet.in_service + fleet.waiting
        self._load.observe(load)
        desired = self._nodes(max(load, self._load.forecast(self._ahead_s)))
        highest = self._recent.of(desired, at_s)
        return desired if desired > fleet.nodes else min(fleet.nodes, highest)

    def _nodes(self, load: float) -> int:
        return self._bounds.clamp(math.ceil(needed_nodes(load, self._target)))
