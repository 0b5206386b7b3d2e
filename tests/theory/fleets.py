"""The real fleet under plain arrivals, for comparison with closed forms."""

from __future__ import annotations

import numpy as np
import simpy

from sim.components.fleet import Fleet, Placement


def serve(
    arrival_s: np.ndarray,
    duration_s: np.ndarray,
    *,
    nodes: int,
    broadcasts_per_node: int,
    queue_deadline_s: float,
    holds_place_for_its_duration: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Send broadcasts through a fixed fleet; return (moment of placement, NaN if refused) and (node or -1).

    A broadcast ends `duration_s` after it went live; with `holds_place_for_its_duration` after its placement,
    which is what a queue of jobs does and what closed forms of waiting speak of.
    """
    env = simpy.Environment()
    placed_s = np.full(arrival_s.size, np.nan)
    node_of = np.full(arrival_s.size, -1)
    end_s = arrival_s + (1e9 if holds_place_for_its_duration else duration_s)

    def placed(broadcast: int, node: int) -> None:
        placed_s[broadcast], node_of[broadcast] = env.now, node
        if holds_place_for_its_duration:
            end_s[broadcast] = env.now + duration_s[broadcast]

    fleet = Fleet(
        env,
        capacity=np.array([float(broadcasts_per_node), 1e12]),
        demand=np.array([1.0, 1.0]),
        max_nodes=nodes,
        boot_s=lambda: 0.0,
        end_s=end_s,
        queue_deadline_s=queue_deadline_s,
        placement=Placement(placed, lambda broadcast, reason: None, lambda broadcast: None),
    )
    fleet.start_ready(nodes)

    def go_live():
        for broadcast, at_s in enumerate(arrival_s.tolist()):
            yield env.timeout(at_s - env.now)
            fleet.request(broadcast)

    env.process(go_live())
    env.run()
    return placed_s, node_of
