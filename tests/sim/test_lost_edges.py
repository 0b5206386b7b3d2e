"""A region whose clusters are lost: its viewers are cut off, come back to the others, and find cold caches."""

from __future__ import annotations

import pytest
from platforms import scenario
from profiles import profile

from scenarios.catalogue import load_catalogue
from sim.assembly import simulate


def ticks(*, lost: bool, **more):
    region_loss = {"kind": "zone_loss", "at_s": 1815.0, "duration_s": 600.0, "zones": ("b",), "cdn_regions": ("west",)}
    case = scenario(
        **{
            "workload.regions": ({"name": "east", "share": 0.6}, {"name": "west", "share": 0.4}),
            "platform.cdn": {"clusters": 4, "cluster_regions": ("east", "west", "east", "west")},
            "platform.transcode.zones": ("a", "b"),
            "platform.transcode.pools": ({"name": "all", "zones": ("a",)},),
            "failures": (region_loss,) if lost else (),
        }
        | more
    )
    return simulate(case, profile(), load_catalogue(), seed=2, replication=0).ticks.set_index("t_s")


def test_its_viewers_come_back_to_what_is_left():
    quiet, hit = ticks(lost=False), ticks(lost=True)
    before, first, later, back = 1800.0, 1830.0, 2100.0, 2430.0
    assert hit.loc[before].equals(quiet.loc[before])
    share = hit["viewers_away"][first] / hit["viewers_wanted"][first]
    assert 0.01 < share < 0.4  # the mean over the tick: some 40 % are cut off and back after a few seconds
    assert hit["player_retries"][first] > 0.3 * hit["viewers_wanted"][first]
    assert hit["viewers_away"][later] == pytest.approx(0.0, abs=1e-3)
    assert hit["segment_cold_fills"][first] > 0
    assert hit["segment_cold_fills"][later] == 0
    assert hit["segment_misses"][later] < quiet["segment_misses"][later]  # fewer caches fetch less
    assert hit["segment_cold_fills"][back] > 0
    assert hit["viewers_away"][back] == pytest.approx(0.0, abs=1e-3)  # nobody is cut off by a return
    assert quiet["segment_cold_fills"].sum() == 0


def test_an_auth_service_without_room_keeps_them_waiting():
    hit = ticks(lost=True, **{"platform.players": {"auth_limit_per_s": 5.0}})
    assert hit["player_retries_turned_away"].sum() > 0
    assert hit["viewers_away"][1920.0] > 100
