"""Every cache policy of the table: its books, what no policy may do, how the language and the result name it."""

from __future__ import annotations

import numpy as np
import pytest
from platforms import scenario
from profiles import LADDER, profile

from scenarios.platform import Cdn as CdnSpec
from scenarios.scenario import Scenario
from sim import run
from sim.components.cache import CACHES
from sim.components.cdn import Cdn, Served
from sim.sampling import stream

POLICIES = {
    "collapsed": {},
    "uncollapsed": {},
    "fixed_ratio": {"segment_hit_ratio": 0.95, "playlist_hit_ratio": 0.9},
}
"""An example of each kind."""


def of(kind: str) -> dict[str, object]:
    return {"kind": kind, **POLICIES[kind]}


@pytest.fixture(params=POLICIES)
def policy(request) -> dict[str, object]:
    """Return each policy of the table."""
    return of(request.param)


def delivered(policy: dict[str, object], viewers: np.ndarray, *, lost=(), **more) -> Served:
    spec = CdnSpec(clusters=6, cluster_exponent=0.6, policy=policy, **more)
    platform = Cdn(spec, LADDER, {"720p30": 0.75, "480p30": 0.25}, source_bps=6e6)
    if lost:
        platform.lose(lost)
    return platform.serve(viewers, 30.0, source_only=stream(4, 0, "without").random(viewers.size) < 0.4)


def test_each_row_of_the_table_has_its_example():
    assert {model.model_fields["kind"].annotation.__args__[0] for model in CACHES} == POLICIES.keys()
    for kind in POLICIES:
        assert type(CdnSpec(clusters=1, policy=of(kind)).policy) in CACHES
    assert CdnSpec(clusters=1).policy == CdnSpec(clusters=1, policy=of("collapsed")).policy


@pytest.mark.parametrize("more", [{}, {"shield": False}, {"lost": [0]}, {"fill_latency_s": 3.0}], ids=str)
def test_every_request_is_answered_and_no_tier_asks_for_more_than_it_is_asked_for(policy, more):
    viewers = np.append(stream(5, 0, "audience").lognormal(0.0, 3.0, 2000), [0.0, 1e-9, 1e6])
    one = delivered(policy, viewers, **more)
    assert one.segment_hits + one.segment_misses == pytest.approx(one.segment_requests, rel=1e-9)
    answered = one.playlist_hits + one.playlist_delayed_hits + one.playlist_misses
    assert answered == pytest.approx(one.playlist_requests, rel=1e-9)
    assert 0 < one.segment_origin_fetches <= one.segment_misses * (1 + 1e-12) <= one.segment_requests * (1 + 2e-12)
    assert 0 < one.playlist_origin_fetches <= one.playlist_misses * (1 + 1e-12) < one.playlist_requests
    assert (one.segment_cold_fills > 0) == ("lost" in more)
    assert all(np.isfinite(one))


def test_nobody_asks_for_nothing(policy):
    assert not any(delivered(policy, np.zeros(3)))


def test_collapsing_spares_the_origin_and_a_typed_ratio_is_kept_when_clusters_are_lost():
    viewers = stream(5, 0, "audience").lognormal(1.0, 2.0, 500)
    collapsed, uncollapsed = (delivered(of(kind), viewers) for kind in ("collapsed", "uncollapsed"))
    assert collapsed.segment_origin_fetches < uncollapsed.segment_origin_fetches
    assert collapsed.playlist_origin_fetches < uncollapsed.playlist_origin_fetches
    assert collapsed.segment_misses < uncollapsed.segment_misses
    typed = delivered(of("fixed_ratio"), viewers, lost=[0, 1])
    assert typed.segment_hits == pytest.approx(0.95 * typed.segment_requests, rel=1e-12)


def test_a_run_says_what_was_typed_and_its_books_balance(policy):
    case = scenario(**{"platform.cdn.policy": policy, "horizon.horizon_s": 1800.0})
    assert Scenario.model_validate_json(case.model_dump_json()) == case
    result = run(case, profile(), seed=3, replications=1)
    values = result.values.set_index("metric")["value"]
    grounds = [line for line in result.rests_on() if "CDN" in line]
    if policy["kind"] == "fixed_ratio":
        assert values["segment_hit_ratio"] == pytest.approx(0.95, rel=1e-9)
        assert values["playlist_hit_ratio"] == pytest.approx(0.9, rel=1e-9)
        assert grounds == ["assumed: segment hit ratio 0.95, playlist hit ratio 0.9 of a CDN cluster, typed"]
    elif policy["kind"] == "uncollapsed":
        assert grounds == ["assumed: a CDN cache takes 0.1 s to fetch an object, and lets all requests through"]
    else:
        assert grounds == []
