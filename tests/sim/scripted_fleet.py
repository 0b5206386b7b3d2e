"""A fleet whose load is a script and whose nodes appear and vanish at once; and one that boots."""

from __future__ import annotations

from collections.abc import Callable

import simpy

from sim.components.autoscaler import Autoscaling, Bounds


class ScriptedFleet:
    """Records what is ordered and drained; the numbers of broadcasts are functions of time."""

    def __init__(self, env: simpy.Environment, demand: Callable[[float], int], nodes: int, waiting: int = 0) -> None:
        self._env, self._demand, self.nodes, self.waiting = env, demand, nodes, waiting
        self.actions: list[tuple[float, int]] = []

    @property
    def in_service(self) -> int:
        return self._demand(self._env.now)

    @property
    def in_service_on_ready(self) -> int:
        return self.in_service

    @property
    def ready(self) -> int:
        return self.nodes

    def order(self, nodes: int) -> int:
        self.actions.append((self._env.now, nodes))
        self.nodes += nodes
        return nodes

    def drain(self, nodes: int) -> None:
        self.actions.append((self._env.now, -nodes))
        self.nodes -= nodes


def scaled(spec, demand, nodes, *, until_s=600.0, waiting=0, bounds=None, start_hour=0.0) -> ScriptedFleet:
    """Return the fleet after some time under an autoscaler; four broadcasts fit on a node, 1 to 50 nodes."""
    env = simpy.Environment()
    fleet = ScriptedFleet(env, demand, nodes, waiting)
    autoscaling = Autoscaling(env, spec, fleet, bounds=bounds or Bounds(1, 50, 4), start_hour=start_hour)
    autoscaling.start()
    env.run(until=until_s)
    assert list(zip(autoscaling.at_s, autoscaling.change, strict=True)) == fleet.actions
    return fleet
