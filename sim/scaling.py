"""The fleet as its autoscaler sees it, and the autoscaler that a scenario names."""

from __future__ import annotations

import simpy

from scenarios.autoscaler import QueueAutoscaler
from scenarios.nodes import Drain
from scenarios.platform import Transcode
from sim.components.admission import Admission
from sim.components.autoscaler import desired_nodes, follow_queue
from sim.components.fleet import Fleet
from sim.records import EventLog


class ScalableFleet:
    """Broadcasts in service and waiting, nodes, and what can be done about them; each change is written down."""

    def __init__(
        self, env: simpy.Environment, fleet: Fleet, admission: Admission, drain: Drain, events: EventLog
    ) -> None:
        self._env, self._fleet, self._admission, self._drain, self._events = env, fleet, admission, drain, events

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place."""
        return self._fleet.in_service

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for one."""
        return self._admission.waiting

    @property
    def nodes(self) -> int:
        """Nodes booting or ready."""
        return self._fleet.nodes

    @property
    def ready(self) -> int:
        """Nodes ready."""
        return self._fleet.ready

    def order(self, nodes: int) -> int:
        """Order nodes; return how many were."""
        ordered = self._fleet.order(nodes)
        if ordered:
            self._events.add(self._env.now, "scale out", "autoscaler", ordered)
        return ordered

    def drain(self, nodes: int) -> None:
        """Let nodes go, by the scenario's rule."""
        if nodes > 0:
            self._events.add(self._env.now, "scale in", "autoscaler", -nodes)
            self._fleet.drain(nodes, migrate=self._drain.migrate, deadline_s=self._drain.deadline_s)


def initial_nodes(spec: Transcode, live: int, *, broadcasts_per_node: int) -> int:
    """Return the nodes that the autoscaler holds for the broadcasts that are live at the start."""
    nodes = spec.min_nodes
    if isinstance(spec.autoscaler, QueueAutoscaler):
        target = spec.autoscaler.target_utilisation
        nodes = max(nodes, desired_nodes(live, broadcasts_per_node=broadcasts_per_node, target_utilisation=target))
    return min(nodes, spec.max_nodes)


def start_autoscaler(
    env: simpy.Environment, spec: Transcode, fleet: ScalableFleet, *, broadcasts_per_node: int
) -> None:
    """Let the autoscaler of a scenario follow its fleet."""
    if isinstance(spec.autoscaler, QueueAutoscaler):
        env.process(
            follow_queue(
                env,
                spec.autoscaler,
                fleet,
                broadcasts_per_node=broadcasts_per_node,
                min_nodes=spec.min_nodes,
                max_nodes=spec.max_nodes,
            )
        )
