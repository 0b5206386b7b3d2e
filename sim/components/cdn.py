"""CDN clusters with request collapsing, and one shield: hit ratios are results.

A live segment is fetched once by each cluster that has at least one viewer of its rung while it is current;
everybody else of that cluster is served from the cache or waits for that one fetch. With a Poisson number of
viewers of mean n on a cluster, a cluster fetches it with probability 1 - e^-n. The window of a live stream is
tiny, so nothing is evicted. A playlist lives for its TTL after a fill that takes the fill latency: with Poisson
requests of rate λ, a cycle has 1 + λ(fill + TTL) requests, of which one fills, λ·fill wait and λ·TTL hit
(renewal argument, as for TTL caches in Jiang, Nain & Towsley 2018).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenarios.ladder import Ladder
from scenarios.platform import Cdn as CdnSpec
from sim.sampling import Floats


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


def segment_fills(viewers: Floats) -> Floats:
    """Return the expected fetches of one segment by caches with Poisson(`viewers`) viewers each."""
    return -np.expm1(-viewers)


class Cdn:
    """The delivery side: viewers by broadcast in, requests, fetches and bytes out."""

    def __init__(self, spec: CdnSpec, ladder: Ladder, rung_shares: dict[str, float]) -> None:
        self._spec, self._segment_s = spec, ladder.segment_s
        rank = np.arange(1, spec.clusters + 1)
        weight = rank**-spec.cluster_exponent
        self._cluster_share = weight / weight.sum()
        self._rung_share = np.array([rung_shares[rung.name] for rung in ladder.rungs])
        self._segment_bytes = np.array([rung.bitrate_bps for rung in ladder.rungs]) * ladder.segment_s / 8

    def serve(self, viewers: Floats, tick_s: float) -> Served:
        """Return what a tick asks of the CDN.

        Args:
            viewers: served viewers of each broadcast, shape (broadcasts,). The work is linear in
                broadcasts × rungs × clusters.
            tick_s: length of the tick, over which the viewers are held.
        """
        periods = tick_s / self._segment_s
        on_rung = viewers[:, None] * self._rung_share
        on_cluster = on_rung[:, :, None] * self._cluster_share
        requests = on_cluster.sum(axis=(0, 2)) * periods
        fills = segment_fills(on_cluster)
        misses = fills.sum(axis=(0, 2)) * periods
        hits = (on_cluster - fills).sum() * periods
        shield_fills = segment_fills(on_rung).sum(axis=0) * periods if self._spec.shield else misses
        playlists = self._playlists(on_cluster, tick_s)
        segment_bytes, playlist_bytes = self._segment_bytes, self._spec.playlist_bytes
        return Served(
            float(requests.sum()),
            float(hits),
            float(misses.sum()),
            float(shield_fills.sum()),
            *playlists,
            float(requests @ segment_bytes) + playlists[0] * playlist_bytes,
            float(misses @ segment_bytes) + playlists[3] * playlist_bytes,
            float(shield_fills @ segment_bytes) + playlists[4] * playlist_bytes,
        )

    def _playlists(self, on_cluster: Floats, tick_s: float) -> tuple[float, float, float, float, float]:
        """Return requests, hits, delayed hits, fills by clusters and fetches from the origin."""
        spec = self._spec
        rate = on_cluster / self._segment_s
        cycles = rate / (1.0 + rate * (spec.fill_latency_s + spec.playlist_ttl_s))
        hits = (cycles * rate).sum() * spec.playlist_ttl_s
        delayed = (cycles * rate).sum() * spec.fill_latency_s
        origin = cycles.sum()
        if spec.shield:
            arriving = cycles.sum(axis=2)
            origin = (arriving / (1.0 + arriving * (spec.fill_latency_s + spec.playlist_ttl_s))).sum()
        counts = (rate.sum(), hits, delayed, cycles.sum(), origin)
        requests, hits, delayed, fills, origin = (float(count) * tick_s for count in counts)
        return requests, hits, delayed, fills, origin
