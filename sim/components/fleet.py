"""The transcode fleet: nodes that are ordered, boot, take broadcasts, drain, are taken back, and are gone.

The fleet holds a desired number of nodes: what is lost is ordered again at once, what cannot be had now is asked for
again. Broadcasts are placed by bit search over the room of nodes (`rooms`), so that neither placing nor leaving depends
on the number of nodes. Who waits for room is not its business: it calls `on_room` when there is some.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import simpy

from sim.components.node import NEVER, NodeLog, NodeState, Startup, Told, until_notice_s
from sim.components.places import Places
from sim.components.pools import Pool, in_turn
from sim.components.rooms import NONE
from sim.components.supply import Supply


class Fleet:
    """Nodes of one or several pools.

    Args:
        env: the clock.
        pools: kinds of nodes.
        source_of: identity of a broadcast → index of its source, which says what it takes.
        max_nodes: nodes that exist at once, at most, those that drain included.
        startup: returns how the next node ordered starts.
        life: returns the position in [0, 1) of the next ready node's life until it is taken back.
        told: whom to tell.
        spread: place on the emptiest node instead of the fullest with room.
        newest_first: drain the newest nodes first instead of the emptiest.
        migrate_on_notice: broadcasts leave a node that is to be taken back as soon as there is room.
        launch_retry_s: how often what could not be had is asked for again.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        pools: Sequence[Pool],
        source_of: Sequence[int],
        max_nodes: int,
        startup: Callable[[], Startup],
        life: Callable[[], float],
        told: Told,
        spread: bool = False,
        newest_first: bool = False,
        migrate_on_notice: bool = True,
        launch_retry_s: float = 60.0,
    ) -> None:
        self._env, self.pools = env, tuple(pools)
        self._startup, self._life, self._told = startup, life, told
        self._newest_first, self._migrate_on_notice = newest_first, migrate_on_notice
        self._supply = Supply(self.pools, max_nodes)
        self._places = Places(self.pools, source_of, spread=spread)
        self._state: list[NodeState] = []
        self._booting: dict[int, None] = {}
        self._moving: dict[int, None] = {}
        self._is_asking_again, self._launch_retry_s = False, launch_retry_s
        self._kept: set[int] = set()
        self._idle: list[int] = []
        self.log = NodeLog()
        self.count = dict.fromkeys(NodeState, 0)

    @property
    def in_service(self) -> int:
        """Broadcasts that hold a place."""
        return len(self._places)

    @property
    def in_service_on_ready(self) -> int:
        """Broadcasts that hold a place on a node that takes more."""
        return self._places.taken_on_open

    @property
    def nodes(self) -> int:
        """Nodes that boot or are ready, without those a deploy has more for a while: what an autoscaler counts."""
        return self._supply.nodes

    @property
    def ready(self) -> int:
        """Nodes that take broadcasts."""
        return self.count[NodeState.READY]

    @property
    def booting(self) -> int:
        """Nodes that were ordered and take no broadcasts yet."""
        return self.count[NodeState.BOOTING]

    @property
    def idle(self) -> int:
        """Nodes that were drained to be kept, and are empty; they are draining ones until they resume or go."""
        return len(self._idle)

    @property
    def held(self) -> int:
        """Broadcasts held by nodes, counted node by node; equals `in_service` when the books balance."""
        return self._places.held

    @property
    def wanted_nodes(self) -> int:
        """Nodes it tries to hold."""
        return self._supply.desired

    def states(self) -> list[NodeState]:
        """Return the state of every node ever ordered, by node."""
        return list(self._state)

    def broadcasts_on(self, node: int) -> list[int]:
        """Return the broadcasts that a node holds, ascending."""
        return self._places.on(node)

    def node_of(self, broadcast: int) -> int:
        """Return where a broadcast is; NONE if it has no place."""
        return self._places.node_of(broadcast)

    def living(self, pools: Iterable[int]) -> list[int]:
        """Return the nodes of pools that are not gone, ascending; linear in the nodes ever ordered."""
        among = set(pools)
        return [node for node, pool in enumerate(self.log.pool) if pool in among and self._state[node] < NodeState.GONE]

    def serving(self, pools: Iterable[int]) -> list[int]:
        """Return the nodes of pools that are ready, ascending."""
        return self._places.open_nodes(pools)

    def free_share(self) -> float:
        """Return the share of the ready nodes' room that is free; 0 where none is ready."""
        return self._places.free_share()

    def stranded_share(self) -> float:
        """Return the share of the ready nodes' room that is free and of no use to the source that takes most."""
        return self._places.stranded_share()

    def places_left(self, source: int) -> int:
        """Return how many broadcasts of a source would find a place now."""
        return self._places.left(source)

    # ---------------------------------------------------------------- nodes come

    def start_ready(self, nodes: int) -> None:
        """Add nodes that have booted before time starts."""
        self._supply.want_more(nodes)
        for pool in in_turn(self._supply.missing()):
            self._takes_broadcasts(self._new_node(pool, NodeState.READY))
        self._ask_again_later()

    def order(self, nodes: int) -> int:
        """Want more nodes, no more than `max_nodes` allows; return how many were ordered."""
        self._supply.want_more(nodes)
        return self._launch()

    def add_surge(self, nodes: int, *, deadline_s: float | None = None) -> None:
        """Hold so many nodes more than wanted, or fewer again, which then drain."""
        too_many = self._supply.surge_by(nodes)
        self._retire(self._to_drain(too_many), "scaled in", migrate=False, deadline_s=deadline_s)
        self._launch()

    def _launch(self) -> int:
        missing = self._supply.missing()
        for pool in in_turn(missing):
            self._start(pool)
        self._ask_again_later()
        return sum(missing)

    def _ask_again_later(self) -> None:
        if self._supply.is_short and not self._is_asking_again:
            self._is_asking_again = True
            self._after(self._launch_retry_s, lambda _: self._ask_again())

    def _ask_again(self) -> None:
        self._is_asking_again = False
        self._launch()

    def _start(self, pool: int) -> None:
        how = self._startup()
        node = self._new_node(pool, NodeState.BOOTING)
        self._booting[node] = None
        if how.fails < self.pools[pool].launch_failure:
            self._after(how.scheduling_s, lambda _: self._launch_failed(node))
        else:
            self._after(how.scheduling_s + how.boot_s, lambda _: self._ready(node))

    def _launch_failed(self, node: int) -> None:
        if self._state[node] is NodeState.BOOTING:
            self._gone(node, "launch failed")
            self._ask_again_later()

    def _ready(self, node: int) -> None:
        if self._state[node] is NodeState.BOOTING:
            self._move(node, NodeState.READY)
            self._takes_broadcasts(node)
            self._room()

    def _takes_broadcasts(self, node: int) -> None:
        pool = self.log.pool[node]
        self.log.ready_s[node] = self._env.now
        self._places.open(node)
        how = self.pools[pool].taken_back
        if how is not None:
            life_s = until_notice_s(how.rate_per_s, how.max_life_s, self._life())
            if life_s < math.inf:
                self._after(life_s, lambda _: self.notice(node, how.notice_s, "taken back"))

    # ---------------------------------------------------------------- nodes go

    def drain(self, nodes: int, *, migrate: bool = False, deadline_s: float | None = None, keep: bool = False) -> None:
        """Want fewer nodes. They take no more broadcasts; each is gone when its last one has ended or moved.

        Args:
            nodes: how many.
            migrate: broadcasts move to other nodes as soon as there is room.
            deadline_s: what is still there then is interrupted.
            keep: nodes that were ready are idle when they are empty, instead of gone.
        """
        going = self._to_drain(nodes)
        if keep:
            self._kept.update(node for node in going if self._state[node] is NodeState.READY)
        self._supply.want_fewer(len(going))
        self._retire(going, "scaled in", migrate=migrate, deadline_s=deadline_s)

    def resume(self, nodes: int) -> int:
        """Let idle nodes take broadcasts again, the newest idle first; return how many did."""
        resumed = [self._idle.pop() for _ in range(min(nodes, len(self._idle)))]
        for node in resumed:
            self._kept.remove(node)
            self._move(node, NodeState.READY)
            self._supply.want_what_is()
            self.log.draining_s[node], self.log.reason[node] = NEVER, ""
            self._places.open(node)
        if resumed:
            self._room()
        return len(resumed)

    def release(self, nodes: int) -> int:
        """Let idle nodes go, the longest idle first; return how many did."""
        released, self._idle = self._idle[:nodes], self._idle[nodes:]
        for node in released:
            self._gone(node, self.log.reason[node])
        return len(released)

    def replace(self, nodes: Iterable[int], reason: str, *, migrate: bool, deadline_s: float | None) -> None:
        """Let nodes drain as `drain` does, even those that were kept, and order others for them."""
        going = [node for node in nodes if self._state[node] is not NodeState.GONE]
        self._keep_no_more(going)
        self._retire(going, reason, migrate=migrate, deadline_s=deadline_s)
        self._launch()

    def notice(self, node: int, notice_s: float, reason: str) -> None:
        """A node will be gone in `notice_s`; its broadcasts move if they may, and another is ordered now."""
        if self._state[node] is not NodeState.GONE:
            self.replace([node], reason, migrate=self._migrate_on_notice, deadline_s=notice_s)

    def kill(self, nodes: Iterable[int], reason: str) -> int:
        """Let nodes die at once; return how many broadcasts were interrupted. Others are ordered now."""
        interrupted = sum(self._kill(node, reason) for node in nodes)
        self._launch()
        return interrupted

    def close(self, pools: Iterable[int]) -> None:
        """No node of these pools can be had until `reopen`; the two count, so that causes may overlap."""
        self._supply.close(pools)

    def reopen(self, pools: Iterable[int]) -> None:
        """Take one cause back."""
        self._supply.reopen(pools)
        self._launch()

    def _to_drain(self, nodes: int) -> list[int]:
        """Return the nodes to go first: booting ones, the newest first, then by the policy, each pool's surplus."""
        return [node for pool, spare in enumerate(self._supply.surplus(nodes)) for node in self._leaving(pool, spare)]

    def _leaving(self, pool: int, nodes: int) -> list[int]:
        booting = [node for node in reversed(self._booting) if self.log.pool[node] == pool][:nodes]
        rest = nodes - len(booting)
        if self._newest_first:
            return booting + self._places.open_nodes([pool])[::-1][:rest]
        return booting + self._places.emptiest(pool, rest)

    def _retire(self, nodes: Iterable[int], reason: str, *, migrate: bool, deadline_s: float | None) -> None:
        for node in nodes:
            self._places.close(node)
            if self._state[node] in (NodeState.BOOTING, NodeState.READY):
                self._move(node, NodeState.DRAINING)
                self.log.draining_s[node] = self._env.now
                self.log.reason[node] = reason
            if migrate:
                self._moving.update(dict.fromkeys(self.broadcasts_on(node)))
            if self._places.is_empty(node):
                self._emptied(node)
            elif deadline_s is not None:
                self._kill_later(node, deadline_s, reason)
        if migrate:
            self._serve_moving()

    def _emptied(self, node: int) -> None:
        """A node that takes no more broadcasts has none left: it is gone, or idle if it is kept and not dying."""
        if node not in self._kept:
            self._gone(node, self.log.reason[node])
        elif node not in self._idle:
            self._idle.append(node)

    def _keep_no_more(self, nodes: Iterable[int]) -> None:
        self._kept.difference_update(nodes)
        self._idle = [node for node in self._idle if node in self._kept]

    def _kill_later(self, node: int, deadline_s: float, reason: str) -> None:
        since_s = self.log.draining_s[node]

        def kill(_: simpy.Event) -> None:
            is_same_drain = self.log.draining_s[node] == since_s  # it may have been resumed, and drained again
            if self._state[node] is NodeState.DRAINING and is_same_drain and node not in self._idle:
                self._kill(node, reason)

        self._after(deadline_s, kill)

    def _kill(self, node: int, reason: str) -> int:
        if self._state[node] is NodeState.GONE:
            return 0
        broadcasts = self._places.remove_node(node)
        for broadcast in broadcasts:
            self._moving.pop(broadcast, None)
        self._gone(node, reason)
        for broadcast in broadcasts:
            self._told.interrupted(broadcast, node)
        return len(broadcasts)

    # ---------------------------------------------------------------- broadcasts

    def place(self, broadcast: int) -> int:
        """Give a broadcast a place; return its node, or NONE where there is no room. O(kinds of nodes)."""
        return self._places.take(broadcast)

    def leave(self, broadcast: int) -> None:
        """Free the place of a broadcast that has ended."""
        self._moving.pop(broadcast, None)
        node, is_open = self._places.give_back(broadcast)
        if is_open:
            self._room()
        elif self._places.is_empty(node):
            self._emptied(node)

    def _room(self) -> None:
        if self._moving:
            self._serve_moving()
        self._told.room()

    def _serve_moving(self) -> None:
        """Move broadcasts off their nodes, in the order they were told to, while there is room for the next."""
        while self._moving:
            broadcast = next(iter(self._moving))
            before = self._places.node_of(broadcast)
            node = self._places.move(broadcast)
            if node == NONE:
                return
            del self._moving[broadcast]
            self._told.moved(broadcast, node)
            if self._places.is_empty(before):
                self._emptied(before)

    def _new_node(self, pool: int, state: NodeState) -> int:
        node = len(self._state)
        self._state.append(state)
        self._places.add_node(pool)
        self.log.pool.append(pool)
        self.log.ordered_s.append(self._env.now)
        for column in (self.log.ready_s, self.log.draining_s, self.log.gone_s):
            column.append(NEVER)
        self.log.reason.append("")
        self.count[state] += 1
        self._supply.started[pool] += 1
        self._supply.alive[pool] += 1
        return node

    def _move(self, node: int, state: NodeState) -> None:
        pool, before = self.log.pool[node], self._state[node]
        self.count[before] -= 1
        self.count[state] += 1
        if before is NodeState.BOOTING:
            del self._booting[node]
        self._supply.started[pool] += (state <= NodeState.READY) - (before <= NodeState.READY)
        if state is NodeState.GONE:
            self._supply.alive[pool] -= 1
        self._state[node] = state

    def _gone(self, node: int, reason: str) -> None:
        if node in self._kept:
            self._keep_no_more([node])
        self._places.remove_node(node)
        self._move(node, NodeState.GONE)
        self.log.gone_s[node] = self._env.now
        self.log.reason[node] = reason
        self._told.gone(node, reason)

    def _after(self, delay_s: float, happens: Callable[[simpy.Event], None]) -> None:
        self._env.timeout(delay_s).callbacks.append(happens)
