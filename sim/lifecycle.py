"""The life of a broadcast from one component to the next: what each tells, what is written down, who is asked then.

Flow: going live → auth and ingest → admission → fleet → the end; a broadcast that loses its node begins again with its
publisher's back-off. Every state is entered and left here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import simpy

from sim.components.admission import Admission
from sim.components.broadcasts import BroadcastTable
from sim.components.fleet import Fleet
from sim.components.ingest import Ingest
from sim.components.lag import Lag
from sim.components.publishers import Publishers
from sim.records import BroadcastLog, Outcome, Tally, row_view

REFUSALS = {
    "refused: auth limit": Outcome.AUTH_LIMIT,
    "refused: ingest full": Outcome.INGEST_FULL,
    "refused: no place": Outcome.NO_PLACE,
    "refused: queue full": Outcome.QUEUE_FULL,
    "gave up waiting": Outcome.GAVE_UP_WAITING,
}


@dataclass
class Stations:
    """The components that a broadcast meets; filled in once all of them exist."""

    ingest: Ingest
    admission: Admission
    fleet: Fleet
    publishers: Publishers
    lag: Lag | None


class Lifecycle:
    """States of all broadcasts of a run.

    Args:
        env: the clock.
        table: the broadcasts.
        log: where it writes.
        tally: where it counts.
        horizon_s: end of the run.
        gap_s: what starting on another node costs, after a move or an interruption.
        viewers_of: broadcast → viewers who want it now.
    """

    def __init__(
        self,
        env: simpy.Environment,
        table: BroadcastTable,
        log: BroadcastLog,
        tally: Tally,
        *,
        horizon_s: float,
        gap_s: float,
        viewers_of: Callable[[int], float],
    ) -> None:
        self._env, self._log, self._tally, self._horizon_s = env, log, tally, horizon_s
        self._gap_s, self._viewers_of = gap_s, viewers_of
        self._end_s = row_view(table.end_s)
        self._misses_until_s: dict[int, float] = {}
        """Whose encoder starts → the end of that gap; one who moves again within it misses no segment twice."""
        self.stations: Stations

    # ------------------------------------------------------- what the broadcaster does

    def go_live(self, broadcast: int) -> None:
        """It asks to publish."""
        self._tally.count("asked")
        self.ask(broadcast)

    def ask(self, broadcast: int) -> None:
        """It makes an attempt, the first or another one."""
        self._log.state[broadcast] = Outcome.ASKING
        self.stations.ingest.request(broadcast)

    def live_at_start(self, broadcast: int) -> None:
        """It went live before time started, and is connected."""
        self._tally.count("asked")
        self.admitted(broadcast)

    def stop(self, broadcast: int) -> None:
        """It stops by itself; one that asks just then is found to have stopped when the answer comes."""
        state, to = self._log.state[broadcast], self.stations
        if state == Outcome.IN_SERVICE:
            self._leaves_service(broadcast, to.fleet.node_of(broadcast))
            to.ingest.leave()
            self._finish(broadcast, Outcome.ENDED)
            to.fleet.leave(broadcast)
        elif state == Outcome.SOURCE_ONLY:
            to.ingest.leave()
            self._finish(broadcast, Outcome.ENDED_SOURCE_ONLY)
        elif state == Outcome.WAITING:
            to.admission.withdraw(broadcast)
            to.ingest.leave()
            self._stopped_outside(broadcast, Outcome.GAVE_UP_WAITING)
        elif state == Outcome.AWAY:
            self._stopped_outside(broadcast, Outcome.ENDED_AWAY)

    # ------------------------------------------------------- what the platform answers

    def admitted(self, broadcast: int) -> None:
        """Ingest has taken it."""
        if self._end_s[broadcast] <= self._env.now:
            self.stations.ingest.leave()
            self._stopped_outside(broadcast, Outcome.GAVE_UP_ASKING)
            return
        if not self._log.interruptions[broadcast]:
            self._log.admitted[broadcast] = self._env.now
        self._log.state[broadcast] = Outcome.WAITING
        self.stations.admission.request(broadcast)

    def refused(self, broadcast: int, reason: str) -> None:
        """Auth or ingest has refused it."""
        if broadcast not in self.stations.publishers:
            self._finish(broadcast, REFUSALS[reason])
        elif self._end_s[broadcast] <= self._env.now:
            self._stopped_outside(broadcast, Outcome.ENDED_AWAY)
        else:
            self._tally.count("attempt failed")
            self._log.state[broadcast] = Outcome.AWAY
            self.stations.publishers.refused(broadcast)

    def turned_away(self, broadcast: int, reason: str) -> None:
        """There is no room on the fleet for it."""
        self.stations.ingest.leave()
        self.refused(broadcast, reason)

    def placed(self, broadcast: int, node: int) -> None:
        """It has a place."""
        self._is_back(broadcast)
        self._tally.count("placed")
        self._tally.service_changed(self._env.now, +1)
        self._log.state[broadcast] = Outcome.IN_SERVICE
        self._log.node[broadcast] = node
        self._log.since[broadcast] = self._env.now
        if self._log.placed[broadcast] != self._log.placed[broadcast]:  # NaN: its first place
            self._log.placed[broadcast] = self._env.now
        if self.stations.lag:
            self.stations.lag.placed(broadcast, node)

    def source_only(self, broadcast: int) -> None:
        """It goes on without a ladder."""
        self._is_back(broadcast)
        self._tally.count("source only")
        self._log.state[broadcast] = Outcome.SOURCE_ONLY

    def moved(self, broadcast: int, node: int) -> None:
        """It goes on on another node, after a gap."""
        self._tally.count("moved")
        self._encoder_starts(broadcast)
        before = int(self._log.node[broadcast])
        self._log.node[broadcast] = node
        if self.stations.lag:
            self.stations.lag.left(broadcast, before)
            self.stations.lag.placed(broadcast, node)

    def interrupted(self, broadcast: int, node: int) -> None:
        """It has lost its node without notice, or the notice has run out."""
        self._tally.count("interrupted")
        self._leaves_service(broadcast, node)
        self._log.state[broadcast] = Outcome.AWAY
        self._log.interruptions[broadcast] += 1
        self._log.since[broadcast] = self._env.now
        self.stations.ingest.leave()
        self.stations.publishers.interrupted(broadcast)

    def gave_up(self, broadcast: int) -> None:
        """Its publisher has no attempt left."""
        self._gap(broadcast, self._horizon_s)
        self._finish(broadcast, Outcome.LOST)

    def finish(self) -> None:
        """Close what is open at the horizon."""
        horizon_s = self._horizon_s
        self._tally.service_changed(horizon_s, 0)
        for broadcast in self._log.rows_in(Outcome.IN_SERVICE):
            self._log.served[broadcast] += horizon_s - self._log.since[broadcast]
        for broadcast in self.stations.publishers.all():
            self._gap(broadcast, horizon_s)
        if self.stations.lag:
            self.stations.lag.finish()

    def _leaves_service(self, broadcast: int, node: int) -> None:
        self._tally.service_changed(self._env.now, -1)
        self._log.served[broadcast] += self._env.now - self._log.since[broadcast]
        if self.stations.lag:
            self.stations.lag.left(broadcast, node)

    def _is_back(self, broadcast: int) -> None:
        if broadcast in self.stations.publishers:
            self._gap(broadcast, self._env.now)
            self._encoder_starts(broadcast)
            self.stations.publishers.back(broadcast)

    def _stopped_outside(self, broadcast: int, outcome: Outcome) -> None:
        if broadcast in self.stations.publishers:
            self._is_back(broadcast)
            outcome = Outcome.ENDED_AWAY
        self._finish(broadcast, outcome)

    def _encoder_starts(self, broadcast: int) -> None:
        """Count the segments that are missed until it does: on another node, or after an interruption."""
        misses_until_s = min(self._env.now + self._gap_s, self._end_s[broadcast], self._horizon_s)
        gap_s = max(0.0, misses_until_s - max(self._env.now, self._misses_until_s.get(broadcast, 0.0)))
        self._misses_until_s[broadcast] = misses_until_s
        self._tally.lost(gap_s, self._viewers_of(broadcast))
        self._log.gap[broadcast] += gap_s

    def _gap(self, broadcast: int, until_s: float) -> None:
        gap_s = min(until_s, self._end_s[broadcast]) - self._log.since[broadcast]
        self._log.gap[broadcast] += gap_s
        self._tally.away_s += gap_s
        self._tally.lost(gap_s, self._viewers_of(broadcast))

    def _finish(self, broadcast: int, outcome: Outcome) -> None:
        self._tally.count(outcome.text)
        self._log.state[broadcast] = outcome
        self._log.left[broadcast] = self._env.now
