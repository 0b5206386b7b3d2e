"""Which broadcast is on which node, and which node the next one goes to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.components.pools import Pool
from sim.components.rooms import NONE, Rooms

NOBODY: set[int] = set()
"""Stands for the broadcasts of a node that is gone; nothing is ever put in it."""


class Places:
    """Places on the nodes of several pools. A node takes broadcasts while it is open.

    Args:
        pools: kinds of nodes.
        source_of: identity of a broadcast → index of its source, which says what it takes.
        spread: take the emptiest node instead of the fullest with room.

    Attributes:
        taken_on_open: broadcasts on open nodes.
    """

    def __init__(self, pools: Sequence[Pool], source_of: Sequence[int], *, spread: bool) -> None:
        self._pools, self._source_of, self._spread = pools, source_of, spread
        self._rooms = [Rooms(pool.units) for pool in pools]
        self._pool_of: list[int] = []
        self._on: list[set[int]] = []
        self._node_of: dict[int, int] = {}
        self.taken_on_open = 0

    def __len__(self) -> int:
        return len(self._node_of)

    @property
    def held(self) -> int:
        """Places taken, counted node by node."""
        return sum(map(len, self._on))

    def add_node(self, pool: int) -> None:
        """Let there be one more node, not open yet, with the next number."""
        self._pool_of.append(pool)
        self._on.append(set())

    def open(self, node: int) -> None:
        """Let an empty node take broadcasts."""
        pool = self._pool_of[node]
        self._rooms[pool].add(node, self._pools[pool].units)

    def close(self, node: int) -> None:
        """Let a node take no more; nothing if it does not."""
        rooms = self._rooms[self._pool_of[node]]
        if node in rooms:
            rooms.remove(node)
            self.taken_on_open -= len(self._on[node])

    def is_empty(self, node: int) -> bool:
        """Return whether a node holds nothing."""
        return not self._on[node]

    def on(self, node: int) -> list[int]:
        """Return the broadcasts that a node holds, ascending."""
        return sorted(self._on[node])

    def node_of(self, broadcast: int) -> int:
        """Return where a broadcast is; NONE if it has no place."""
        return self._node_of.get(broadcast, NONE)

    def open_nodes(self, pools: Iterable[int]) -> list[int]:
        """Return the open nodes of pools, ascending."""
        return sorted(node for pool in pools for node in self._rooms[pool].nodes())

    def emptiest(self, pool: int, nodes: int) -> list[int]:
        """Return up to so many open nodes of a pool, the emptiest first, of equals the youngest."""
        return self._rooms[pool].emptiest_first(nodes)

    def free_share(self) -> float:
        """Return the share of the open nodes' room that is free; 0 where none is open."""
        nodes = sum(map(len, self._rooms))
        return sum(rooms.free / rooms.units for rooms in self._rooms) / nodes if nodes else 0.0

    def left(self, source: int) -> int:
        """Return how many broadcasts of a source would find a place now."""
        return sum(rooms.free_for(pool.need[source]) for rooms, pool in zip(self._rooms, self._pools, strict=True))

    def take(self, broadcast: int) -> int:
        """Give a broadcast a place; return its node, or NONE where there is no room. O(pools)."""
        source = self._source_of[broadcast]
        node = self._find(source)
        if node != NONE:
            pool = self._pool_of[node]
            self._rooms[pool].take(node, self._pools[pool].need[source])
            self._on[node].add(broadcast)
            self._node_of[broadcast] = node
            self.taken_on_open += 1
        return node

    def give_back(self, broadcast: int) -> tuple[int, bool]:
        """Free the place of a broadcast; return its node, and whether that is open."""
        node = self._node_of.pop(broadcast)
        self._on[node].discard(broadcast)
        pool = self._pool_of[node]
        is_open = node in self._rooms[pool]
        if is_open:
            self._rooms[pool].take(node, -self._pools[pool].need[self._source_of[broadcast]])
            self.taken_on_open -= 1
        return node, is_open

    def move(self, broadcast: int) -> int:
        """Give a broadcast of a closed node a place on an open one; return that, or NONE where there is no room."""
        before = self._node_of[broadcast]
        node = self.take(broadcast)
        if node != NONE:
            self._on[before].discard(broadcast)
        return node

    def remove_node(self, node: int) -> list[int]:
        """Close a node for ever; return the broadcasts that had a place on it, ascending."""
        self.close(node)
        broadcasts = self.on(node)
        for broadcast in broadcasts:
            del self._node_of[broadcast]
        self._on[node] = NOBODY
        return broadcasts

    def _find(self, source: int) -> int:
        if len(self._pools) == 1:
            need = self._pools[0].need[source]
            return self._rooms[0].emptiest(need) if self._spread else self._rooms[0].fullest(need)
        best, best_left = NONE, 0.0
        for pool, rooms in zip(self._pools, self._rooms, strict=True):
            need = pool.need[source]
            node = rooms.emptiest(need) if self._spread else rooms.fullest(need)
            if node != NONE:
                left = (rooms.room(node) - need) / pool.units
                if best == NONE or (left > best_left if self._spread else left < best_left):
                    best, best_left = node, left
        return best
