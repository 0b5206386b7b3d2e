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
        # Pools of nodes alike, such as those of one type in several zones, are one to placement: best fit among all.
        alike = {(pool.units, pool.need): Rooms(pool.units) for pool in pools}
        self._kinds = [(rooms, need) for (_, need), rooms in alike.items()]
        self._find_on = [rooms.emptiest if spread else rooms.fullest for rooms, _ in self._kinds]
        self._rooms = [alike[pool.units, pool.need] for pool in pools]
        self._pool_of: list[int] = []
        self._on: list[set[int]] = []
        self._node_of: dict[int, int] = {}
        shares = [sum(pool.need[source] / pool.units for pool in pools) for source in range(len(pools[0].need))]
        self._largest = shares.index(max(shares))
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
        among = set(pools)
        return sorted(node for rooms, _ in self._kinds for node in rooms.nodes() if self._pool_of[node] in among)

    def emptiest(self, pool: int, nodes: int) -> list[int]:
        """Return up to so many open nodes of a pool, the emptiest first, of equals the youngest."""
        return self._rooms[pool].emptiest_first(nodes, lambda node: self._pool_of[node] == pool)

    def free_share(self) -> float:
        """Return the share of the open nodes' room that is free; 0 where none is open."""
        nodes = free = 0.0
        for rooms, _ in self._kinds:
            nodes += len(rooms)
            free += rooms.free / rooms.units
        return free / nodes if nodes else 0.0

    def stranded_share(self) -> float:
        """Return the share of the open nodes' room that is free, but not for the largest source; 0 where none is open.

        The largest source is the one that takes most of a node, in the mean over pools.
        """
        nodes = stranded = 0.0
        for rooms, needs in self._kinds:
            need = needs[self._largest]
            nodes += len(rooms)
            stranded += (rooms.free - need * rooms.free_for(need)) / rooms.units
        return stranded / nodes if nodes else 0.0

    def left(self, source: int) -> int:
        """Return how many broadcasts of a source would find a place now."""
        return sum(rooms.free_for(need[source]) for rooms, need in self._kinds)

    def take(self, broadcast: int) -> int:
        """Give a broadcast a place; return its node, or NONE where there is no room. O(kinds of nodes)."""
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
        if len(self._kinds) == 1:
            return self._find_on[0](self._kinds[0][1][source])
        best, best_left = NONE, 0.0
        for (rooms, needs), find in zip(self._kinds, self._find_on, strict=True):
            need = needs[source]
            node = find(need)
            if node != NONE:
                left = (rooms.room(node) - need) / rooms.units
                if best == NONE or (left > best_left if self._spread else left < best_left):
                    best, best_left = node, left
        return best
