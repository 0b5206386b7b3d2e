"""Which nodes have how much room: nodes of one kind sorted by the room left, so that placing is quick.

Room is counted in whole units of a node. Finding the fullest node with room, or the emptiest one, does not depend on
the number of nodes: a bit stands for each amount of room that some node has, and the nodes of each amount are in a
heap.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

NONE = -1
STALE_FACTOR, STALE_LEAST = 4, 64


class Rooms:
    """Nodes that take broadcasts, by the units of room left on them.

    A node whose room changes is pushed anew and its old entry dropped when it comes up; heaps that hold mostly such
    entries are made again, so that memory is linear in the nodes.

    Args:
        units: room of an empty node.
    """

    def __init__(self, units: int) -> None:
        self.units = units
        self._heaps: list[list[int]] = [[] for _ in range(units + 1)]
        self._count = [0] * (units + 1)
        self._present = 0
        self._room: dict[int, int] = {}
        self.free = 0
        """Units left on all nodes."""

    def __len__(self) -> int:
        return len(self._room)

    def __contains__(self, node: int) -> bool:
        return node in self._room

    def nodes(self) -> list[int]:
        """Return the nodes, in the order in which they came."""
        return list(self._room)

    def room(self, node: int) -> int:
        """Return the units left on a node."""
        return self._room[node]

    def free_for(self, need: int) -> int:
        """Return how many broadcasts that take `need` units each find a place; linear in the rooms there are."""
        found, left = 0, self._present >> need
        while left:
            room = need + (left & -left).bit_length() - 1
            found += room // need * self._count[room]
            left &= left - 1
        return found

    def add(self, node: int, room: int) -> None:
        """Let a node take broadcasts."""
        self._room[node] = room
        self.free += room
        self._enter(node, room)

    def remove(self, node: int) -> int:
        """Let it take no more; return the units that were left."""
        room = self._room.pop(node)
        self.free -= room
        self._leave(room)
        return room

    def take(self, node: int, need: int) -> None:
        """Let a broadcast take `need` units of a node; negative gives them back."""
        before = self._room[node]
        self._room[node] = after = before - need
        self.free -= need
        self._leave(before)
        self._enter(node, after)

    def fullest(self, need: int) -> int:
        """Return the node with the least room that is enough, of equals the oldest; NONE where no room is."""
        enough = self._present >> need
        if not enough:
            return NONE
        return self._oldest(need + (enough & -enough).bit_length() - 1)

    def emptiest(self, need: int) -> int:
        """Return the node with the most room, of equals the oldest; NONE where it is not enough."""
        most = self._present.bit_length() - 1
        return self._oldest(most) if most >= need else NONE

    def emptiest_first(self, count: int, may: Callable[[int], bool]) -> list[int]:
        """Return up to `count` nodes that may be, the emptiest first, of equals the youngest; linear in the nodes."""
        found: list[int] = []
        for room in range(self._present.bit_length() - 1, -1, -1):
            if len(found) >= count:
                break
            if self._count[room]:
                here = {node for node in self._heaps[room] if self._room.get(node) == room and may(node)}
                found += sorted(here, reverse=True)
        return found[:count]

    def _oldest(self, room: int) -> int:
        heap, room_of = self._heaps[room], self._room.get
        while room_of(heap[0]) != room:
            heappop(heap)
        return heap[0]

    def _enter(self, node: int, room: int) -> None:
        heap = self._heaps[room]
        heappush(heap, node)
        count = self._count[room] + 1
        self._count[room] = count
        if count == 1:
            self._present |= 1 << room
        if len(heap) > STALE_FACTOR * count + STALE_LEAST:
            heap[:] = {entry for entry in heap if self._room.get(entry) == room}
            heapify(heap)

    def _leave(self, room: int) -> None:
        self._count[room] -= 1
        if not self._count[room]:
            self._present &= ~(1 << room)
