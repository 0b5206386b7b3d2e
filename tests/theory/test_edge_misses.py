"""Misses with request collapsing: the CDN component against closed forms, a per-request twin and a planted mistake."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from profiles import LADDER

from scenarios.platform import Cdn as CdnSpec
from sim.components.cdn import Cdn
from sim.sampling import stream
from sim.theory import edge_misses

SHARES = {"720p30": 1.0, "480p30": 0.0}


def served(viewers: float, tick_s: float = 2.0, **changes):
    spec = CdnSpec(**({"clusters": 20} | changes))
    return Cdn(spec, LADDER, SHARES).serve(np.array([viewers]), tick_s)


def test_published_uniform_case():
    """V21: 60 viewers (Poisson) on 20 edges miss 19.00426 times a segment, hit ratio 0.683262."""
    one = served(60.0)
    assert one.segment_misses == pytest.approx(19.00426, abs=5e-6)
    assert one.segment_hits / one.segment_requests == pytest.approx(0.683262, abs=5e-7)
    assert one.segment_misses == pytest.approx(edge_misses(60.0, np.full(20, 1 / 20)), rel=1e-12)
    assert one.segment_origin_fetches == pytest.approx(1.0, abs=1e-12)


def test_zipf_clusters():
    share = np.arange(1, 21) ** -0.9
    one = served(60.0, cluster_exponent=0.9)
    assert one.segment_misses == pytest.approx(edge_misses(60.0, share / share.sum()), rel=1e-12)


def requests_twin(viewers: float, clusters: int, segments: int, *, collapse: bool, fill_s: float) -> float:
    """A slow twin, request by request: return misses per segment.

    Each segment, a Poisson number of viewers asks for it at random moments of its 2 s, each at a random cluster;
    a request finds it cached, finds it being fetched, or starts a fetch.
    """
    env, rng = simpy.Environment(), stream(5, 0, "twin")
    fetches = 0

    def viewer(cache: dict[int, str], delay_s: float, cluster: int):
        nonlocal fetches
        yield env.timeout(delay_s)
        state = cache.get(cluster)
        if state == "cached" or (state == "fetching" and collapse):
            return
        fetches += 1
        cache[cluster] = "fetching"
        yield env.timeout(fill_s)
        cache[cluster] = "cached"

    for _ in range(segments):
        cache: dict[int, str] = {}
        for _ in range(rng.poisson(viewers)):
            env.process(viewer(cache, rng.uniform(0, 2), int(rng.integers(clusters))))
        env.run()
    return fetches / segments


def test_per_request_twin_agrees():
    segments = 1500
    twin = requests_twin(60.0, 20, segments, collapse=True, fill_s=0.3)
    per_cluster = np.exp(-60 / 20)
    half = 3.3 * np.sqrt(20 * per_cluster * (1 - per_cluster) / segments)
    assert abs(twin - served(60.0).segment_misses) < half


def test_twin_without_collapsing_is_caught():
    twin = requests_twin(60.0, 20, 300, collapse=False, fill_s=0.3)
    assert twin > 1.1 * served(60.0).segment_misses


def playlist_twin(rate_per_s: float, ttl_s: float, fill_s: float, horizon_s: float) -> tuple[float, float, float]:
    """Return (hits, delayed hits, fills) per second of one cached playlist under Poisson requests."""
    rng = stream(6, 0, "twin")
    at_s, fresh_from_s, fresh_until_s = 0.0, -1.0, -1.0
    counts = [0, 0, 0]
    while at_s < horizon_s:
        at_s += rng.exponential(1 / rate_per_s)
        if at_s >= fresh_until_s:
            fresh_from_s, fresh_until_s = at_s + fill_s, at_s + fill_s + ttl_s
            counts[2] += 1
        else:
            counts[1 if at_s < fresh_from_s else 0] += 1
    hits, delayed, fills = (count / horizon_s for count in counts)
    return hits, delayed, fills


def test_playlists_are_a_renewal_process():
    """3 viewers on one cluster poll every 2 s: 1.5 requests/s; TTL 1 s, fill 0.1 s."""
    one = served(3.0, tick_s=1.0, clusters=1, playlist_ttl_s=1.0, fill_latency_s=0.1)
    hits, delayed, fills = playlist_twin(1.5, 1.0, 0.1, 40_000.0)
    assert hits == pytest.approx(one.playlist_hits, rel=0.03)
    assert delayed == pytest.approx(one.playlist_delayed_hits, rel=0.05)
    assert fills == pytest.approx(one.playlist_misses, rel=0.03)
    assert fills != pytest.approx(1.5 / (1 + 1.5 * 1.0), rel=0.03)  # the fill latency forgotten


def test_no_viewer_no_fetch():
    one = served(0.0)
    assert one.segment_misses == one.playlist_misses == one.egress_bytes == 0.0
