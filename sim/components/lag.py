"""What a node that is asked for more than it has falls behind: an integral over time, not a curve.

Placement counts every broadcast of a source alike; what one really costs moves with its content. A node whose load L is
above 1 falls behind by L - 1 seconds a second and catches up by 1 - L when it is below; beyond `drop_after_s` pictures
are dropped instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import simpy


@dataclass
class NodeLoad:
    """One node: its load as a share of all it has, how far behind it is, and since when both are as they are."""

    load: float = 0.0
    lag_s: float = 0.0
    since_s: float = 0.0
    broadcasts: int = 0


class Lag:
    """Lag of all nodes, brought forward whenever a broadcast comes or goes.

    Args:
        env: the clock.
        share: broadcast, node → share of all that the node has which the broadcast really takes.
        late_after_s: lag beyond which segments count as late.
        drop_after_s: lag at which pictures are dropped.

    Attributes:
        late_s: broadcast-seconds published later than that.
        dropped_s: broadcast-seconds of video that were dropped.
        lag_area_s2: ∫ lag dt over broadcasts.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        share: Callable[[int, int], float],
        late_after_s: float,
        drop_after_s: float,
    ) -> None:
        self._env, self._share = env, share
        self._late_after_s, self._drop_after_s = late_after_s, drop_after_s
        self._nodes: dict[int, NodeLoad] = {}
        self.late_s = self.dropped_s = self.lag_area_s2 = 0.0

    def placed(self, broadcast: int, node: int) -> None:
        """A broadcast begins on a node."""
        state = self._nodes.setdefault(node, NodeLoad(since_s=self._env.now))
        self._forward(state)
        state.load += self._share(broadcast, node)
        state.broadcasts += 1

    def left(self, broadcast: int, node: int) -> None:
        """A broadcast is no longer on a node; whoever left last takes the lag with it."""
        state = self._nodes[node]
        self._forward(state)
        state.load -= self._share(broadcast, node)
        state.broadcasts -= 1
        if state.broadcasts == 0:
            del self._nodes[node]

    def finish(self) -> None:
        """Bring every node forward to the end."""
        for state in self._nodes.values():
            self._forward(state)

    def _forward(self, state: NodeLoad) -> None:
        for_s, slope = self._env.now - state.since_s, state.load - 1.0
        state.since_s = self._env.now
        if slope <= 0 and state.lag_s == 0.0:
            return
        unbounded_s = state.lag_s + slope * for_s
        after_s = min(max(unbounded_s, 0.0), self._drop_after_s)
        moving_s = for_s if after_s == unbounded_s else (after_s - state.lag_s) / slope
        area_s2 = (state.lag_s + after_s) / 2 * moving_s + after_s * (for_s - moving_s)
        self.lag_area_s2 += area_s2 * state.broadcasts
        self.late_s += seconds_above(self._late_after_s, state.lag_s, slope, for_s) * state.broadcasts
        if unbounded_s > self._drop_after_s:  # work of so many node-seconds, of which a second of video takes the load
            self.dropped_s += (unbounded_s - self._drop_after_s) / state.load * state.broadcasts
        state.lag_s = after_s


def seconds_above(threshold_s: float, start_s: float, slope: float, for_s: float) -> float:
    """Return how long of `for_s` a lag that begins at `start_s` and moves by `slope` a second is above a threshold."""
    if slope == 0.0:
        return for_s if start_s > threshold_s else 0.0
    crosses_s = min(max((threshold_s - start_s) / slope, 0.0), for_s)
    if slope > 0:
        return for_s - crosses_s
    return crosses_s if start_s > threshold_s else 0.0
