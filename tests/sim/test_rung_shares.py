"""Viewers of sources that leave out rungs: where they go, and what the CDN then delivers."""

from __future__ import annotations

import numpy as np
import pytest
from platforms import scenario
from profiles import LADDER, SOURCE
from test_books import one
from test_cdn import NEVER, REGIONS, popular

from scenarios.ladder import Ladder
from scenarios.platform import Cdn as CdnSpec
from sim.components.cdn import Cdn
from sim.crowds import EXACT_UP_TO
from sim.rung_shares import renditions
from sim.sampling import stream

SHARES = {"720p30": 0.75, "480p30": 0.25}
SMALL = SOURCE.model_copy(update={"width": 854, "height": 480, "fps": 30.0, "bitrate_bps": 1.5e6})
SOURCES = (SOURCE, SMALL)


def platform(**changes) -> Cdn:
    spec = CdnSpec(clusters=4, cluster_regions=("east", "west", "east", "west"), cluster_exponent=0.6)
    return Cdn(spec, LADDER, SHARES, **{"sources": SOURCES, "regions": REGIONS} | changes)


def test_viewers_of_a_rung_that_is_left_out_take_the_next_below():
    shares, bitrates = renditions(LADDER, SHARES, SOURCES)
    assert shares.tolist() == [[0.75, 0.25, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert bitrates.tolist() == [rung.bitrate_bps for rung in LADDER.rungs] + [SOURCE.bitrate_bps, 1.5e6]


def test_a_copied_rung_is_the_source_of_each():
    top = LADDER.rungs[0].model_copy(update=SOURCE.model_dump() | {"name": "as sent", "copied": True})
    ladder = Ladder(rungs=(top, *LADDER.rungs))
    shares, _ = renditions(ladder, {"as sent": 0.5, "720p30": 0.3, "480p30": 0.2}, SOURCES)
    assert shares[0] == pytest.approx([0, 0.3, 0.2, 0.5, 0])
    assert shares[2] == pytest.approx([0, 0, 0.5, 0, 0.5])


def test_the_lowest_rung_left_out_goes_up():
    low = LADDER.rungs[1].model_copy(
        update={"name": "low60", "width": 320, "height": 180, "fps": 60.0, "bitrate_bps": 5e5}
    )
    ladder = Ladder(rungs=(*LADDER.rungs, low))
    thirty = SOURCE.model_copy(update={"fps": 30.0})
    shares, _ = renditions(ladder, {"720p30": 0.5, "480p30": 0.3, "low60": 0.2}, (thirty,))
    assert shares[0] == pytest.approx([0.5, 0.5, 0, 0])


def test_every_viewer_receives_what_its_source_leaves_by_hand():
    one_ = Cdn(CdnSpec(clusters=1, shield=False, playlist_bytes=0.0), LADDER, SHARES, sources=SOURCES).serve(
        np.array([100.0, 40.0, 10.0]),
        2.0,
        source=np.array([0, 1, 1], np.int8),
        source_only=np.array([False, False, True]),
    )
    top, low = (rung.bitrate_bps for rung in LADDER.rungs)
    segment_s = LADDER.segment_s
    expected = (100 * (0.75 * top + 0.25 * low) + 40 * low + 10 * 1.5e6) * 2.0 / 8
    assert one_.egress_bytes == pytest.approx(expected)
    assert one_.segment_requests == pytest.approx(150 * 2.0 / segment_s)
    wrong = Cdn(CdnSpec(clusters=1, shield=False, playlist_bytes=0.0), LADDER, SHARES, source_bps=SOURCE.bitrate_bps)
    whole = wrong.serve(np.array([100.0, 40.0, 10.0]), 2.0, source_only=np.array([False, False, True]))
    assert whole.egress_bytes != pytest.approx(expected, rel=1e-3)


def test_requests_are_hits_and_misses_and_groups_give_what_every_broadcast_gives():
    audience, rng = popular(12_000, 20_000.0), stream(4, 0, "mix")
    home, source, without = (rng.integers(0, 2, audience.size) for _ in range(3))
    both = [
        platform(exact_up_to=up_to).serve(
            audience, 30.0, home=home, mix=np.array([[0.8, 0.2], [0.3, 0.7]]), source=source, source_only=without == 1
        )
        for up_to in (NEVER, EXACT_UP_TO)
    ]
    for served in both:
        assert served.segment_hits + served.segment_misses == pytest.approx(served.segment_requests, rel=1e-9)
        assert served.segment_requests == pytest.approx(audience.sum() * 30.0 / LADDER.segment_s, rel=1e-9)
    np.testing.assert_allclose(both[1], both[0], rtol=1e-4)


def test_sources_that_are_alike_are_as_one():
    audience = popular(500, 20_000.0)
    spec = CdnSpec(clusters=4)
    alike = Cdn(spec, LADDER, SHARES, sources=(SOURCE, SOURCE)).serve(audience, 30.0, source=np.arange(500) % 2)
    np.testing.assert_allclose(alike, Cdn(spec, LADDER, SHARES).serve(audience, 30.0), rtol=1e-12)


def test_a_source_without_sources_is_refused():
    with pytest.raises(ValueError, match="belong together"):
        Cdn(CdnSpec(clusters=1), LADDER, SHARES).serve(np.ones(1), 2.0, source=np.zeros(1, int))
    with pytest.raises(ValueError, match="belong together"):
        platform(regions=(), sources=SOURCES).serve(np.ones(1), 2.0)


def test_in_a_run_small_sources_deliver_less():
    mix = tuple({"source": source.model_dump(), "share": 0.5} for source in SOURCES)
    short = {"horizon.horizon_s": 900.0}
    mixed, alike = one(**short | {"workload.source_mix": mix}), one(**short)
    assert mixed.broadcasts["source"].nunique() == 2
    assert mixed.ticks["egress_bytes"].sum() < 0.9 * alike.ticks["egress_bytes"].sum()
    assert scenario(**{"workload.source_mix": mix}).workload.sources == SOURCES
