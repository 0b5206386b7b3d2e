"""The tick: how the platform stands, and how its crowd does; one row each."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from scenarios.scenario import Scenario
from sim.components.admission import Admission
from sim.components.fleet import Fleet
from sim.components.node import NodeState
from sim.components.publishers import Publishers
from sim.crowd import Crowd, Nobody
from sim.records import BroadcastLog, TickLog

WHOLE_TO = 1e-9
"""Of a tick: what the horizon may lack of a whole number of them, by the rounding of floats."""


class Observation:
    """Looks at platform and crowd tick by tick, and writes one row each."""

    def __init__(
        self,
        scenario: Scenario,
        crowd: Crowd | Nobody,
        broadcasts: BroadcastLog,
        fleet: Fleet,
        admission: Admission,
        publishers: Publishers,
    ) -> None:
        self._horizon, self._crowd = scenario.horizon, crowd
        self._state, self._fleet, self._admission = broadcasts.column("state"), fleet, admission
        self._publishers = publishers
        self._has_sources = len(scenario.workload.sources) > 1
        self._count = math.floor(self._horizon.horizon_s / self._horizon.tick_s + WHOLE_TO)
        self.log = TickLog(self._count)

    def ticks(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Process: one row at the end of every tick."""
        tick_s = self._horizon.tick_s
        for number in range(1, self._count + 1):
            # The last tick ends with the horizon, at which the environment stops before its events.
            at_s = number * tick_s
            yield env.timeout(min(at_s, np.nextafter(self._horizon.horizon_s, 0)) - env.now)
            self.log.add({"t_s": at_s} | self._platform() | self._crowd.step(at_s, self._state))

    def _platform(self) -> dict[str, float]:
        fleet, count = self._fleet, self._fleet.count
        return {
            "broadcasts_in_service": float(fleet.in_service),
            "broadcasts_waiting": float(self._admission.waiting),
            "broadcasts_away": float(len(self._publishers)),
            "nodes_booting": float(count[NodeState.BOOTING]),
            "nodes_ready": float(count[NodeState.READY]),
            "nodes_draining": float(count[NodeState.DRAINING]),
            "nodes_wanted": float(fleet.wanted_nodes),
            "room_free": fleet.free_share(),
            **({"room_stranded": fleet.stranded_share()} if self._has_sources else {}),
        }
