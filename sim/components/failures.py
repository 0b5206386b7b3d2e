"""What goes wrong, or is done, at a known moment: each kind is a process that acts on the fleet and on ingest.

Every failure that begins is told, with the nodes and broadcasts it hits, so that its blast radius can be reported.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
import simpy

from scenarios.failures import Failure, NodeLoss, RollingDeploy, SpotStorm, ZoneLoss

POLL_S = 5.0
"""How often a deploy looks whether its new nodes are ready."""
Process = Generator[simpy.Event, Any, None]


class FailingFleet(Protocol):
    """What a failure sees of the fleet, and does to it."""

    @property
    def wanted_nodes(self) -> int:
        """Nodes it tries to hold, without the surge."""

    @property
    def booting(self) -> int:
        """Nodes ordered and not ready."""

    @property
    def ready(self) -> int:
        """Nodes ready."""

    def living(self, pools: Iterable[int]) -> list[int]:
        """Nodes of pools that are not gone, ascending."""

    def serving(self, pools: Iterable[int]) -> list[int]:
        """Nodes of pools that are ready, ascending."""

    def broadcasts_on(self, node: int) -> list[int]:
        """Broadcasts a node holds."""

    def kill(self, nodes: Iterable[int], reason: str) -> int:
        """Let nodes die; broadcasts that were interrupted."""

    def notice(self, node: int, notice_s: float, reason: str) -> None:
        """A node will be gone."""

    def replace(self, nodes: Iterable[int], reason: str, *, migrate: bool, deadline_s: float | None) -> None:
        """Let nodes drain and order others."""

    def add_surge(self, nodes: int, *, deadline_s: float | None = None) -> None:
        """Hold more nodes."""

    def close(self, pools: Iterable[int]) -> None:
        """Nothing to be had."""

    def reopen(self, pools: Iterable[int]) -> None:
        """To be had again."""


@dataclass(frozen=True)
class Site:
    """Where failures happen.

    Attributes:
        zones: by pool, its zone.
        notice_s: by pool, the notice of a node that is taken back; None where the provider does not.
        ingest_down: takes a share of the ingest nodes away, negative gives it back.
        clusters_down: takes the CDN clusters of regions away, or brings them back.
        told: kind and name of what begins, nodes and broadcasts that it hits.
        position: returns the position in [0, 1) at which chance stands for a node, belonging to the node.
        zones_of_ingest: where ingest nodes stand, as many in each; the zones of the pools if empty.
        down: zone → failures that hold it down now; `regions_down` the same by region of the CDN.
    """

    env: simpy.Environment
    fleet: FailingFleet
    zones: Sequence[str]
    notice_s: Sequence[float | None]
    ingest_down: Callable[[float], None]
    clusters_down: Callable[[Sequence[str], bool], None]
    told: Callable[[Failure, Sequence[int], Sequence[int]], None]
    position: Callable[[int], float]
    zones_of_ingest: Sequence[str] = ()
    down: Counter[str] = field(default_factory=Counter)
    regions_down: Counter[str] = field(default_factory=Counter)

    def turn_zones(self, zones: Iterable[str], *, down: bool) -> None:
        """Take a zone's share of ingest away, or give it back; a zone that is lost twice at once is down once."""
        among = set(self.zones_of_ingest or self.zones)
        before = self._share_down(among)
        (self.down.update if down else self.down.subtract)(zones)
        if change := self._share_down(among) - before:
            self.ingest_down(change)

    def _share_down(self, among: set[str]) -> float:
        return sum(self.down[zone] > 0 for zone in among) / len(among)

    def turn_regions(self, regions: Sequence[str], *, down: bool) -> None:
        """Take the CDN clusters of regions away, or bring back those that nothing else holds down."""
        named = dict.fromkeys(regions)  # each once
        changed = [region for region in named if self.regions_down[region] == (0 if down else 1)]
        (self.regions_down.update if down else self.regions_down.subtract)(list(named))
        self.clusters_down(changed, down)

    def pools_in(self, zones: Iterable[str]) -> list[int]:
        """Return the pools that stand in zones."""
        return [pool for pool, zone in enumerate(self.zones) if zone in set(zones)]

    def hit(self, failure: Failure, nodes: Sequence[int]) -> None:
        """Tell what a failure hits before it does."""
        self.told(failure, nodes, [broadcast for node in nodes for broadcast in self.fleet.broadcasts_on(node)])


def start_failures(failures: Iterable[Failure], site: Site) -> None:
    """Let each failure happen at its moment."""
    for failure in failures:
        site.env.process(_at_its_moment(failure, site))


def _at_its_moment(failure: Failure, site: Site) -> Process:
    yield site.env.timeout(failure.at_s)
    yield from happens(failure, site)


@singledispatch
def happens(failure: Failure, site: Site) -> Process:
    """Return the process of one failure, from its moment on."""
    raise TypeError(f"no process for {type(failure).__name__}")


@happens.register
def _(failure: ZoneLoss, site: Site) -> Process:
    pools = site.pools_in(failure.zones)
    nodes = site.fleet.living(pools)
    site.hit(failure, nodes)
    site.fleet.close(pools)
    site.turn_zones(failure.zones, down=True)
    site.turn_regions(failure.cdn_regions, down=True)
    site.fleet.kill(nodes, "zone lost")
    yield site.env.timeout(failure.duration_s)
    site.turn_zones(failure.zones, down=False)
    site.turn_regions(failure.cdn_regions, down=False)
    site.fleet.reopen(pools)


@happens.register
def _(failure: SpotStorm, site: Site) -> Process:
    within = site.pools_in(failure.zones or site.zones)
    pools = [pool for pool in within if site.notice_s[pool] is not None]
    hit = {node: pool for pool in pools for node in site.fleet.serving([pool]) if site.position(node) < failure.share}
    nodes = sorted(hit)
    site.hit(failure, nodes)
    site.fleet.close(pools)
    for number, node in enumerate(nodes):
        delay_s = failure.over_s * number / len(nodes)
        site.env.timeout(delay_s).callbacks.append(
            lambda _, node=node, notice_s=site.notice_s[hit[node]]: site.fleet.notice(  # type: ignore[misc]
                node, notice_s, "taken back in a storm"
            )
        )
    yield site.env.timeout(failure.duration_s)
    site.fleet.reopen(pools)


@happens.register
def _(failure: NodeLoss, site: Site) -> Process:
    ready = site.fleet.serving(range(len(site.zones)))
    order = np.argsort([site.position(node) for node in ready], kind="stable")
    nodes = sorted(ready[index] for index in order[: math.ceil(failure.share * len(ready) - 1e-9)])
    site.hit(failure, nodes)
    site.fleet.kill(nodes, "died")
    yield from ()


@happens.register
def _(failure: RollingDeploy, site: Site) -> Process:
    fleet = site.fleet
    old = fleet.serving(range(len(site.zones)))
    site.hit(failure, old)
    surge = max(1, math.ceil(failure.surge * len(old) - 1e-9))
    fleet.add_surge(surge)
    for first in range(0, len(old), surge):
        yield from _until_ready(site)
        fleet.replace(
            old[first : first + surge], "replaced", migrate=failure.migrate, deadline_s=failure.drain_deadline_s
        )
    yield from _until_ready(site)
    fleet.add_surge(-surge, deadline_s=failure.drain_deadline_s)


def _until_ready(site: Site) -> Process:
    """Wait until nothing boots any more, and until as many are ready as are wanted.

    A surge that cannot be had is not waited for: then the fleet lacks as many nodes for a while, and never more.
    """
    while site.fleet.booting or site.fleet.ready < site.fleet.wanted_nodes:
        yield site.env.timeout(POLL_S)
