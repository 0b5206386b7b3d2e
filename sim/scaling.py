"""The fleet and the queue before it as one thing, which is how an autoscaler sees them."""

from __future__ import annotations

from scenarios.nodes import Drain
from sim.components.admission import Admission
from sim.components.fleet import Fleet


class FleetAndQueue:
    """Broadcasts in service and waiting, nodes, and what can be done about them.

    Args:
        fleet: the nodes.
        admission: the queue before them.
        drain: what becomes of the broadcasts of a node that goes.
    """

    def __init__(self, fleet: Fleet, admission: Admission, drain: Drain) -> None:
        self._fleet, self._admission, self._drain = fleet, admission, drain

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place, on nodes that drain too."""
        return self._fleet.in_service

    @property
    def in_service_on_ready(self) -> int:
        """Broadcasts that hold a place on a ready node."""
        return self._fleet.in_service_on_ready

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for a place."""
        return self._admission.waiting

    @property
    def nodes(self) -> int:
        """Nodes booting or ready."""
        return self._fleet.nodes

    @property
    def ready(self) -> int:
        """Nodes that take broadcasts."""
        return self._fleet.ready

    @property
    def idle(self) -> int:
        """Nodes that are kept although they are empty."""
        return self._fleet.idle

    def order(self, nodes: int) -> int:
        """Order nodes; return how many were."""
        return self._fleet.order(nodes)

    def drain(self, nodes: int, *, keep: bool = False) -> None:
        """Let nodes go, by the scenario's rule; with `keep` they stay idle once they are empty."""
        self._fleet.drain(nodes, migrate=self._drain.migrate, deadline_s=self._drain.deadline_s, keep=keep)

    def resume(self, nodes: int) -> int:
        """Let idle nodes take broadcasts again; return how many did."""
        return self._fleet.resume(nodes)

    def release(self, nodes: int) -> int:
        """Let idle nodes go; return how many did."""
        return self._fleet.release(nodes)
