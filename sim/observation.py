"""The tick: how the crowd stands, what is served of it, and what that asks of the CDN and of chat."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from scenarios.scenario import Scenario
from sim.components.admission import Admission
from sim.components.audience import Audience
from sim.components.cdn import Cdn
from sim.components.chat import Chat
from sim.components.fleet import Fleet
from sim.components.node import NodeState
from sim.components.publishers import Publishers
from sim.records import BroadcastLog, Outcome, TickLog


class Observation:
    """Advances the crowd tick by tick, and writes one row each."""

    def __init__(
        self,
        scenario: Scenario,
        audience: Audience,
        cdn: Cdn,
        chat: Chat,
        broadcasts: BroadcastLog,
        fleet: Fleet,
        admission: Admission,
        publishers: Publishers,
    ) -> None:
        self._horizon = scenario.horizon
        self._audience, self._cdn, self._chat = audience, cdn, chat
        self._state, self._fleet, self._admission = broadcasts.column("state"), fleet, admission
        self._publishers = publishers
        self._count = int(self._horizon.horizon_s // self._horizon.tick_s)
        self.log = TickLog(self._count)

    def ticks(self, env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """Process: one row at the end of every tick."""
        tick_s = self._horizon.tick_s
        for number in range(1, self._count + 1):
            # The last tick ends with the horizon, at which the environment stops before its events.
            at_s = number * tick_s
            yield env.timeout(min(at_s, np.nextafter(self._horizon.horizon_s, 0)) - env.now)
            self.log.add({"t_s": at_s} | self._observe(at_s))

    def _observe(self, at_s: float) -> dict[str, float]:
        live, wanted = self._audience.step(at_s)
        state = self._state[live]
        in_service = state == Outcome.IN_SERVICE
        served = np.where(in_service, wanted, 0.0)
        fleet, count = self._fleet, self._fleet.count
        return {
            "broadcasts_wanted": float(live.size),
            "broadcasts_in_service": float(fleet.in_service),
            "broadcasts_source_only": float(np.count_nonzero(state == Outcome.SOURCE_ONLY)),
            "broadcasts_waiting": float(self._admission.waiting),
            "broadcasts_away": float(len(self._publishers)),
            "nodes_booting": float(count[NodeState.BOOTING]),
            "nodes_ready": float(count[NodeState.READY]),
            "nodes_draining": float(count[NodeState.DRAINING]),
            "nodes_wanted": float(fleet.wanted_nodes),
            "room_free": fleet.free_share(),
            "viewers_wanted": float(wanted.sum()),
            "viewers_served": float(served.sum()),
            "viewers_unserved": float(wanted[~in_service].sum()),
            **self._cdn.serve(served[in_service], self._horizon.tick_s)._asdict(),
            **{f"chat_{name}": value for name, value in self._chat.step(served)._asdict().items()},
        }
