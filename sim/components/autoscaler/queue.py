"""A queue-driven autoscaler over nodes that take minutes to boot."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from typing import Any, Protocol

import simpy

from scenarios.autoscaler import QueueAutoscaler


class ScalableFleet(Protocol):
    """What the autoscaler sees and does."""

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place."""

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for one."""

    @property
    def nodes(self) -> int:
        """Nodes booting or ready."""

    def order(self, nodes: int) -> int:
        """Order nodes."""

    def drain(self, nodes: int) -> None:
        """Let nodes finish their broadcasts and go."""


def desired_nodes(in_queue: int, *, broadcasts_per_node: int, target_utilisation: float) -> int:
    """Return ceil(broadcasts waiting and in service ÷ (broadcasts per node × target utilisation)), exactly."""
    return math.ceil(_needed(in_queue, broadcasts_per_node * target_utilisation))


def _needed(in_queue: int, target_per_node: float) -> float:
    return round(in_queue / target_per_node, 9)  # 36 / (4 × 0.9) is 10 nodes, not 10.000000000000002


def follow_queue(
    env: simpy.Environment,
    spec: QueueAutoscaler,
    fleet: ScalableFleet,
    *,
    broadcasts_per_node: int,
    min_nodes: int,
    max_nodes: int,
) -> Generator[simpy.Event, Any, None]:
    """Process: adjust the fleet every `sync_period_s`, out at once, in only as far as the look-back allows."""
    recommended: deque[tuple[float, int]] = deque()
    while True:
        yield env.timeout(spec.sync_period_s)
        needed = _needed(fleet.in_service + fleet.waiting, broadcasts_per_node * spec.target_utilisation)
        desired = min(max(math.ceil(needed), min_nodes), max_nodes)
        recommended.append((env.now, desired))
        while recommended[0][0] < env.now - spec.scale_in_window_s:
            recommended.popleft()
        current = fleet.nodes
        within = current > 0 and abs(needed / current - 1) <= spec.tolerance
        if within and fleet.waiting == 0 and min_nodes <= current <= max_nodes:
            continue
        if desired > current:
            fleet.order(desired - current)
        elif desired < current:
            fleet.drain(max(0, current - max(nodes for _, nodes in recommended)))
