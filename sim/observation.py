"""The tick: how the crowd stands, what is served of it, and what that asks of the CDN and of chat."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import simpy

from scenarios.scenario import Scenario
from sim.components.admission import Admission
from sim.components.audience import Audience
from sim.components.broadcasts import BroadcastTable
from sim.components.cdn import Cdn
from sim.components.chat import Chat
from sim.components.fleet import Fleet
from sim.components.node import NodeState
from sim.components.publishers import Publishers
from sim.components.returns import Returns
from sim.records import BroadcastLog, Outcome, TickLog
from sim.sampling import Floats

Rows = npt.NDArray[np.intp]
WHOLE_TO = 1e-9
"""Of a tick: what the horizon may lack of a whole number of them, by the rounding of floats."""


class Crowd:
    """Everything that is advanced on the tick: who wants to watch, who can, and what they ask of CDN and chat."""

    def __init__(self, scenario: Scenario, table: BroadcastTable, named: Callable[[str], np.random.Generator]) -> None:
        workload, platform, horizon = scenario.workload, scenario.platform, scenario.horizon
        self._tick_s, self._table = horizon.tick_s, table
        self._mean_session_s = workload.audience.mean_session_s
        self.audience = Audience(
            workload.audience, horizon, table, named, regions=workload.regions, events=workload.events
        )
        # Without regions of its own the CDN serves everybody from everywhere, wherever they are.
        self._in_regions = bool(workload.regions) and platform.cdn.cluster_regions is not None
        names = tuple(region.name for region in workload.regions) if self._in_regions else ()
        self.cdn = Cdn(
            platform.cdn,
            scenario.ladder,
            workload.audience.rung_shares,
            source_bps=workload.source.bitrate_bps,
            sources=workload.sources if workload.source_mix else (),
            regions=names,
        )
        self._has_sources = len(workload.sources) > 1
        self._chat = Chat(workload.chat, horizon.tick_s, named("chat"))
        self._returns = Returns(
            platform.players.retry,
            tick_s=horizon.tick_s,
            mean_session_s=workload.audience.mean_session_s,
            auth_limit_per_s=platform.players.auth_limit_per_s,
            auth_burst=platform.players.auth_burst,
        )
        self._interrupted: dict[int, None] = {}

    def interrupted(self, broadcast: int) -> None:
        """Cut off everybody who watches a broadcast."""
        self._interrupted[broadcast] = None

    def clusters_down(self, regions: Sequence[str], is_down: bool) -> None:
        """Take the CDN clusters of regions away, or bring them back."""
        clusters = [cluster for region in regions for cluster in self.cdn.clusters_of(region)]
        if clusters and is_down:
            self.cdn.lose(clusters)
        elif clusters:
            self.cdn.bring_back(clusters)

    def step(self, at_s: float, state: npt.NDArray[np.int8]) -> dict[str, float]:
        """Advance by one tick to `at_s`, with the states of all broadcasts; return what is written down of it."""
        live, wanted = self.audience.step(at_s)
        here = state[live]
        source_only = here == Outcome.SOURCE_ONLY
        watched = (here == Outcome.IN_SERVICE) | source_only
        if self._interrupted:
            self._returns.interrupted(np.fromiter(self._interrupted, int))
            self._interrupted.clear()
        mix = self.audience.mix(at_s) if self._in_regions else None
        cut_off = self.cdn.cut_off(mix)
        if cut_off is not None:
            rows = live[watched]
            self._returns.interrupted(rows, cut_off[self._table.region[rows]] if self._in_regions else cut_off[0])
        # In equilibrium as many ask the players' auth service anyway as leave.
        joins_per_s = float(wanted.sum()) / self._mean_session_s
        back = self._returns.step(live, watched, wanted, self._tick_s, joins_per_s=joins_per_s)
        delivered = self._deliver(mix, live[watched], back.served[watched], source_only[watched])
        return {
            "broadcasts_wanted": float(live.size),
            "broadcasts_source_only": float(np.count_nonzero(source_only)),
            "viewers_wanted": float(wanted.sum()),
            "viewers_served": float(back.served.sum()),
            "viewers_unserved": back.viewers_unserved,
            "viewers_away": back.viewers_away,
            "player_retries": back.retries,
            "player_retries_turned_away": back.turned_away,
            **delivered,
            **{f"chat_{name}": value for name, value in self._chat.step(back.served)._asdict().items()},
        }

    def _deliver(
        self, mix: Floats | None, rows: Rows, viewers: Floats, source_only: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        served = self.cdn.serve(
            viewers,
            self._tick_s,
            home=self._table.region[rows] if self._in_regions else None,
            mix=mix,
            source_only=source_only if source_only.any() else None,
            source=self._table.source[rows] if self._has_sources else None,
        )
        busiest = self.cdn.edge_utilisation(served, self._tick_s)
        return served._asdict() | ({} if busiest is None else {"edge_busiest_utilisation": busiest})


class Observation:
    """Lets the crowd pass tick by tick, and writes one row each."""

    def __init__(
        self,
        scenario: Scenario,
        crowd: Crowd,
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
