"""What a CDN cache fetches from the next tier, and what it answers itself: one class for each policy.

Expected values for Poisson requests. A segment is asked for once by each viewer, at any moment of the segment's
length alike, and nothing is evicted from a window that is seconds long. A playlist lives for its TTL T after a fill
that takes the fill latency L, so that at λ requests per second a cycle has 1 + λ(L + T) of them (renewal argument, as
for TTL caches in Jiang, Nain & Towsley 2018). The shield is a cache as each cluster is, and as far from its next tier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from scenarios.cache_policy import CachePolicy, Collapsed, FixedRatio, Uncollapsed
from sim.sampling import Floats


class Times(NamedTuple):
    """What a cache's results depend on."""

    segment_s: float
    fill_latency_s: float
    playlist_ttl_s: float


class Answered(NamedTuple):
    """Playlist requests that are not fetched: `each` × `hit` are hits, `each` × `delayed` wait for a fetch.

    One array and two factors, because adding arrays up is what a tick costs.
    """

    each: Floats
    hit: float
    delayed: float


class Cache(Protocol):
    """A policy; arrays hold one value for each object at each cache, or for each object at the shield."""

    def segment_fetches(self, viewers: Floats) -> Floats:
        """Return the fetches of one segment by clusters with so many viewers of it."""

    def shield_segment_fetches(self, viewers: Floats) -> Floats:
        """Return the fetches of one segment by the shield, given its viewers on all clusters together."""

    def absent(self, viewers: Floats) -> Floats:
        """Return the probability that a segment is not in a cluster's cache, where it has so many viewers."""

    def playlist_fetches(self, asked: Floats) -> Floats:
        """Return the fetches of a playlist by clusters, both per second."""

    def playlist_answers(self, asked: Floats, fetched: Floats) -> Answered:
        """Return what becomes of all other requests, per second; may write into `asked`."""

    def shield_playlist_fetches(self, asked: Floats, fetched: Floats) -> Floats:
        """Return the fetches of playlists by the shield per second, shape (objects,).

        Args:
            asked: requests at each cluster per second, shape (objects, clusters).
            fetched: what `playlist_fetches` says of them, the same shape.
        """


def segment_fills(viewers: Floats) -> Floats:
    """Return the probability 1 - e^-n that somebody asks, of Poisson(`viewers`)."""
    missing = np.negative(viewers)
    np.expm1(missing, out=missing)
    return np.negative(missing, out=missing)


class CollapsingCache:
    """Of all requests for an object that is not there one fetches it, the others wait and are delayed hits."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._kept_s = times.fill_latency_s + times.playlist_ttl_s

    def segment_fetches(self, viewers: Floats) -> Floats:
        """1 - e^-n: once, if there is any viewer."""
        return segment_fills(viewers)

    def shield_segment_fetches(self, viewers: Floats) -> Floats:
        """The same with all viewers: the first request of all is the first one at its cluster, and passes it."""
        return self.segment_fetches(viewers)

    def absent(self, viewers: Floats) -> Floats:
        """e^-n: nobody has asked for it."""
        nobody: Floats = np.exp(np.negative(viewers))
        return nobody

    def playlist_fetches(self, asked: Floats) -> Floats:
        """One a cycle: λ / (1 + λ(L + T))."""
        cycles = asked * self._kept_s  # in place from here on: these arrays are what a tick costs
        cycles += 1.0
        fetched: Floats = np.divide(asked, cycles, out=cycles)
        return fetched

    def playlist_answers(self, asked: Floats, fetched: Floats) -> Answered:
        """λT of a cycle are hits, λL wait."""
        each = np.multiply(asked, fetched, out=asked)
        return Answered(each, hit=self._times.playlist_ttl_s, delayed=self._times.fill_latency_s)

    def shield_playlist_fetches(self, asked: Floats, fetched: Floats) -> Floats:
        """As at a cluster: what all clusters fetch comes as Poisson requests."""
        return CollapsingCache.playlist_fetches(self, fetched @ np.ones(fetched.shape[1]))


class UncollapsedCache(CollapsingCache):
    """Whoever asks before the first fetch is done fetches as well.

    The first fetch starts the TTL. A cache whose last one starts it again, as nginx, keeps a playlist up to L longer.
    """

    def __init__(self, times: Times) -> None:
        super().__init__(times)
        self._filling = min(1.0, times.fill_latency_s / times.segment_s)

    def segment_fetches(self, viewers: Floats) -> Floats:
        """For l = L ÷ the segment's length, at most 1: n l + 1 - e^-n(1 - l).

        A request hits if another one came L or more before it. None of the n l of the first L does, and one that comes
        x after them misses with the probability e^-(n x / length) that nobody came in those x; that sums to
        1 - e^-n(1 - l). At the shield it is the same with all viewers: what it would pass on, no cluster can have had.
        """
        late = segment_fills(viewers * (1.0 - self._filling))
        late += viewers * self._filling
        return late

    def playlist_fetches(self, asked: Floats) -> Floats:
        """1 + λL a cycle."""
        fetched = asked * self._times.fill_latency_s
        fetched += 1.0
        fetched *= super().playlist_fetches(asked)
        return fetched

    def playlist_answers(self, asked: Floats, fetched: Floats) -> Answered:
        """λT of a cycle are hits; nobody waits."""
        each = super().playlist_fetches(asked)
        return Answered(np.multiply(asked, each, out=asked), hit=self._times.playlist_ttl_s, delayed=0.0)

    def shield_playlist_fetches(self, asked: Floats, fetched: Floats) -> Floats:
        """Return the fetches of a shield that the bursts of clusters reach, shape (objects,).

        The cluster j that starts a fill of the shield is empty and fresh when the shield is: as long as the shield is
        not fresh, all of its λ_j come through, and of the other clusters what they fetch in the mean, R - r_j. So the
        shield sees ρ_j = R + λ_j - r_j, and a cycle of 1/ρ_j + L + T with 1 + ρ_j L fetches. The next fill is started
        by one of these in proportion, so that over many cycles j starts r_j ρ_j ÷ Σ r ρ of them. Exact for one
        cluster; taking all clusters' fetches for Poisson ones would be several times too low for popular broadcasts.
        """
        fill_s, all_fetched = self._times.fill_latency_s, fetched.sum(axis=1, keepdims=True)
        seen = all_fetched + asked - fetched
        passed = (fetched * seen * (1.0 + seen * fill_s)).sum(axis=1)
        per_s = (fetched * (1.0 + seen * self._kept_s)).sum(axis=1)
        rates: Floats = np.divide(passed, per_s, out=np.zeros_like(passed), where=per_s > 0)
        return rates


class FixedRatioCache(CollapsingCache):
    """A share of requests hits, whatever is asked; the shield collapses the others, which are Poisson as well."""

    def __init__(self, times: Times, segment_hit_ratio: float, playlist_hit_ratio: float) -> None:
        super().__init__(times)
        self._segment_hit, self._playlist_hit = segment_hit_ratio, playlist_hit_ratio

    def segment_fetches(self, viewers: Floats) -> Floats:
        """All but the hits."""
        return viewers * (1.0 - self._segment_hit)

    def shield_segment_fetches(self, viewers: Floats) -> Floats:
        """Once, if any cluster missed it."""
        return segment_fills(self.segment_fetches(viewers))

    def absent(self, viewers: Floats) -> Floats:
        """Who starts at another cluster is served as everybody else."""
        return np.ones_like(viewers)

    def playlist_fetches(self, asked: Floats) -> Floats:
        """All but the hits."""
        return asked * (1.0 - self._playlist_hit)

    def playlist_answers(self, asked: Floats, fetched: Floats) -> Answered:
        """The typed share hits; nobody waits."""
        return Answered(asked, hit=self._playlist_hit, delayed=0.0)


CACHES: dict[type, Callable[..., Cache]] = {
    Collapsed: lambda policy, times: CollapsingCache(times),
    Uncollapsed: lambda policy, times: UncollapsedCache(times),
    FixedRatio: lambda policy, times: FixedRatioCache(times, policy.segment_hit_ratio, policy.playlist_hit_ratio),
}


def cache(policy: CachePolicy, times: Times) -> Cache:
    """Return the cache that a scenario names."""
    return CACHES[type(policy)](policy, times)
