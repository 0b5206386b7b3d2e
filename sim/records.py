"""Flat records: columns that are filled as time passes, and what a finished run hands to its readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sim.node_plan import NodePlan

NOT_YET = float("nan")


class BroadcastLog:
    """What became of every broadcast: one row each, columns filled as things happen."""

    def __init__(self, broadcasts: int) -> None:
        self.admitted_s = np.full(broadcasts, NOT_YET)
        self.placed_s = np.full(broadcasts, NOT_YET)
        self.left_s = np.full(broadcasts, NOT_YET)
        self.node = np.full(broadcasts, -1)
        self.outcome = np.full(broadcasts, "", dtype=object)


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


@dataclass
class Tally:
    """Counts taken at the moment things happen, so that the books can be checked against the rows.

    Attributes:
        counts: event name → number of times.
        service_area_s: ∫ broadcasts in service dt, brought forward at every change.
    """

    counts: dict[str, int] = field(default_factory=dict)
    service_area_s: float = 0.0
    _in_service: int = 0
    _since_s: float = 0.0

    def count(self, event: str) -> None:
        """Count one event."""
        self.counts[event] = self.counts.get(event, 0) + 1

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
        plan: the transcode node of this world; `ingest` the ingest node.
    """

    replication: int
    horizon_s: float
    world: World
    plan: NodePlan
    ingest: NodePlan
    ticks: pd.DataFrame
    broadcasts: pd.DataFrame
    nodes: pd.DataFrame
    tally: Tally
    in_service_at_end: int
    waiting_at_end: int
    held_at_end: int
    connected_at_end: int
    asking_at_end: int
    nodes_at_end: dict[str, int]
