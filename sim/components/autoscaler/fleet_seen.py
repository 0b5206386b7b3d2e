"""What an autoscaler sees of a fleet and does to it, and what it remembers of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol


class ScalableFleet(Protocol):
    """A fleet as its autoscaler has it; one node is one transcode pod, which requests the whole machine."""

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place, on nodes that drain too."""

    @property
    def in_service_on_ready(self) -> int:
        """Broadcasts that hold a place on a ready node."""

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for a place."""

    @property
    def nodes(self) -> int:
        """Nodes ordered: booting or ready."""

    @property
    def ready(self) -> int:
        """Nodes that take broadcasts."""

    def order(self, nodes: int) -> int:
        """Order nodes; return how many could be."""

    def drain(self, nodes: int) -> None:
        """Let nodes finish their broadcasts and go, those that hold fewest first."""


class Autoscaler(Protocol):
    """One kind of autoscaler; `sync_period_s` apart it is asked for the number of nodes it wants."""

    @property
    def sync_period_s(self) -> float:
        """Time between two looks at the fleet."""

    def initial_nodes(self, live: int) -> int:
        """Return the nodes it would hold at the start for the broadcasts live then."""

    def wanted(self, fleet: ScalableFleet, at_s: float) -> int:
        """Return the nodes wanted now; `fleet.nodes` where nothing is to happen."""


@dataclass(frozen=True)
class Bounds:
    """Nodes at least and at most, and broadcasts that fit on one."""

    min_nodes: int
    max_nodes: int
    places_per_node: int

    def clamp(self, nodes: int) -> int:
        """Return the nearest number of nodes within the bounds."""
        return min(max(nodes, self.min_nodes), self.max_nodes)


class Highest:
    """Numbers recommended within a look-back, of which the highest counts."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._recommended: deque[tuple[float, int]] = deque()

    def of(self, nodes: int, at_s: float) -> int:
        """Add a number; return the highest of the look-back."""
        self._recommended.append((at_s, nodes))
        while self._recommended[0][0] < at_s - self._window_s:
            self._recommended.popleft()
        return max(number for _, number in self._recommended)
