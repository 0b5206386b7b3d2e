"""Caches that do not collapse requests, and caches with a typed hit ratio: closed forms against request by request."""

from __future__ import annotations

import numpy as np
import pytest
from profiles import LADDER

from scenarios.platform import Cdn as CdnSpec
from sim.components.cdn import Cdn
from sim.sampling import stream
from sim.theory import edge_misses, ttl_fractions

ONE_RUNG = {"720p30": 1.0, "480p30": 0.0}
SEGMENT_S = LADDER.segment_s
UNCOLLAPSED = {"kind": "uncollapsed"}


def served(viewers: float, policy=UNCOLLAPSED, tick_s: float = SEGMENT_S, **changes):
    spec = CdnSpec(**({"clusters": 20, "policy": policy} | changes))
    return Cdn(spec, LADDER, ONE_RUNG).serve(np.array([viewers]), tick_s)


def passed_on(at_s: np.ndarray, fill_s: float, kept_s: float, started_s: float | None = None) -> np.ndarray:
    """Return the requests, moments in order, that a cache without request collapsing sends to the next tier.

    It asks there until its first fetch is done after `fill_s`, and answers itself for `kept_s` from then on.
    """
    on = np.zeros(at_s.size, bool)
    for number, now_s in enumerate(at_s.tolist()):
        if started_s is None or now_s >= started_s + fill_s + kept_s:
            started_s = now_s
        on[number] = now_s < started_s + fill_s
    return at_s[on]


def segments_twin(viewers: float, shares: np.ndarray, fill_s: float, segments: int) -> np.ndarray:
    """Return the fetches of each segment at clusters and at the shield, shape (segments, 2), request by request."""
    rng, found = stream(11, 0, "segments"), []
    for _ in range(segments):
        by_cluster = [np.sort(rng.random(count) * SEGMENT_S) for count in rng.poisson(viewers * shares)]
        missed = np.sort(np.concatenate([passed_on(at_s, fill_s, np.inf) for at_s in by_cluster]))
        found.append((missed.size, passed_on(missed, fill_s, np.inf).size))
    return np.array(found)


@pytest.mark.parametrize(("viewers", "fill_s"), [(3.0, 0.1), (60.0, 0.3), (60.0, 1.2), (9.0, 2.5)])
@pytest.mark.parametrize("exponent", [0.0, 0.9])
def test_segments_that_are_not_collapsed(viewers, fill_s, exponent):
    """Within 3.3 errors at clusters and shield; all that asks while a fetch is under way is fetched."""
    shares = np.arange(1, 9) ** -exponent
    shares /= shares.sum()
    one = served(viewers, clusters=8, cluster_exponent=exponent, fill_latency_s=fill_s)
    twin = segments_twin(viewers, shares, fill_s, 1500)
    half = 3.3 * twin.std(axis=0) / np.sqrt(len(twin))
    found = np.array([one.segment_misses, one.segment_origin_fetches])
    assert np.all(np.abs(twin.mean(axis=0) - found) < half)
    assert one.segment_hits + one.segment_misses == pytest.approx(one.segment_requests, rel=1e-12)
    assert one.playlist_delayed_hits == 0.0


def test_a_fetch_that_outlives_its_segment_is_caught():
    """Planted: 1 + λL requests for each first one, as for a playlist, also where the segment ends meanwhile."""
    twin = segments_twin(8.0, np.full(8, 1 / 8), 1.2, 1500)[:, 0]
    half, wrong = 3.3 * twin.std() / np.sqrt(twin.size), 8 * -np.expm1(-1.0) * (1 + 1.2 / SEGMENT_S)
    assert served(8.0, clusters=8, fill_latency_s=1.2).segment_misses == pytest.approx(twin.mean(), abs=half)
    assert wrong > twin.mean() + 2 * half


def test_a_fill_of_no_time_collapses_and_one_of_a_whole_segment_lets_everybody_through():
    for shield in (True, False):
        quick = served(60.0, fill_latency_s=0.0, shield=shield)
        collapsed = served(60.0, {"kind": "collapsed"}, fill_latency_s=0.0, shield=shield)
        np.testing.assert_allclose(quick, collapsed, rtol=6e-3 if shield else 1e-12)  # bursts are in one formula alone
    slow = served(60.0, fill_latency_s=SEGMENT_S)
    assert slow.segment_misses == slow.segment_origin_fetches == pytest.approx(60.0, rel=1e-12)
    assert served(60.0).segment_misses == pytest.approx(3.0 + edge_misses(57.0, np.full(20, 1 / 20)), rel=1e-12)


@pytest.mark.parametrize(("ttl_s", "fill_s"), [(1.0, 0.1), (2.0, 0.5), (0.0, 0.2)])
@pytest.mark.parametrize("viewers", [0.4, 3.0, 200.0])
def test_playlists_have_1_plus_rate_times_fill_fetches_a_cycle(viewers, ttl_s, fill_s):
    one = served(viewers, clusters=1, playlist_ttl_s=ttl_s, fill_latency_s=fill_s)
    expected = ttl_fractions(viewers / SEGMENT_S, ttl_s, fill_s)
    assert one.playlist_misses / one.playlist_requests == pytest.approx(
        expected.fills + expected.delayed_hits, rel=1e-12
    )
    assert one.playlist_hits / one.playlist_requests == pytest.approx(expected.hits, rel=1e-12)


def playlists_twin(viewers: float, shares: np.ndarray, fill_s: float, ttl_s: float) -> tuple[float, float]:
    """Return the fetches per second of clusters and of the shield, of some 100,000 requests at Poisson moments."""
    rng, rates = stream(12, 0, "playlists"), viewers / SEGMENT_S * shares
    horizon_s = 1e5 / rates.sum()
    missed = []
    for rate in rates.tolist():
        at_s = np.sort(rng.random(rng.poisson(rate * horizon_s)) * horizon_s)
        missed.append(passed_on(at_s, fill_s, ttl_s, started_s=-rng.random() * (fill_s + ttl_s)))
    arriving = np.sort(np.concatenate(missed))
    return arriving.size / horizon_s, passed_on(arriving, fill_s, ttl_s).size / horizon_s


@pytest.mark.parametrize("clusters", [1, 8, 24])
@pytest.mark.parametrize("viewers", [2.0, 40.0, 200.0])
def test_bursts_of_clusters_meet_at_the_shield(clusters, viewers):
    """Exact for one cluster, within a tenth for equal ones; planted: their fetches as Poisson ones."""
    one = served(viewers, tick_s=1.0, clusters=clusters)
    at_clusters, at_origin = playlists_twin(viewers, np.full(clusters, 1 / clusters), 0.1, 1.0)
    assert one.playlist_misses == pytest.approx(at_clusters, rel=0.03)
    assert one.playlist_origin_fetches == pytest.approx(at_origin, rel=0.03 if clusters == 1 else 0.1)
    thinned = ttl_fractions(one.playlist_misses, 1.0, 0.1)
    poisson = one.playlist_misses * (thinned.fills + thinned.delayed_hits)
    assert clusters == 24 or viewers == 2.0 or poisson < 0.9 * at_origin


def test_unequal_clusters_of_a_popular_broadcast_are_the_hardest_case():
    """A quarter low where one of 8 clusters has a third of the viewers; Poisson fetches would be less than half."""
    shares = np.arange(1, 9) ** -0.9
    shares /= shares.sum()
    one = served(200.0, tick_s=1.0, clusters=8, cluster_exponent=0.9)
    at_clusters, at_origin = playlists_twin(200.0, shares, 0.1, 1.0)
    assert one.playlist_misses == pytest.approx(at_clusters, rel=0.03)
    assert 0.7 * at_origin < one.playlist_origin_fetches < at_origin


def fixed(**changes):
    policy = {"kind": "fixed_ratio", "segment_hit_ratio": 0.95, "playlist_hit_ratio": 0.8}
    return served(60.0, policy, **changes)


def test_a_typed_ratio_is_what_comes_out():
    one = fixed(shield=False)
    assert one.segment_hits == pytest.approx(0.95 * one.segment_requests, rel=1e-12)
    assert one.playlist_hits == pytest.approx(0.8 * one.playlist_requests, rel=1e-12)
    assert one.segment_origin_fetches == one.segment_misses == pytest.approx(3.0)
    assert one.playlist_origin_fetches == one.playlist_misses == pytest.approx(12.0)
    assert served(60.0, shield=False).segment_misses != pytest.approx(one.segment_misses, rel=0.5)


def test_the_shield_of_a_typed_ratio_collapses_what_clusters_miss():
    """Request by request: each of 60 viewers misses with 5 %; planted: the shield fetches as if all came to it."""
    one, rng = fixed(), stream(13, 0, "typed")
    some = rng.binomial(rng.poisson(60.0, 40_000), 0.05) > 0
    half = 3.3 * some.std() / np.sqrt(some.size)
    assert one.segment_origin_fetches == pytest.approx(some.mean(), abs=half)
    assert -np.expm1(-60.0) > some.mean() + half
    arriving = 0.2 * 60.0 / SEGMENT_S
    expected = arriving * ttl_fractions(arriving, 1.0, 0.1).fills
    assert fixed(tick_s=1.0).playlist_origin_fetches == pytest.approx(expected, rel=1e-12)
