"""CDN clusters and one shield: requests, fetches and bytes of a tick. What a cache fetches is `sim.components.cache`.

Inside a cluster consistent hashing gives each segment to one edge, so that the cluster is the cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from scenarios.ladder import Ladder, Source
from scenarios.platform import Cdn as CdnSpec
from sim.cluster_shares import ClusterShares
from sim.components.cache import Times, cache
from sim.crowds import Integers, crowds
from sim.rung_shares import renditions
from sim.sampling import Floats

EXACT_UP_TO = 60_000
"""Broadcasts × rungs × clusters up to which each broadcast is taken alone."""


class Served(NamedTuple):
    """Requests and bytes of one tick, expected values; each field is counted by its own expression."""

    segment_requests: float
    segment_hits: float
    segment_misses: float
    segment_origin_fetches: float
    playlist_requests: float
    playlist_hits: float
    playlist_delayed_hits: float
    playlist_misses: float
    playlist_origin_fetches: float
    egress_bytes: float
    egress_missed_bytes: float
    origin_egress_bytes: float
    segment_cold_fills: float
    """Of the misses, those of players who came to a cluster that had not had their rung."""
    busiest_edge_egress_bytes: float


class _Flow:
    """Expected counts of a tick while they are added up, by rendition and cluster."""

    def __init__(self, renditions: int, clusters: int) -> None:
        shape = (renditions, clusters)
        self.requests, self.misses, self.squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.hits = self.cold_fills = 0.0
        self.shield_fills = np.zeros(renditions)
        self.playlist_requests, self.playlist_fills = np.zeros(clusters), np.zeros(clusters)
        self.playlist_hits = self.playlist_delayed = self.playlist_origin = 0.0


class Cdn:
    """The delivery side: viewers by broadcast in, requests, fetches and bytes out.

    Up to `exact_up_to` broadcasts × rungs × clusters the closed forms are taken for each of them; beyond, for groups of
    broadcasts with about as many viewers and one home (`sim.crowds`), within 5e-5 of the exact totals and 1e-4 of each
    cluster's.

    Args:
        spec: clusters, shield and times.
        ladder: rungs and segments.
        rung_shares: share of viewers on each rung.
        source_bps: bitrate of what is passed on for a broadcast without a ladder; needed for `source_only`.
        sources: kinds of sources where there are several, each with the rungs that it leaves of the ladder
            (`sim.rung_shares`); instead of `source_bps`.
        regions: names of the regions that the columns of `mix` stand for, in their order.
        exact_up_to: see above.

    Raises:
        ValueError: clusters and viewers do not have the same regions.
    """

    def __init__(
        self,
        spec: CdnSpec,
        ladder: Ladder,
        rung_shares: dict[str, float],
        *,
        source_bps: float | None = None,
        sources: Sequence[Source] = (),
        regions: tuple[str, ...] = (),
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self._spec, self._segment_s = spec, ladder.segment_s
        self._cache = cache(spec.policy, Times(ladder.segment_s, spec.fill_latency_s, spec.playlist_ttl_s))
        self._exact_up_to = exact_up_to // (len(ladder.rungs) * spec.clusters)
        self._has_source = source_bps is not None or bool(sources)
        self._sources = max(1, len(sources))
        self._shares = ClusterShares(spec, regions)
        self._up_before: npt.NDArray[np.bool_] | None = None
        if sources:
            self._rung_share, bitrates = renditions(ladder, rung_shares, sources)
        else:
            shares = [rung_shares[rung.name] for rung in ladder.rungs]
            self._rung_share = np.array([[*shares, 0.0], [0.0] * len(shares) + [1.0]])
            bitrates = np.array([*(rung.bitrate_bps for rung in ladder.rungs), source_bps or 0.0])
        self._segment_bytes = bitrates * ladder.segment_s / 8

    @property
    def clusters_up(self) -> int:
        """Clusters that serve."""
        return int(self._shares.up.sum())

    def clusters_of(self, region: str) -> list[int]:
        """Return the clusters of a region; KeyError if it has none."""
        found: list[int] = self._shares.named(region).tolist()
        return found

    def lose(self, clusters: Iterable[int]) -> None:
        """Take clusters out; their viewers go to those that are left (`sim.cluster_shares`).

        A player that comes to a cluster starts at the back of the playlist: it asks for `start_segments` segments at
        once. Where a cluster had n viewers of a rung in the mean and now has n', the next `serve` counts, on top of the
        steady state, start_segments · (n' - n)⁺ requests. Where the rung was not in its cache these are fetched as
        those of n' - n viewers are: start_segments · (e^-n - e^-n')⁺ cold fills, where requests are collapsed.
        The shield has had all of them. Clusters that come back have n = 0: their caches are empty.

        Raises:
            ValueError: none would be left to serve.
        """
        self._turn(clusters, up=False)

    def cut_off(self, mix: Floats | None = None) -> Floats | None:
        """Return the share of each home's viewers that was on clusters lost since the last `serve`, shape (homes,).

        None if no cluster was lost. What becomes of these viewers is the caller's: `serve` takes who is served.
        """
        if self._up_before is None:
            return None
        lost = self._up_before & ~self._shares.up
        share: Floats = self._shares.of(mix, self._up_before)[:, lost].sum(axis=1)
        return share if lost.any() else None

    def bring_back(self, clusters: Iterable[int]) -> None:
        """Let clusters serve again, with empty caches."""
        self._turn(clusters, up=True)

    def _turn(self, clusters: Iterable[int], *, up: bool) -> None:
        before = self._shares.up
        self._shares.turn(clusters, up=up)
        if self._up_before is None:
            self._up_before = before

    def serve(
        self,
        viewers: Floats,
        tick_s: float,
        *,
        home: Integers | None = None,
        mix: Floats | None = None,
        source_only: npt.NDArray[np.bool_] | None = None,
        source: npt.NDArray[np.integer[Any]] | None = None,
    ) -> Served:
        """Return what a tick asks of the CDN.

        Args:
            viewers: served viewers of each broadcast, shape (broadcasts,). The work is linear in broadcasts, and in
                groups of them × rungs × clusters.
            tick_s: length of the tick, over which the viewers are held.
            home: region of each broadcast, a row of `mix`, the same shape; needed with `mix`.
            mix: share of viewers in each region for each home, shape (homes, regions).
            source_only: broadcasts without a ladder, all of whose viewers receive the source, the same shape.
            source: kind of source of each broadcast, the same shape; needed with `sources`.

        Raises:
            ValueError: `home` without `mix` or the other way round, `source_only` without `source_bps`, or `source`
                without `sources`.
        """
        self._require(home, mix, source_only, source)
        share = self._shares.of(mix)
        before = None if self._up_before is None else self._shares.of(mix, self._up_before)
        self._up_before = None
        groups = crowds(viewers, self._kind(home, source_only, source), exact_up_to=self._exact_up_to)
        flow = _Flow(self._segment_bytes.size, share.shape[1])
        for kind in groups.kinds:
            of_home, watching = divmod(kind, 2 * self._sources)
            arriving = None if before is None else np.maximum(share[of_home] - before[of_home], 0.0)
            self._add(flow, groups.of(kind), self._rung_share[watching], share[of_home], arriving, tick_s)
        return self._served(flow, tick_s)

    def edge_utilisation(self, served: Served, tick_s: float) -> float | None:
        """Return the busiest edge's egress ÷ its network over a tick; None if its network is not known."""
        if self._spec.edge_nic_bps is None:
            return None
        return served.busiest_edge_egress_bytes * 8.0 / tick_s / self._spec.edge_nic_bps

    def _require(self, home: object, mix: object, source_only: object, source: object) -> None:
        if (home is None) != (mix is None):
            raise ValueError("home and mix belong together: the row of mix that each broadcast has")
        if source_only is not None and not self._has_source:
            raise ValueError("source_only needs the bitrate of the source: Cdn(..., source_bps=...)")
        if (source is None) != (self._sources == 1):
            raise ValueError("source and sources belong together: the place in sources that each broadcast has")

    def _kind(
        self,
        home: Integers | None,
        source_only: npt.NDArray[np.bool_] | None,
        source: npt.NDArray[np.integer[Any]] | None,
    ) -> Integers | None:
        """Return a number for each home, source, and with or without a ladder; None if nothing tells them apart."""
        kind: Integers | None = None if home is None else home * (2 * self._sources)
        if source is not None:
            of_source: Integers = source.astype(int) * 2
            kind = of_source if kind is None else kind + of_source
        if source_only is not None:
            without: Integers = source_only.astype(int)
            kind = without if kind is None else kind + without
        return kind

    def _add(
        self,
        flow: _Flow,
        groups: tuple[Floats, Floats],
        rung_share: Floats,
        cluster_share: Floats,
        arriving: Floats | None,
        tick_s: float,
    ) -> None:
        """Count groups of one kind, given as viewers and broadcasts; `arriving` is n' - n of `lose` as a share."""
        viewers, broadcasts = groups
        watched, clusters = np.flatnonzero(rung_share), cluster_share.size
        on_rung = viewers[:, None] * rung_share[watched]
        on_cluster = viewers[:, None] * np.outer(rung_share[watched], cluster_share).ravel()
        weight = broadcasts * (tick_s / self._segment_s)
        fetches = self._cache.segment_fetches(on_cluster)
        flow.requests[watched] += (weight @ on_cluster).reshape(-1, clusters)
        flow.misses[watched] += (weight @ fetches).reshape(-1, clusters)
        flow.hits += float((weight @ (on_cluster - fetches)).sum())
        if self._spec.shield:
            flow.shield_fills[watched] += weight @ self._cache.shield_segment_fetches(on_rung)
        flow.squares[watched] += (weight @ viewers**2) * np.outer(rung_share[watched], cluster_share) ** 2
        self._add_playlists(flow, on_cluster, broadcasts, tick_s)
        if arriving is not None:
            moved = viewers[:, None] * np.outer(rung_share[watched], arriving).ravel()
            self._add_cold(flow, watched, on_cluster, moved, broadcasts)

    def _add_cold(self, flow: _Flow, watched: Integers, on_cluster: Floats, moved: Floats, broadcasts: Floats) -> None:
        """Count players who start again at another cluster, n' - n = `moved`."""
        weight = broadcasts * self._spec.start_segments
        cold = np.where(moved > 0, self._cache.absent(on_cluster - moved) * self._cache.segment_fetches(moved), 0.0)
        shape = watched.size, flow.playlist_fills.size
        flow.requests[watched] += (weight @ moved).reshape(shape)
        flow.misses[watched] += (weight @ cold).reshape(shape)
        flow.hits += float((weight @ (moved - cold)).sum())
        flow.cold_fills += float(weight @ cold.sum(axis=1))

    def _add_playlists(self, flow: _Flow, on_cluster: Floats, broadcasts: Floats, tick_s: float) -> None:
        weight, clusters = broadcasts * tick_s, flow.playlist_fills.size
        asked = on_cluster / self._segment_s
        fetched = self._cache.playlist_fetches(asked)
        flow.playlist_requests += (weight @ asked).reshape(-1, clusters).sum(axis=0)
        flow.playlist_fills += (weight @ fetched).reshape(-1, clusters).sum(axis=0)
        if self._spec.shield:
            by_object = asked.reshape(-1, clusters), fetched.reshape(-1, clusters)
            at_origin = self._cache.shield_playlist_fetches(*by_object).reshape(weight.size, -1)
            flow.playlist_origin += float((weight @ at_origin).sum())
        answered = self._cache.playlist_answers(asked, fetched)
        answers = float((weight @ answered.each).sum())
        flow.playlist_hits += answers * answered.hit
        flow.playlist_delayed += answers * answered.delayed

    def _served(self, flow: _Flow, tick_s: float) -> Served:
        segment_bytes, playlist_bytes = self._segment_bytes, self._spec.playlist_bytes
        misses = flow.misses.sum(axis=1)
        origin_fetches = flow.shield_fills if self._spec.shield else misses
        playlist_fills = float(flow.playlist_fills.sum())
        playlist_origin = flow.playlist_origin if self._spec.shield else playlist_fills
        cluster_bytes = segment_bytes @ flow.requests + flow.playlist_requests * playlist_bytes
        return Served(
            segment_requests=float(flow.requests.sum()),
            segment_hits=flow.hits,
            segment_misses=float(misses.sum()),
            segment_origin_fetches=float(origin_fetches.sum()),
            playlist_requests=float(flow.playlist_requests.sum()),
            playlist_hits=flow.playlist_hits,
            playlist_delayed_hits=flow.playlist_delayed,
            playlist_misses=playlist_fills,
            playlist_origin_fetches=playlist_origin,
            egress_bytes=float(cluster_bytes.sum()),
            egress_missed_bytes=float(misses @ segment_bytes) + playlist_fills * playlist_bytes,
            origin_egress_bytes=float(origin_fetches @ segment_bytes) + playlist_origin * playlist_bytes,
            segment_cold_fills=flow.cold_fills,
            busiest_edge_egress_bytes=self._busiest_edge(cluster_bytes, segment_bytes**2 @ flow.squares),
        )

    def _busiest_edge(self, cluster_bytes: Floats, squared_bytes: Floats) -> float:
        """Return the expected egress of the busiest edge of the busiest cluster.

        Each segment of B bytes in all goes to one of E edges at random, so an edge has the mean ΣB/E, the variance
        ΣB² (1/E)(1 - 1/E) and the correlation -1/(E - 1) with every other; the highest of E such normal values lies
        sqrt(ΣB²/E) Φ⁻¹((E - 3/8)/(E + 1/4)) above the mean (Blom 1958). Where a few broadcasts make up a cluster's
        egress the values are not normal, and this is a few per cent low.
        """
        edges = self._spec.edges_per_cluster
        above = special.ndtri((edges - 0.375) / (edges + 0.25)) if edges > 1 else 0.0
        return float((cluster_bytes / edges + above * np.sqrt(squared_bytes / edges)).max())
