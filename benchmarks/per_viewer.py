"""A platform viewer by viewer and request by request: the slow twin of audience, CDN and chat together.

Every viewer is a process that asks, once a segment and at a random moment of it, for the playlist of its rung and for
the current segment, at the cluster it is on; every message is an event. Broadcasts are those of the simulator's own
draw, each in service as long as it is live.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from benchmarks.per_message import Room
from scenarios.scenario import Scenario
from sim.cluster_shares import ClusterShares
from sim.components.broadcasts import BroadcastTable, draw_broadcasts
from sim.curves import level
from sim.sampling import stream

Object = tuple[int, int, int]
"""Cluster (-1: the shield), broadcast, rung."""


@dataclass
class Totals:
    """What was counted, named as in the simulator's ticks."""

    viewer_seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    events: int = 0
    cpu_s: float = 0.0

    def count(self, name: str, by: float = 1.0) -> None:
        """Add to a count."""
        self.counts[name] = self.counts.get(name, 0.0) + by


class _Caches:
    """Clusters and a shield, with request collapsing; counts what each request was."""

    def __init__(self, scenario: Scenario, totals: Totals) -> None:
        self._spec, self._totals = scenario.platform.cdn, totals
        self._segment_s = scenario.ladder.segment_s
        self._segment: dict[Object, int] = {}
        self._fresh: dict[Object, tuple[float, float]] = {}

    def segment(self, place: Object, now_s: float) -> None:
        """Ask for the current segment."""
        self._totals.count("segment_requests")
        if self._fetches(place, now_s):
            self._totals.count("segment_misses")
            if not self._spec.shield or self._fetches((-1, *place[1:]), now_s):
                self._totals.count("segment_origin_fetches")

    def _fetches(self, place: Object, now_s: float) -> bool:
        number = int(now_s / self._segment_s)
        if self._segment.get(place) == number:
            return False
        self._segment[place] = number
        return True

    def playlist(self, place: Object, now_s: float) -> None:
        """Ask for the playlist."""
        self._totals.count("playlist_requests")
        answer = self._playlist(place, now_s)
        self._totals.count(f"playlist_{answer}")
        if answer == "misses" and (not self._spec.shield or self._playlist((-1, *place[1:]), now_s) == "misses"):
            self._totals.count("playlist_origin_fetches")

    def _playlist(self, place: Object, now_s: float) -> str:
        fresh_from_s, fresh_until_s = self._fresh.get(place, (0.0, -1.0))
        if now_s >= fresh_until_s:
            fresh_from_s = now_s + self._spec.fill_latency_s
            self._fresh[place] = fresh_from_s, fresh_from_s + self._spec.playlist_ttl_s
            return "misses"
        return "delayed_hits" if now_s < fresh_from_s else "hits"


class PerViewer:
    """One run of a small scenario, with every viewer on its own."""

    def __init__(self, scenario: Scenario, *, seed: int, replication: int) -> None:
        self._scenario, self._env, self.totals = scenario, simpy.Environment(), Totals()
        workload = scenario.workload
        self._table: BroadcastTable = draw_broadcasts(
            workload.broadcasts,
            workload.audience.popularity,
            scenario.horizon,
            stream(seed, replication, "broadcasts"),
        )
        self._rng = stream(seed, replication, "per viewer")
        self._caches = _Caches(scenario, self.totals)
        self._watching = np.zeros(len(self._table))
        self._cluster_share = np.cumsum(ClusterShares(scenario.platform.cdn, ()).of(None)[0])
        self._rung_share = np.cumsum([workload.audience.rung_shares[rung.name] for rung in scenario.ladder.rungs])
        self._segment_bytes = [rung.bitrate_bps * scenario.ladder.segment_s / 8 for rung in scenario.ladder.rungs]

    def run(self) -> Totals:
        """Let the horizon pass; return what was counted."""
        began_s = time.process_time()
        self._env.process(self._arrivals())
        for broadcast in range(len(self._table)):
            self._open_room(broadcast)
        while self._env.peek() < self._scenario.horizon.horizon_s:
            self._env.step()
            self.totals.events += 1
        self.totals.cpu_s = time.process_time() - began_s
        return self.totals

    def _open_room(self, broadcast: int) -> None:
        spec = self._scenario.workload.chat

        def sent() -> None:
            self.totals.count("chat_messages")
            self.totals.count("chat_deliveries", connections())

        def connections() -> float:
            return float(self._watching[broadcast]) * spec.connected_share

        Room(
            self._env,
            self._rng,
            spec,
            most_connections=self._scenario.workload.audience.peak_viewers * 1.5,
            connections=connections,
            sent=sent,
        )

    def _total(self, at_s: float) -> float:
        spec, start_hour = self._scenario.workload.audience, self._scenario.horizon.start_hour
        return spec.peak_viewers * float(level(spec.curve, np.asarray(start_hour + at_s / 3600.0)))

    def _arrivals(self) -> Generator[simpy.Event, Any, None]:
        """Keep the crowd on its curve: as many join in a tick as the curve asks for beside those who stay."""
        tick_s, session_s = self._scenario.horizon.tick_s, self._scenario.workload.audience.mean_session_s
        live = self._table.live(0.0)
        age_s = -self._table.publish_s[live]
        self._join(live, self._table.weight[live] * -np.expm1(-age_s / session_s), self._total(0.0), within_s=0.0)
        yield self._env.timeout(0.0)  # until they are there
        while True:
            live = self._table.live(self._env.now)
            staying = self._watching.sum() * np.exp(-tick_s / session_s)
            joining = max(0.0, self._total(self._env.now + tick_s) - staying)
            self._join(live, self._table.weight[live], joining, within_s=tick_s)
            yield self._env.timeout(tick_s)

    def _join(self, live: np.ndarray, weight: np.ndarray, expected: float, *, within_s: float) -> None:
        for broadcast in self._rng.choice(live, self._rng.poisson(expected), p=weight / weight.sum()).tolist():
            self._env.process(self._viewer(broadcast, self._rng.random() * within_s))

    def _viewer(self, broadcast: int, delay_s: float) -> Generator[simpy.Event, Any, None]:
        env, rng, segment_s = self._env, self._rng, self._scenario.ladder.segment_s
        if delay_s > 0:
            yield env.timeout(delay_s)
        came_s = env.now
        leaves_s = came_s + rng.exponential(self._scenario.workload.audience.mean_session_s)
        leaves_s = min(leaves_s, self._table.end_s[broadcast], self._scenario.horizon.horizon_s)
        rung = int(np.searchsorted(self._rung_share, rng.random() * self._rung_share[-1], side="right"))
        place = int(np.searchsorted(self._cluster_share, rng.random(), side="right")), broadcast, rung
        self._watching[broadcast] += 1
        self.totals.viewer_seconds += float(leaves_s) - came_s
        segment = int(came_s / segment_s) - 1
        while True:
            segment += 1
            asks_s = (segment + rng.random()) * segment_s
            if asks_s < env.now:
                continue  # that moment of the first segment had passed
            if asks_s >= leaves_s:
                break
            yield env.timeout(asks_s - env.now)
            self._caches.playlist(place, env.now)
            self._caches.segment(place, env.now)
            self.totals.count("egress_bytes", self._segment_bytes[rung] + self._scenario.platform.cdn.playlist_bytes)
        yield env.timeout(max(0.0, leaves_s - env.now))
        self._watching[broadcast] -= 1
