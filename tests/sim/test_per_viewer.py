"""The fluid platform against a platform viewer by viewer, request by request and message by message."""

from __future__ import annotations

import numpy as np
import pytest
from platforms import scenario
from profiles import profile

from benchmarks.per_viewer import PerViewer
from scenarios.catalogue import load_catalogue
from sim.assembly import simulate

REPLICATIONS = 4
SLICE = {
    "horizon.horizon_s": 300.0,
    "workload.broadcasts.peak_concurrent": 40.0,
    "workload.audience.peak_viewers": 1000.0,
    "workload.chat": {"messages_per_viewer_s": 0.004},
    "platform.cdn": {"clusters": 6, "cluster_exponent": 0.5},
    "platform.transcode.min_nodes": 40,
    "platform.ingest.auth_limit_per_s": 100.0,
}


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, float], dict[str, float]]:
    """Return the totals of all replications, viewer by viewer and of the fluid."""
    case, known = scenario(**SLICE), profile()
    twin: dict[str, float] = {"viewer_seconds": 0.0}
    fluid: dict[str, float] = {"viewer_seconds": 0.0}
    for number in range(REPLICATIONS):
        totals = PerViewer(case, seed=3, replication=number).run()
        ticks = simulate(case, known, load_catalogue(), seed=3, replication=number).ticks
        twin["viewer_seconds"] += totals.viewer_seconds
        fluid["viewer_seconds"] += float(ticks["viewers_served"].sum()) * case.horizon.tick_s
        for name, count in totals.counts.items():
            twin[name] = twin.get(name, 0.0) + count
            fluid[name] = fluid.get(name, 0.0) + float(ticks[name].sum())
    return twin, fluid


def hit_ratio(totals: dict[str, float], kind: str) -> float:
    return 1.0 - totals[f"{kind}_misses"] / totals[f"{kind}_requests"]


def test_viewers_requests_and_bytes(both):
    twin, fluid = both
    for name in ("viewer_seconds", "segment_requests", "playlist_requests", "egress_bytes"):
        assert twin[name] == pytest.approx(fluid[name], rel=0.025), name


def test_hit_ratio_and_fetches_from_the_origin(both):
    twin, fluid = both
    assert hit_ratio(twin, "segment") == pytest.approx(hit_ratio(fluid, "segment"), abs=0.01)
    assert twin["segment_origin_fetches"] == pytest.approx(fluid["segment_origin_fetches"], rel=0.05)
    without_collapsing = 1.0 - 1.1 * fluid["segment_misses"] / fluid["segment_requests"]
    assert hit_ratio(twin, "segment") != pytest.approx(without_collapsing, abs=0.01)


def test_playlists_are_asked_for_more_regularly_than_poisson(both):
    """A player polls once a segment, the closed form takes Poisson requests: clusters fill a few per cent less."""
    twin, fluid = both
    assert 0.85 * fluid["playlist_misses"] < twin["playlist_misses"] < 1.01 * fluid["playlist_misses"]
    assert twin["playlist_origin_fetches"] == pytest.approx(fluid["playlist_origin_fetches"], rel=0.09)


def test_chat(both):
    """Rooms burst: some 40 of them over 20 minutes know their mean within 35 %."""
    twin, fluid = both
    expected = twin["viewer_seconds"] * 0.004
    for totals in both:
        assert totals["chat_messages"] == pytest.approx(expected, rel=0.35)
    assert np.isclose(twin["chat_deliveries"], fluid["chat_deliveries"], rtol=0.5)
