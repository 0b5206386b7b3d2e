"""Flat records: columns that are filled as time passes, and what a finished run hands to its readers."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import pandas as pd

from sim.components.lag import Lag
from sim.node_plan import NodePlan

NOT_YET = float("nan")


class Outcome(IntEnum):
    """Where a broadcast is, or how it ended."""

    UNSEEN = 0
    ASKING = 1
    WAITING = 2
    IN_SERVICE = 3
    SOURCE_ONLY = 4
    AWAY = 5
    ENDED = 6
    ENDED_SOURCE_ONLY = 7
    ENDED_AWAY = 8
    LOST = 9
    GAVE_UP_WAITING = 10
    GAVE_UP_ASKING = 11
    NO_PLACE = 12
    QUEUE_FULL = 13
    AUTH_LIMIT = 14
    INGEST_FULL = 15

    @property
    def text(self) -> str:
        """As a table has it."""
        return OUTCOME_TEXT[self]


OUTCOME_TEXT = (
    "before its time",
    "asking",
    "waiting",
    "in service",
    "source only",
    "away",
    "ended",
    "ended source only",
    "ended away",
    "lost",
    "gave up waiting",
    "gave up asking",
    "refused: no place",
    "refused: queue full",
    "refused: auth limit",
    "refused: ingest full",
)
"""By `Outcome`."""
AT_THE_END = (Outcome.ASKING, Outcome.WAITING, Outcome.IN_SERVICE, Outcome.SOURCE_ONLY, Outcome.AWAY)
"""States in which a run may end; each is counted by the component that holds it."""


REFUSED = tuple(Outcome(number) for number in range(Outcome.GAVE_UP_WAITING, Outcome.INGEST_FULL + 1))
"""Ends of those who never had a place."""


def row_view(column: np.ndarray) -> Any:
    """Return a column whose single rows are read and written several times quicker than an array's."""
    view: Any = column
    return memoryview(view)


class BroadcastLog:
    """What became of every broadcast: one row each, columns filled as things happen.

    Single rows are written through views, which is several times quicker than through the arrays themselves.

    Attributes:
        state: `Outcome`.
        admitted: moment ingest first took it.
        placed: moment of its first place on a node.
        left: moment of its end, whatever that was.
        since: moment since which it is in service or away.
        served: seconds in service.
        gap: seconds for which it was interrupted, or missed because it moved.
        node: the last one it was on; -1 if none.
        interruptions: how often it lost its node.
    """

    def __init__(self, broadcasts: int) -> None:
        self._columns: dict[str, np.ndarray] = {
            "state": np.zeros(broadcasts, np.int8),
            "node": np.full(broadcasts, -1, np.int32),
            "interruptions": np.zeros(broadcasts, np.int32),
            **{name: np.full(broadcasts, NOT_YET) for name in ("admitted", "placed", "left", "since")},
            **{name: np.zeros(broadcasts) for name in ("served", "gap")},
        }
        view: dict[str, Any] = {name: row_view(column) for name, column in self._columns.items()}
        self.state: MutableSequence[int] = view["state"]
        self.node: MutableSequence[int] = view["node"]
        self.interruptions: MutableSequence[int] = view["interruptions"]
        self.admitted: MutableSequence[float] = view["admitted"]
        self.placed: MutableSequence[float] = view["placed"]
        self.left: MutableSequence[float] = view["left"]
        self.since: MutableSequence[float] = view["since"]
        self.served: MutableSequence[float] = view["served"]
        self.gap: MutableSequence[float] = view["gap"]

    def column(self, name: str) -> np.ndarray:
        """Return a column as an array over the broadcasts."""
        return self._columns[name]

    def rows_in(self, state: Outcome) -> list[int]:
        """Return the broadcasts in a state, ascending."""
        return [int(row) for row in np.flatnonzero(self._columns["state"] == state)]

    def frame(self) -> pd.DataFrame:
        """Return what became of each, times in seconds."""
        columns = self._columns
        return pd.DataFrame(
            {
                "admitted_s": columns["admitted"],
                "placed_s": columns["placed"],
                "left_s": columns["left"],
                "served_s": columns["served"],
                "gap_s": columns["gap"],
                "interruptions": columns["interruptions"],
                "node": columns["node"],
                "outcome": pd.Categorical.from_codes(columns["state"], categories=list(OUTCOME_TEXT)),
            }
        )


class TickLog:
    """One row a tick; the columns are those of the first row."""

    def __init__(self, ticks: int) -> None:
        self._ticks, self._row = ticks, 0
        self._columns: dict[str, np.ndarray] = {}

    def add(self, row: Mapping[str, float]) -> None:
        """Append one row."""
        if not self._columns:
            self._columns = {name: np.empty(self._ticks) for name in row}
        for name, value in row.items():
            self._columns[name][self._row] = value
        self._row += 1

    def frame(self) -> pd.DataFrame:
        """Return the rows so far."""
        return pd.DataFrame({name: column[: self._row] for name, column in self._columns.items()})


class EventLog:
    """What happened to the platform as a whole: failures, and changes of the fleet by its autoscaler."""

    COLUMNS = ("at_s", "kind", "what", "nodes", "broadcasts", "viewers")

    def __init__(self) -> None:
        self._rows: list[tuple[float, str, str, int, int, float]] = []

    def add(self, at_s: float, kind: str, what: str, nodes: int, broadcasts: int = 0, viewers: float = 0.0) -> None:
        """Append one: when, what kind, its name, nodes (negative: fewer), broadcasts and viewers that it hits."""
        self._rows.append((at_s, kind, what, nodes, broadcasts, viewers))

    def frame(self) -> pd.DataFrame:
        """Return the events so far."""
        types = {"at_s": float, "nodes": int, "broadcasts": int, "viewers": float}
        return pd.DataFrame(self._rows, columns=list(self.COLUMNS)).astype(types)


@dataclass
class Tally:
    """Counts taken at the moment things happen, so that the books can be checked against the rows.

    Attributes:
        counts: event name → number of times.
        service_area_s: ∫ broadcasts in service dt, brought forward at every change.
        viewer_seconds_lost: Σ gap × viewers who wanted the broadcast when the gap ended: to the moment, and without
            the players, who are back later than their broadcast; those are counted in viewers away, to a tick.
        away_s: Σ of the gaps of interruptions, without those of moves.
    """

    counts: dict[str, int] = field(default_factory=dict)
    service_area_s: float = 0.0
    viewer_seconds_lost: float = 0.0
    away_s: float = 0.0
    _in_service: int = 0
    _since_s: float = 0.0

    def count(self, event: str) -> None:
        """Count one event."""
        self.counts[event] = self.counts.get(event, 0) + 1

    def lost(self, gap_s: float, viewers: float) -> None:
        """Count what viewers missed."""
        self.viewer_seconds_lost += gap_s * viewers

    def service_changed(self, now_s: float, by: int) -> None:
        """Bring the area forward to `now_s`, then change the number in service."""
        self.service_area_s += self._in_service * (now_s - self._since_s)
        self._since_s = now_s
        self._in_service += by


@dataclass(frozen=True)
class World:
    """One draw of everything that is uncertain but fixed during a run: coefficients and the CoreMark anchor."""

    values: dict[str, float]
    anchor_coremark_per_vcpu: float


@dataclass(frozen=True)
class Replication:
    """The records of one run.

    Attributes:
        ticks: one row a tick.
        broadcasts: one row a broadcast, by identity.
        nodes: one row a transcode node ever ordered.
        events: one row a failure or a change of the fleet by its autoscaler.
        lag: how far nodes fell behind; None where content does not vary.
        attempts: of publishers that were interrupted to come back.
        at_end: what each component holds at the end, counted by it.
        plan: the transcode node of this world, of the pool with most of the largest fleet; `ingest` the ingest node.
        most_places: broadcasts that the largest fleet holds.
        places_per_node: of it, in the mean over its nodes.
    """

    replication: int
    horizon_s: float
    world: World
    plan: NodePlan
    ingest: NodePlan
    ticks: pd.DataFrame
    broadcasts: pd.DataFrame
    nodes: pd.DataFrame
    events: pd.DataFrame
    tally: Tally
    lag: Lag | None
    attempts: int
    at_end: dict[str, int]
    nodes_at_end: dict[str, int]
    most_places: float
    places_per_node: float

    @property
    def is_watched(self) -> bool:
        """Whether viewers were simulated, or the control plane alone."""
        return "viewers_wanted" in self.ticks
