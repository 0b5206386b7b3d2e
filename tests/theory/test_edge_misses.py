"""Misses with request collapsing: the CDN component against closed forms, a per-request twin and a planted mistake."""

from __future__ import annotations

import numpy as np
import pytest
import simpy
from profiles import LADDER

from scenarios.platform import Cdn as CdnSpec
from sim.components.cdn import Cdn
from sim.sampling import stream
from sim.theory import edge_misses, edge_misses_of, ttl_fractions

SHARES = {"720p30": 1.0, "480p30": 0.0}


def served(viewers: float, tick_s: float = 2.0, *, rungs: dict[str, float] = SHARES, **changes):
    spec = CdnSpec(**({"clusters": 20} | changes))
    return Cdn(spec, LADDER, rungs).serve(np.array([viewers]), tick_s)


def test_published_uniform_case():
    """V21: 60 viewers (Poisson) on 20 edges miss 19.00426 times a segment, hit ratio 0.683262."""
    one = served(60.0)
    assert one.segment_misses == pytest.approx(19.00426, abs=5e-6)
    assert one.segment_hits / one.segment_requests == pytest.approx(0.683262, abs=5e-7)
    assert one.segment_misses == pytest.approx(edge_misses(60.0, np.full(20, 1 / 20)), rel=1e-12)
    assert one.segment_origin_fetches == pytest.approx(1.0, abs=1e-12)


def test_published_case_of_a_number_of_viewers_that_is_known():
    """V21: exactly 60 viewers miss 19.07860 times, hit ratio 0.682023; Poisson viewers a little less."""
    exactly = edge_misses_of(60, np.full(20, 1 / 20))
    assert exactly == pytest.approx(19.07860, abs=5e-6)
    assert 1 - exactly / 60 == pytest.approx(0.682023, abs=5e-7)
    assert served(60.0).segment_misses != pytest.approx(exactly, rel=2e-3)
    assert served(60.0).segment_misses == pytest.approx(exactly, rel=5e-3)


@pytest.mark.parametrize("exponent", [0.3, 0.9, 1.5])
@pytest.mark.parametrize("viewers", [0.5, 60.0, 5000.0])
def test_zipf_clusters(viewers, exponent):
    share = np.arange(1, 21) ** -exponent
    one = served(viewers, cluster_exponent=exponent)
    assert one.segment_misses == pytest.approx(edge_misses(viewers, share / share.sum()), rel=1e-12)
    assert one.segment_misses <= min(viewers, 20)


def test_clusters_from_zero_are_caught():
    """The planted mistake: shares by (rank + 1)^-α, as if ranks began at 0."""
    share = np.arange(2, 22) ** -0.9
    wrong = edge_misses(60.0, share / share.sum())
    assert served(60.0, cluster_exponent=0.9).segment_misses != pytest.approx(wrong, rel=0.01)


def test_each_rung_is_an_object_of_its_own():
    """n w_q instead of n; the planted mistake takes all rungs for one object."""
    shares = {"720p30": 0.7, "480p30": 0.3}
    one, cluster = served(60.0, rungs=shares, cluster_exponent=0.9), np.arange(1, 21) ** -0.9
    cluster /= cluster.sum()
    expected = [edge_misses(60.0 * share, cluster) for share in shares.values()]
    assert one.segment_misses == pytest.approx(sum(expected), rel=1e-12)
    missed = sum(fetches * rung.bitrate_bps / 4 for fetches, rung in zip(expected, LADDER.rungs, strict=True))
    assert one.egress_missed_bytes - one.playlist_misses * 600 == pytest.approx(missed, rel=1e-12)
    assert one.segment_misses != pytest.approx(edge_misses(60.0, cluster), rel=0.05)


@pytest.mark.parametrize("viewers", [0.2, 1.0, 8.0])
def test_the_shield_fetches_once_for_all_clusters(viewers):
    """1 - e^-n; the planted mistakes add clusters up, or take the misses of clusters for Poisson ones."""
    one, alone = served(viewers), served(viewers, shield=False)
    assert one.segment_origin_fetches == pytest.approx(-np.expm1(-viewers), rel=1e-12)
    assert alone.segment_origin_fetches == pytest.approx(edge_misses(viewers, np.full(20, 1 / 20)), rel=1e-12)
    thinned = -np.expm1(-alone.segment_origin_fetches)
    assert one.segment_origin_fetches != pytest.approx(alone.segment_origin_fetches, rel=1e-3)
    assert one.segment_origin_fetches != pytest.approx(thinned, rel=1e-5)


@pytest.mark.parametrize(("ttl_s", "fill_s"), [(1.0, 0.1), (2.0, 0.5), (0.0, 0.2)])
@pytest.mark.parametrize("viewers", [0.4, 3.0, 200.0])
def test_playlist_fractions(viewers, ttl_s, fill_s):
    one = served(viewers, clusters=1, playlist_ttl_s=ttl_s, fill_latency_s=fill_s)
    expected = ttl_fractions(viewers / 2, ttl_s, fill_s)
    assert sum(expected) == pytest.approx(1.0, rel=1e-12)
    found = one.playlist_misses, one.playlist_delayed_hits, one.playlist_hits
    np.testing.assert_allclose(np.array(found) / one.playlist_requests, expected, rtol=1e-12)
    from_the_request = ttl_fractions(viewers / 2, max(0.0, ttl_s - fill_s), fill_s)  # a TTL that runs during the fill
    assert one.playlist_misses / one.playlist_requests != pytest.approx(from_the_request.fills, rel=1e-4) or ttl_s == 0


def test_playlists_meet_at_the_shield_as_poisson_requests():
    """Fills of 20 clusters arrive at the shield at their summed rate, and find an object with the same TTL there."""
    one = served(50.0, tick_s=1.0)
    arriving = 20 * (50 / 20 / 2) * ttl_fractions(50 / 20 / 2, 1.0, 0.1).fills
    assert one.playlist_misses == pytest.approx(arriving, rel=1e-12)
    assert one.playlist_origin_fetches == pytest.approx(arriving * ttl_fractions(arriving, 1.0, 0.1).fills, rel=1e-12)
    assert one.playlist_origin_fetches != pytest.approx(arriving, rel=0.5)  # without a shield


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
