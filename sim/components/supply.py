"""How many nodes of each pool are wanted, and how many can be had: the arithmetic of a fleet, without its clock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sim.components.pools import Pool, shared_out

UNLIMITED = 10**9


class Supply:
    """The desired number of nodes, shared out among pools of which some may have none to give.

    Args:
        pools: kinds of nodes.
        max_nodes: nodes that exist at once, at most, those that drain included.

    Attributes:
        desired: nodes that are wanted.
        surge: nodes that a deploy holds beyond them.
        started: by pool, nodes that boot or are ready.
        alive: by pool, nodes that are not gone.
    """

    def __init__(self, pools: Sequence[Pool], max_nodes: int) -> None:
        self._pools, self._max_nodes = pools, max_nodes
        self._least, self._weight = [pool.least for pool in pools], [pool.weight for pool in pools]
        self._always = min(sum(self._least), max_nodes)
        self._closed = [0] * len(pools)
        self.desired = self.surge = 0
        self.started = [0] * len(pools)
        self.alive = [0] * len(pools)

    @property
    def nodes(self) -> int:
        """Nodes that boot or are ready, without the surge, which is what there is beyond those that are wanted."""
        return sum(self.started) - self._surging

    @property
    def is_short(self) -> bool:
        """Whether there are fewer nodes than wanted."""
        return self.desired + self.surge > sum(self.started)

    def want_more(self, nodes: int) -> None:
        """Want so many more than there are, but no more than `max_nodes` allows."""
        most = max(0, self._max_nodes + self._surging - sum(self.alive))
        self.desired = max(self._always, self.nodes + min(nodes, most))

    def want_fewer(self, nodes: int) -> None:
        """Want so many fewer than there are."""
        self.desired = max(self._always, self.nodes - nodes)

    def want_what_is(self) -> None:
        """Want no fewer than there are."""
        self.desired = max(self.desired, self.nodes)

    def surge_by(self, nodes: int) -> int:
        """Hold so many more beyond those wanted, or fewer again; return how many are now too many."""
        self.surge += nodes
        return min(max(0, -nodes), max(0, sum(self.started) - self.desired - self.surge))

    def missing(self) -> list[int]:
        """Return by pool the nodes to be ordered now."""
        wanted = self.desired + self.surge
        short = min(wanted - sum(self.started), self._max_nodes + self.surge - sum(self.alive))
        if short <= 0:
            return [0] * len(self._pools)
        target = shared_out(wanted, self._least, [self._most(pool) for pool in range(len(self._pools))], self._weight)
        missing = [max(0, goal - started) for goal, started in zip(target, self.started, strict=True)]
        return shared_out(short, [0] * len(missing), missing, self._weight)

    def surplus(self, nodes: int) -> list[int]:
        """Return by pool which of `nodes` nodes fewer are its."""
        keep = max(0, sum(self.started) - nodes)
        target = shared_out(keep, self._least, self.started, self._weight)
        spare = [started - goal for goal, started in zip(target, self.started, strict=True)]
        return shared_out(nodes, [0] * len(spare), spare, self._weight)

    def close(self, pools: Iterable[int]) -> None:
        """No node of these can be had until `reopen`; the two count, so that causes may overlap."""
        for pool in pools:
            self._closed[pool] += 1

    def reopen(self, pools: Iterable[int]) -> None:
        """Take one cause back."""
        for pool in pools:
            self._closed[pool] -= 1

    @property
    def _surging(self) -> int:
        return min(self.surge, max(0, sum(self.started) - self.desired))

    def _most(self, pool: int) -> int:
        """Return the nodes of a pool that could run; those that drain take up what is to be had of it."""
        limit = self._pools[pool].available_max
        if self._closed[pool]:
            return self.started[pool]
        return UNLIMITED if limit is None else max(0, limit - self.alive[pool] + self.started[pool])
