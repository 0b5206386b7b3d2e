"""The CDN at its size: groups against every broadcast, regions, lost clusters, edges of a cluster, source only."""

from __future__ import annotations

import time

import numpy as np
import pytest
from profiles import LADDER
from pydantic import ValidationError

from scenarios.platform import Cdn as CdnSpec
from sim.cluster_shares import ClusterShares
from sim.components.cache import segment_fills
from sim.components.cdn import EXACT_UP_TO, Cdn
from sim.crowds import EXACT_UP_TO as ALONE_UP_TO
from sim.crowds import crowds
from sim.sampling import stream
from sim.theory import edge_misses

SHARES = {"720p30": 0.75, "480p30": 0.25}
REGIONS = ("east", "west")
NEVER = 10**9


def popular(broadcasts: int, viewers: float) -> np.ndarray:
    """Viewers of broadcasts of channels by Zipf-Mandelbrot, with noise."""
    rng = stream(3, 0, "popular")
    weight = (1 + np.floor(rng.random(broadcasts) * 162_625) + 76.3) ** -1.144
    return viewers * weight / weight.sum() * np.exp(0.3 * rng.standard_normal(broadcasts))


def cdn(*, exact_up_to: int = EXACT_UP_TO, shares=SHARES, source_bps=None, regions=(), **spec) -> Cdn:
    spec = CdnSpec(**({"clusters": 6, "cluster_exponent": 0.6} | spec))
    return Cdn(spec, LADDER, shares, source_bps=source_bps, regions=regions, exact_up_to=exact_up_to)


def regional(**spec) -> Cdn:
    by_cluster = ("east", "west", "east", "west", "east", "west")
    return cdn(cluster_regions=by_cluster, regions=REGIONS, **spec)


@pytest.mark.parametrize("viewers", [50.0, 20_000.0, 800_000.0])
@pytest.mark.parametrize(
    "more",
    [{}, {"clusters": 24}, {"shield": False}, {"policy": {"kind": "uncollapsed"}}],
    ids=["6 clusters", "24", "no shield", "not collapsed"],
)
def test_groups_give_what_every_broadcast_gives(viewers, more):
    audience = popular(15_000, viewers)
    exact, grouped = (cdn(exact_up_to=up_to, **more).serve(audience, 30.0) for up_to in (NEVER, EXACT_UP_TO))
    for name, one, other in zip(exact._fields, exact, grouped, strict=True):
        assert other == pytest.approx(one, rel=5e-5), name
    assert grouped != exact


@pytest.mark.parametrize("viewers", [50.0, 20_000.0, 800_000.0])
def test_groups_err_little_at_the_worst_cluster(viewers):
    audience = popular(15_000, viewers)
    groups = crowds(audience)
    assert groups.viewers.size < 512
    share = ClusterShares(CdnSpec(clusters=24, cluster_exponent=0.6), ()).of(None)[0]
    for cluster in share:
        assert groups.broadcasts @ segment_fills(groups.viewers * cluster) == pytest.approx(
            segment_fills(audience * cluster).sum(), rel=1e-4
        )


def test_groups_keep_every_viewer_and_the_middle_of_a_bin_would_not():
    audience = popular(15_000, 20_000.0)
    groups = crowds(audience)
    assert groups.broadcasts.sum() == audience.size
    assert groups.broadcasts @ groups.viewers == pytest.approx(audience.sum(), rel=1e-12)
    edges = np.exp(np.linspace(np.log(audience.min()), np.log(audience.max() * 1.0001), 200))
    middle = np.sqrt(edges[1:] * edges[:-1])[np.searchsorted(edges, audience, side="right") - 1]
    assert middle.sum() != pytest.approx(audience.sum(), rel=1e-7)


def test_few_broadcasts_are_taken_one_by_one():
    audience = popular(ALONE_UP_TO, 20_000.0)
    assert crowds(audience).broadcasts.tolist() == [1.0] * ALONE_UP_TO
    assert crowds(np.append(audience, 1.0)).viewers.size < ALONE_UP_TO
    assert crowds(np.zeros(0)).viewers.size == 0


def everything(audience: np.ndarray, exact_up_to: int):
    platform = regional(source_bps=6e6, exact_up_to=exact_up_to, edges_per_cluster=18.75)
    platform.lose([0])
    rng = stream(4, 0, "homes")
    return platform.serve(
        audience,
        30.0,
        home=rng.integers(0, 2, audience.size),
        mix=np.array([[0.8, 0.2], [0.3, 0.7]]),
        source_only=rng.random(audience.size) < 0.4,
    )


def test_requests_are_hits_and_misses_with_everything_on():
    audience = popular(15_000, 20_000.0)
    exact, grouped = everything(audience, NEVER), everything(audience, EXACT_UP_TO)
    for one in (exact, grouped):
        assert one.segment_hits + one.segment_misses == pytest.approx(one.segment_requests, rel=1e-9)
        answered = one.playlist_hits + one.playlist_delayed_hits + one.playlist_misses
        assert answered == pytest.approx(one.playlist_requests, rel=1e-9)
        assert one.playlist_requests == pytest.approx(audience.sum() * 15, rel=1e-9)
        assert one.segment_cold_fills > 0
    np.testing.assert_allclose(grouped, exact, rtol=5e-5)


def test_each_home_has_its_clusters():
    """East has clusters 0, 2, 4 and west 1, 3, 5, both by rank^-0.6; by hand for one broadcast of each home."""
    mix, weight = np.array([[0.8, 0.2], [0.3, 0.7]]), np.arange(1, 4) ** -0.6
    one = regional(shares={"720p30": 1.0, "480p30": 0.0}).serve(
        np.array([40.0, 9.0]), 2.0, home=np.array([0, 1]), mix=mix
    )
    expected = sum(
        edge_misses(viewers, share * weight / weight.sum())
        for viewers, shares in ((40.0, mix[0]), (9.0, mix[1]))
        for share in shares
    )
    assert one.segment_misses == pytest.approx(expected, rel=1e-12)
    one_crowd = cdn(shares={"720p30": 1.0, "480p30": 0.0}).serve(np.array([40.0, 9.0]), 2.0)
    assert one_crowd.segment_misses != pytest.approx(expected, rel=1e-3)


def test_the_viewers_of_a_lost_region_go_to_what_is_left():
    shares = ClusterShares(CdnSpec(clusters=4, cluster_regions=("east", "west", "east", "west")), REGIONS)
    mix = np.array([[0.8, 0.2]])
    assert shares.of(mix).tolist() == [pytest.approx([0.4, 0.1, 0.4, 0.1])]
    shares.turn([0], up=False)
    assert shares.of(mix).tolist() == [pytest.approx([0.0, 0.1, 0.8, 0.1])]
    shares.turn(shares.named("east"), up=False)
    assert shares.of(mix).tolist() == [pytest.approx([0.0, 0.5, 0.0, 0.5])]
    assert shares.of(np.array([[1.0, 0.0]])).tolist() == [pytest.approx([0.0, 0.5, 0.0, 0.5])]
    with pytest.raises(ValueError, match="nobody would be left"):
        shares.turn([1, 3], up=False)
    shares.turn([0, 2], up=True)
    assert shares.of(mix).tolist() == [pytest.approx([0.4, 0.1, 0.4, 0.1])]


def test_a_lost_cluster_costs_cold_fills_once():
    """A twin that draws the viewers of each cluster: who had the rung before the loss, and who comes to it."""
    platform, n = cdn(clusters=4, cluster_exponent=0.0, shares={"720p30": 1.0, "480p30": 0.0}), 6.0
    steady = platform.serve(np.array([n]), 2.0)
    platform.lose([3])
    first, later = platform.serve(np.array([n]), 2.0), platform.serve(np.array([n]), 2.0)
    rng, rounds = stream(8, 0, "cold"), 40_000
    had = rng.poisson(n / 4, (rounds, 3)) > 0
    came = rng.poisson(n / 3 - n / 4, (rounds, 3)) > 0
    cold = (came & ~had).sum(axis=1)
    half = 3.3 * 3 * cold.std() / np.sqrt(rounds)
    assert first.segment_cold_fills == pytest.approx(3 * cold.mean(), abs=half)
    assert first.segment_cold_fills != pytest.approx(3 * came.sum(axis=1).mean(), abs=half)  # caches held empty
    assert later.segment_cold_fills == steady.segment_cold_fills == 0.0
    assert first.segment_requests - later.segment_requests == pytest.approx(3 * n / 4)
    assert first.segment_misses - later.segment_misses == pytest.approx(first.segment_cold_fills)
    assert first.segment_origin_fetches == pytest.approx(later.segment_origin_fetches)
    assert later.segment_requests == pytest.approx(steady.segment_requests)
    assert later.segment_misses == pytest.approx(edge_misses(n, np.full(3, 1 / 3)))


def test_clusters_come_back_empty():
    platform = cdn(clusters=4, cluster_exponent=0.0, shares={"720p30": 1.0, "480p30": 0.0})
    platform.lose([2, 3])
    platform.serve(np.array([6.0]), 2.0)
    platform.bring_back([2, 3])
    back = platform.serve(np.array([6.0]), 2.0)
    assert back.segment_cold_fills == pytest.approx(3 * 2 * (1 - np.exp(-6.0 / 4)))
    assert platform.clusters_up == 4


def test_who_was_on_a_lost_cluster_is_cut_off():
    platform, mix = regional(), np.array([[0.8, 0.2], [0.3, 0.7]])
    assert platform.cut_off(mix) is None
    platform.lose(platform.clusters_of("west"))
    assert platform.cut_off(mix) == pytest.approx([0.2, 0.7])
    platform.serve(np.ones(2), 2.0, home=np.array([0, 1]), mix=mix)
    assert platform.cut_off(mix) is None
    platform.bring_back(platform.clusters_of("west"))
    assert platform.cut_off(mix) is None


def test_a_loss_before_anybody_looked_is_one_loss():
    platform = cdn(clusters=4)
    platform.lose([1])
    platform.bring_back([1])
    assert platform.serve(np.array([6.0]), 2.0).segment_cold_fills == 0.0


def test_the_busiest_edge_is_that_of_segments_on_random_edges():
    """A twin: every segment of a tick goes to one of 8 edges, whole."""
    audience, tick_s, edges = popular(3000, 50_000.0), 30.0, 8
    one = cdn(clusters=1, edges_per_cluster=float(edges), playlist_bytes=0.0).serve(audience, tick_s)
    bitrate = np.array([rung.bitrate_bps for rung in LADDER.rungs])
    segment_bytes = np.outer(audience, np.array(list(SHARES.values())) * bitrate * LADDER.segment_s / 8).ravel()
    rng = stream(9, 0, "edges")
    busiest = [
        np.bincount(rng.integers(0, edges, segment_bytes.size * 15), np.tile(segment_bytes, 15), edges).max()
        for _ in range(200)
    ]
    assert one.busiest_edge_egress_bytes == pytest.approx(np.mean(busiest), rel=0.01)
    assert one.egress_bytes / edges < 0.99 * np.mean(busiest)  # the mean edge is not the busiest


def test_an_edge_tells_how_much_of_its_network_it_uses():
    named, unknown = cdn(edge_nic_bps=25e9), cdn()
    one = named.serve(np.array([1000.0]), 30.0)
    assert named.edge_utilisation(one, 30.0) == pytest.approx(one.busiest_edge_egress_bytes * 8 / 30 / 25e9)
    assert unknown.edge_utilisation(one, 30.0) is None


def test_viewers_without_a_ladder_receive_the_source():
    one = cdn(clusters=1, shield=False, playlist_bytes=0.0, source_bps=6e6).serve(
        np.array([100.0, 50.0]), 2.0, source_only=np.array([True, False])
    )
    assert one.egress_bytes == pytest.approx(100 * 6e6 / 4 + 50 * (0.75 * 2.5e6 + 0.25 * 1.2e6) / 4)
    assert one.segment_misses == pytest.approx(1 + (1 - np.exp(-37.5)) + (1 - np.exp(-12.5)))


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="source_bps"):
        cdn().serve(np.ones(2), 2.0, source_only=np.array([True, False]))
    with pytest.raises(ValueError, match="belong together"):
        cdn().serve(np.ones(2), 2.0, home=np.array([0, 0]))
    with pytest.raises(ValueError, match="no cluster in the region 'north'"):
        cdn(clusters=2, cluster_regions=REGIONS, regions=(*REGIONS, "north"))
    with pytest.raises(ValueError, match="names 'west'"):
        cdn(clusters=2, cluster_regions=REGIONS, regions=("east",))
    with pytest.raises(ValueError, match="clusters have none"):
        cdn(regions=REGIONS)
    with pytest.raises(ValidationError, match="names 1 regions for 2 clusters"):
        CdnSpec(clusters=2, cluster_regions=("east",))
    assert regional().clusters_of("west") == [1, 3, 5]
    with pytest.raises(KeyError):
        regional().clusters_of("north")


def test_a_tick_of_120_000_broadcasts_is_quick():
    """About 1 ms on a core of 2024; ten times that leaves room for a slow machine, and none for the dense form."""
    audience, platform = popular(120_000, 6.5e6), cdn(clusters=24)
    spent_s = []
    for _ in range(5):
        began_s = time.process_time()
        platform.serve(audience, 30.0)
        spent_s.append(time.process_time() - began_s)
    assert min(spent_s) < 0.01
