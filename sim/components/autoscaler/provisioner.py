"""Provides nodes for pods: a Cluster Autoscaler or Karpenter between an HPA and the fleet.

Pods are what the HPA counts. A pod without a node is pending until the provisioner has looked, the node was ordered and
has booted. A pod that is deleted lets its broadcasts end; then its node is empty, stands idle until it was unneeded for
long enough, and takes the next pod at once meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from typing import Any, Protocol

import simpy

from scenarios.hpa_autoscaler import ClusterAutoscaler, Karpenter
from sim.components.autoscaler.fleet_seen import ScalableFleet


class KeepingFleet(ScalableFleet, Protocol):
    """A fleet whose nodes can outlive their pods."""

    @property
    def idle(self) -> int:
        """Nodes that were drained to be kept, and are empty."""

    def drain(self, nodes: int, *, keep: bool = False) -> None:
        """Let nodes finish their broadcasts; with `keep` they stay idle, but for those that boot, which go."""

    def resume(self, nodes: int) -> int:
        """Let idle nodes take broadcasts again; return how many did."""

    def release(self, nodes: int) -> int:
        """Let idle nodes go; return how many did."""


class ProvisionedFleet:
    """Pods of an HPA over a fleet of nodes; a fleet itself to the HPA.

    At every moment pods = pending without a node + nodes that boot + nodes that are ready.

    Args:
        env: the clock.
        spec: of the provisioner.
        fleet: of nodes; the pods at the start are the nodes it has when `start` is called.
    """

    def __init__(self, env: simpy.Environment, spec: ClusterAutoscaler | Karpenter, fleet: KeepingFleet) -> None:
        self._env, self._spec, self._fleet = env, spec, fleet
        self._pods = 0
        self._came_s = 0.0
        self._comes = env.event()
        self._idle_since_s: deque[float] = deque()

    def start(self) -> None:
        """Begin to look for pods without a node, and for nodes without a pod."""
        self._pods = self._fleet.nodes
        self._env.process(self._batches() if isinstance(self._spec, Karpenter) else self._scans())
        self._env.process(self._removals())

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place."""
        return self._fleet.in_service

    @property
    def in_service_on_ready(self) -> int:
        """Broadcasts on nodes whose pod runs."""
        return self._fleet.in_service_on_ready

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for a place."""
        return self._fleet.waiting

    @property
    def nodes(self) -> int:
        """Pods: running, booting with their node, or pending without one."""
        return self._pods

    @property
    def ready(self) -> int:
        """Pods that run."""
        return self._fleet.ready

    @property
    def pending(self) -> int:
        """Pods for which no node was ordered yet, or whose node was lost."""
        return max(0, self._pods - self._fleet.nodes)

    def order(self, nodes: int) -> int:
        """Create pods: the scheduler binds them to idle nodes at once, the others are pending."""
        self._pods += nodes
        self._bind()
        if self.pending:
            self._came_s = self._env.now
            self._comes.succeed()
            self._comes = self._env.event()
        return nodes

    def drain(self, nodes: int) -> None:
        """Delete pods: pending ones first, then those whose node boots, then those that hold fewest broadcasts."""
        self._pods -= min(nodes, self._pods)
        surplus = self._fleet.nodes - self._pods
        if surplus > 0:
            self._fleet.drain(surplus, keep=True)

    def _bind(self) -> None:
        self._fleet.resume(min(self.pending, self._fleet.idle))

    def _provide(self) -> None:
        self._bind()
        if self.pending:
            self._fleet.order(self.pending)  # what cannot be had stays pending, and is asked for again

    def _scans(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self._env.timeout(self._spec.scan_s)
            self._provide()

    def _batches(self) -> Generator[simpy.Event, Any, None]:
        spec = self._spec
        assert isinstance(spec, Karpenter)
        while True:
            # Pods whose node was lost, or could not be had, come to it by themselves.
            yield self._comes | self._env.timeout(spec.scan_s)
            if not self.pending:
                continue
            closes_s = self._env.now + spec.batch_max_s
            while (idle_s := min(self._came_s + spec.batch_idle_s, closes_s) - self._env.now) > 0:
                yield self._env.timeout(idle_s)
            self._provide()

    def _removals(self) -> Generator[simpy.Event, Any, None]:
        """Let go what was idle for long enough; of idle nodes the newest are taken by pods first."""
        since_s = self._idle_since_s
        while True:
            yield self._env.timeout(self._spec.scan_s)
            while len(since_s) > self._fleet.idle:
                since_s.pop()
            while len(since_s) < self._fleet.idle:
                since_s.append(self._env.now)
            unneeded = sum(1 for at_s in since_s if self._env.now - at_s >= self._spec.scale_down_unneeded_s)
            for _ in range(self._fleet.release(unneeded)):
                since_s.popleft()
