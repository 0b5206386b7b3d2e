"""The transcode fleet: nodes that are vectors of resources, their life cycle, placement and the queue.

A node is ordered, boots, is ready, may drain, and is gone. A broadcast takes its demand vector from one ready
node, by best fit, until its broadcaster stops; without room it waits in order of arrival until its deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import simpy

from sim.sampling import Floats

ROUNDING = 1e-9
"""Slack as a share of capacity, so that n equal demands fit n times although their sum is rounded."""


class NodeState(IntEnum):
    """Where a node is in its life."""

    BOOTING = 0
    READY = 1
    DRAINING = 2
    GONE = 3


@dataclass(frozen=True)
class Placement:
    """What the fleet tells about broadcasts, each by its identity."""

    placed: Callable[[int, int], None]
    """Broadcast, node."""
    refused: Callable[[int, str], None]
    """Broadcast, reason: no place, or its deadline or its own end came first."""
    ended: Callable[[int], None]
    """A placed broadcast has ended."""


class Fleet:
    """Nodes of one type.

    Args:
        env: the clock.
        capacity: usable amount of each resource of a node, shape (resources,).
        demand: amount one broadcast takes, shape (resources,).
        max_nodes: nodes that exist at once, at most.
        boot_s: returns the boot time of the next node ordered.
        end_s: identity → moment its broadcaster stops.
        queue_deadline_s: longest wait for a place; 0 refuses at once.
        placement: whom to tell.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        capacity: Floats,
        demand: Floats,
        max_nodes: int,
        boot_s: Callable[[], float],
        end_s: Floats,
        queue_deadline_s: float,
        placement: Placement,
    ) -> None:
        self._env, self._capacity, self._demand = env, capacity, demand
        self._max_nodes, self._boot_s = max_nodes, boot_s
        self._end_s, self._queue_deadline_s, self._tell = end_s, queue_deadline_s, placement
        self._state: list[NodeState] = []
        self._free = np.empty((0, capacity.size))
        self._takes = np.zeros(0, bool)  # by node: ready, so that a broadcast may be placed there
        self._held: list[int] = []
        self.ordered_s: list[float] = []
        self.ready_s: list[float] = []
        self.gone_s: list[float] = []
        self._waiting: deque[int] = deque()
        self._wants_place: set[int] = set()
        self._node_of: dict[int, int] = {}
        self._kept: set[int] = set()
        self._idle: list[int] = []
        self.in_service_on_ready = 0
        self.count = dict.fromkeys(NodeState, 0)

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place."""
        return len(self._node_of)

    @property
    def waiting(self) -> int:
        """Broadcasts that wait for one."""
        return len(self._wants_place)

    @property
    def nodes(self) -> int:
        """Nodes that boot or can take broadcasts: what the autoscaler counts as current."""
        return self.count[NodeState.BOOTING] + self.count[NodeState.READY]

    @property
    def ready(self) -> int:
        """Nodes that take broadcasts."""
        return self.count[NodeState.READY]

    @property
    def idle(self) -> int:
        """Nodes that were drained to be kept, and are empty; they are draining ones until they resume or go."""
        return len(self._idle)

    @property
    def held(self) -> int:
        """Broadcasts held by nodes, counted node by node; equals `in_service` when the books balance."""
        return sum(self._held)

    def states(self) -> list[NodeState]:
        """Return the state of every node ever ordered, by node."""
        return list(self._state)

    def order(self, nodes: int) -> int:
        """Order nodes, no more than `max_nodes` allows; return how many were ordered."""
        alive = len(self._state) - self.count[NodeState.GONE]
        allowed = max(0, min(nodes, self._max_nodes - alive))
        for _ in range(allowed):
            node = self._new_node(NodeState.BOOTING)
            self._after(self._boot_s(), self._ready, node)
        return allowed

    def start_ready(self, nodes: int) -> None:
        """Add nodes that have booted before time starts."""
        for _ in range(min(nodes, self._max_nodes)):
            self.ready_s[self._new_node(NodeState.READY)] = self._env.now

    def request(self, broadcast: int) -> None:
        """Ask for a place; the answer comes by `placement`."""
        if not self._wants_place and self._try_place(broadcast):
            return
        if self._queue_deadline_s <= 0:
            self._tell.refused(broadcast, "refused: no place")
            return
        self._waiting.append(broadcast)
        self._wants_place.add(broadcast)
        ends_in_s = self._end_s[broadcast] - self._env.now
        patience_s = min(self._queue_deadline_s, ends_in_s)
        self._after(max(0.0, patience_s), self._give_up, broadcast)

    def drain(self, nodes: int, *, keep: bool = False) -> None:
        """Stop placing on the emptiest nodes, booting ones first; each is gone when its last broadcast ends.

        With `keep` it is idle then instead, unless it was still booting.
        """
        alive = [node for node, state in enumerate(self._state) if state <= NodeState.READY]
        alive.sort(key=lambda node: (self._state[node], self._held[node], -node))
        for node in alive[:nodes]:
            if keep and self._state[node] is NodeState.READY:
                self._kept.add(node)
            self._move(node, NodeState.DRAINING)
            self._gone_if_empty(node)

    def resume(self, nodes: int) -> int:
        """Let idle nodes take broadcasts again, the newest idle first; return how many did."""
        resumed = [self._idle.pop() for _ in range(min(nodes, len(self._idle)))]
        for node in resumed:
            self._kept.remove(node)
            self._move(node, NodeState.READY)
        if resumed:
            self._serve_queue()
        return len(resumed)

    def release(self, nodes: int) -> int:
        """Let idle nodes go, the longest idle first; return how many did."""
        released, self._idle = self._idle[:nodes], self._idle[nodes:]
        for node in released:
            self._kept.remove(node)
            self._gone_if_empty(node)
        return len(released)

    def _new_node(self, state: NodeState) -> int:
        node = len(self._state)
        if node == len(self._free):
            room = max(64, node)
            self._free = np.concatenate([self._free, np.empty((room, self._capacity.size))])
            self._takes = np.concatenate([self._takes, np.zeros(room, bool)])
        self._free[node] = self._capacity
        self._takes[node] = state is NodeState.READY
        self._state.append(state)
        self._held.append(0)
        self.ordered_s.append(self._env.now)
        self.ready_s.append(float("nan"))
        self.gone_s.append(float("nan"))
        self.count[state] += 1
        return node

    def _after(self, delay_s: float, happens: Callable[[int], None], whom: int) -> None:
        self._env.timeout(delay_s).callbacks.append(lambda _: happens(whom))

    def _ready(self, node: int) -> None:
        if self._state[node] is NodeState.BOOTING:
            self.ready_s[node] = self._env.now
            self._move(node, NodeState.READY)
            self._serve_queue()

    def _move(self, node: int, state: NodeState) -> None:
        if self._state[node] is NodeState.READY:
            self.in_service_on_ready -= self._held[node]
        self.count[self._state[node]] -= 1
        self.count[state] += 1
        self._state[node] = state
        self._takes[node] = state is NodeState.READY

    def _gone_if_empty(self, node: int) -> None:
        if self._state[node] is not NodeState.DRAINING or self._held[node]:
            return
        if node in self._kept:
            self._idle.append(node)
            return
        self.gone_s[node] = self._env.now
        self._move(node, NodeState.GONE)

    def _try_place(self, broadcast: int) -> bool:
        """Place on the fullest node with room. O(nodes), in numpy."""
        ready = np.flatnonzero(self._takes)
        fits = np.all(self._free[ready] >= self._demand - ROUNDING * self._capacity, axis=1)
        candidates = ready[fits]
        if not candidates.size:
            return False
        left = (self._free[candidates] / self._capacity).min(axis=1)
        self._place(broadcast, int(candidates[np.argmin(left)]))
        return True

    def _place(self, broadcast: int, node: int) -> None:
        self._free[node] -= self._demand
        self._held[node] += 1
        self.in_service_on_ready += 1
        self._node_of[broadcast] = node
        self._tell.placed(broadcast, node)
        remaining_s = max(0.0, self._end_s[broadcast] - self._env.now)
        self._after(remaining_s, self._end, broadcast)

    def _end(self, broadcast: int) -> None:
        node = self._node_of.pop(broadcast)
        self._free[node] += self._demand
        self._held[node] -= 1
        self.in_service_on_ready -= self._state[node] is NodeState.READY
        self._tell.ended(broadcast)
        self._gone_if_empty(node)
        self._serve_queue()

    def _serve_queue(self) -> None:
        while self._waiting:
            broadcast = self._waiting[0]
            if broadcast in self._wants_place:
                if not self._try_place(broadcast):
                    return
                self._wants_place.remove(broadcast)
            self._waiting.popleft()

    def _give_up(self, broadcast: int) -> None:
        if broadcast in self._wants_place:
            self._wants_place.remove(broadcast)
            self._tell.refused(broadcast, "gave up waiting")
