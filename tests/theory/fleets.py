"""The real fleet and the queue before it under plain arrivals, for comparison with closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import simpy

from sim.components.admission import Admission, Answers, FirstCome
from sim.components.fleet import Fleet
from sim.components.node import Startup, Told
from sim.components.pools import Pool


def serve(
    arrival_s: np.ndarray,
    duration_s: np.ndarray,
    *,
    nodes: int,
    broadcasts_per_node: int,
    queue_deadline_s: float | Callable[[int], float],
    holds_place_for_its_duration: bool = False,
    queue_limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Send broadcasts through a fixed fleet; return (moment of placement, NaN if refused) and (node or -1).

    A broadcast ends `duration_s` after it went live; with `holds_place_for_its_duration` after its placement,
    which is what a queue of jobs does and what closed forms of waiting speak of.
    """
    env = simpy.Environment()
    placed_s = np.full(arrival_s.size, np.nan)
    node_of = np.full(arrival_s.size, -1)

    def after(delay_s: float, happens, broadcast: int) -> None:
        env.timeout(max(0.0, delay_s)).callbacks.append(lambda _: happens(broadcast))

    def placed(broadcast: int, node: int) -> None:
        placed_s[broadcast], node_of[broadcast] = env.now, node
        if holds_place_for_its_duration:
            after(duration_s[broadcast], fleet.leave, broadcast)

    fleet = Fleet(
        env,
        pools=[Pool("only", "a", broadcasts_per_node, (1,))],
        source_of=np.zeros(arrival_s.size, int),
        max_nodes=nodes,
        startup=lambda: Startup(0.0, 0.0),
        life=lambda: 0.0,
        told=Told(lambda broadcast, node: None, lambda broadcast, node: None, lambda: admission.serve()),
    )
    admission = Admission(
        env,
        rule=FirstCome(),
        place=fleet.place,
        free_share=fleet.free_share,
        patience_s=queue_deadline_s if callable(queue_deadline_s) else lambda _: queue_deadline_s,
        limit=queue_limit,
        answers=Answers(placed, lambda broadcast: None, lambda broadcast, reason: None),
    )
    fleet.start_ready(nodes)

    def stop(broadcast: int) -> None:
        if node_of[broadcast] >= 0:
            fleet.leave(broadcast)
        elif broadcast in admission:
            admission.withdraw(broadcast)

    def go_live():
        for broadcast, at_s in enumerate(arrival_s.tolist()):
            yield env.timeout(at_s - env.now)
            if not holds_place_for_its_duration:
                after(duration_s[broadcast], stop, broadcast)
            admission.request(broadcast)

    env.process(go_live())
    env.run()
    return placed_s, node_of
