"""What is told of a run at its edges: gaps that end with the broadcast, no node ready, nobody there."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from platforms import scenario
from profiles import SOURCE, profile
from test_autoscaled_runs import KINDS
from test_books import STRESS, one

from scenarios.catalogue import load_catalogue
from sim.blast_radius import recovery_s
from sim.metrics import METRICS, Case, measure, summarise
from sim.replication import run
from sim.results import to_json

SHORT = {"horizon.horizon_s": 1200.0, "workload.broadcasts.peak_concurrent": 30.0}


def measured(**changes):
    platform = scenario(**changes)
    run_ = one(**changes)
    frame = measure(Case(run_, platform, load_catalogue()))
    return run_, dict(zip(frame["metric"], frame["value"], strict=True))


def test_nobody_is_away_longer_than_the_broadcast_lasts():
    changes = STRESS["auth under failures"] | {"platform.ingest.auth_wait_limit_s": 500.0}
    rows = one(**changes).broadcasts
    placed = rows[rows["placed_s"].notna() & (rows["interruptions"] > 0)]
    lasted_s = np.minimum(placed["end_s"], 7200.0) - placed["placed_s"]
    assert len(placed) > 5
    starts_s = 2.0 * placed["interruptions"]  # in service, but its first segment is not there yet
    assert (placed["gap_s"] + placed["served_s"] <= lasted_s + starts_s + 1e-6).all()


def test_an_outage_is_of_interruptions_and_not_of_moves():
    changes = STRESS["failures"] | {"platform.transcode.migration": {"gap_segments": 500.0}}
    few, many = measured(**STRESS["failures"]), measured(**changes)
    assert few[1]["moved"] > 5
    assert many[1]["outage_mean_s"] == pytest.approx(few[1]["outage_mean_s"])
    assert many[1]["viewer_hours_lost"] > few[1]["viewer_hours_lost"]


def test_a_move_costs_no_more_than_is_left():
    rows = one(**STRESS["failures"] | {"platform.transcode.migration": {"gap_segments": 1000.0}}).broadcasts
    moved = rows[(rows["gap_s"] > 0) & (rows["interruptions"] == 0)]
    assert len(moved) > 5
    assert (moved["gap_s"] <= np.minimum(moved["end_s"], 7200.0) - moved["placed_s"] + 1e-6).all()


def test_what_was_paid_is_the_sum_over_ways_of_buying():
    run_, found = measured(**STRESS["failures"])
    parts = [found[f"{purchase}_usd_per_month"] for purchase in ("reserved", "spot")]
    assert found["transcode_usd_per_month"] == pytest.approx(sum(parts))
    assert (run_.nodes["reason"] == "launch failed").any()


def test_the_end_of_the_run_belongs_to_a_tick_even_where_floats_do_not_divide():
    ticks = one(**SHORT | {"horizon.horizon_s": 0.9, "horizon.tick_s": 0.3}).ticks
    assert len(ticks) == 3
    assert len(one(**SHORT | {"horizon.tick_s": 1200.0}).ticks) == 1


def test_egress_is_of_the_whole_month_even_if_the_last_tick_is_cut_off():
    whole = measured(**SHORT | {"horizon.tick_s": 30.0})[1]["egress_usd_per_month"]
    cut = measured(**SHORT | {"horizon.horizon_s": 1220.0, "horizon.tick_s": 40.0})[1]["egress_usd_per_month"]
    assert cut == pytest.approx(whole, rel=0.01)
    wide = measured(**SHORT | {"horizon.horizon_s": 1199.0, "horizon.tick_s": 600.0})[1]["egress_usd_per_month"]
    assert wide == pytest.approx(whole, rel=0.05)  # one tick of two


def test_places_are_used_only_where_there_are_some():
    lost = {"kind": "node_loss", "at_s": 10.0, "share": 1.0}
    late = {"kind": "constant", "mean_s": 1000.0}
    _, found = measured(**SHORT | {"failures": (lost,), "platform.transcode.boot": late})
    assert found["places_used_p95"] < 1.0


def test_nobody_there_is_an_answer_too(recwarn):
    nobody = SHORT | {"workload.broadcasts.peak_concurrent": 0.001, "workload.audience.peak_viewers": 0.001}
    result = run(scenario(**nobody | {"failures": ({"kind": "node_loss", "at_s": 10.0},)}), profile(), replications=2)
    json.loads(to_json(result.document()))
    assert len(result.table()) > 20
    assert [str(warning.message) for warning in recwarn.list] == []


def test_everybody_refused_is_an_answer_too():
    refused = {"platform.ingest.auth_limit_per_s": 1e-6, "platform.ingest.auth_burst": 1, "horizon.start_hour": 4.0}
    result = run(scenario(**SHORT | refused), profile(), replications=2)
    json.loads(to_json(result.document()))


def test_a_service_that_does_not_come_back_is_told_without_a_warning(recwarn):
    lost = {"kind": "zone_loss", "at_s": 600.0, "zones": ("a",), "duration_s": 9000.0}
    zones = {"platform.transcode.zones": ("a", "b"), "platform.transcode.pools": ({"name": "only", "zones": ("a",)},)}
    result = run(scenario(**SHORT | zones | {"failures": (lost,)}), profile(), replications=2)
    row = result.summary.set_index("metric").loc["recovery_s"]
    assert math.isinf(row["mean"])
    assert json.loads(to_json(result.document()))["failures"][0]["back_after_s"] is None
    assert result.texts("recovery_s").value == "not within the run"
    assert [str(warning.message) for warning in recwarn.list] == []


def test_who_hits_nobody_has_nothing_to_recover_from():
    ticks = pd.DataFrame({"t_s": np.arange(1.0, 11.0), "broadcasts_away": np.full(10, 3.0)})
    assert recovery_s(ticks, 2.0, 0.0) == 0.0
    assert recovery_s(ticks, 2.0, 100.0) == math.inf
    assert recovery_s(ticks, 2.0, 400.0) == 0.0


def test_an_interval_holds_its_mean_even_below_zero():
    values = pd.DataFrame(
        {"component": "scaling", "metric": "headroom", "unit": "1", "value": [-0.5, -0.4], "replication": [0, 1]}
    )
    row = summarise(values).iloc[0]
    assert row["low"] < row["mean"] < row["high"]


def test_a_share_of_dropped_video_is_never_more_than_all():
    from test_lag import meter

    env, lag = meter([3.0], drop_after_s=1e-9)
    lag.placed(0, 0)
    env.run(until=30)
    lag.finish()
    assert lag.dropped_s == pytest.approx(20.0)  # a third is done of what comes


ADMISSIONS = (
    {"kind": "open"},
    {"kind": "source_only"},
    {"kind": "partners_first", "reserved_share": 0.3},
    {"kind": "viewer_threshold", "viewers": 20.0},
)


@pytest.mark.parametrize("number", range(len(KINDS) + 1))
def test_whatever_the_policy_the_crowd_is_the_same(number):
    """Every autoscaler, and every admission, over nodes that boot, die and are taken back elsewhere."""
    platform = {
        "autoscaler": [*KINDS, {"kind": "queue"}][number],
        "admission": ADMISSIONS[number % len(ADMISSIONS)],
        "placement": "spread",
        "zones": ("a", "b"),
        "pools": ({"name": "spot", "purchase": "spot", "interruptions": {"per_hour": 5.0}},),
    }
    partners = SHORT | {"workload.broadcasts.partner_share": 0.1}
    changes = {f"platform.transcode.{key}": value for key, value in platform.items()}
    base = one(**partners)
    other = one(**partners | changes | {"failures": ({"kind": "node_loss", "at_s": 300.0, "share": 0.5},)})
    for column in ("publish_s", "end_s", "source", "partner"):
        pd.testing.assert_series_equal(base.broadcasts[column], other.broadcasts[column], check_exact=True)
    for column in ("viewers_wanted", "broadcasts_wanted"):
        pd.testing.assert_series_equal(base.ticks[column], other.ticks[column], check_exact=True)
    assert not base.nodes.equals(other.nodes)


def test_every_metric_has_a_meaning_of_its_own():
    meanings = [metric.meaning for metric in METRICS.values()]
    assert len(set(meanings)) == len(meanings)


def test_fragmentation_is_told_where_sources_differ_and_only_there():
    small = SOURCE.model_copy(update={"width": 854, "height": 480, "bitrate_bps": 1.5e6})
    mix = tuple({"source": source.model_dump(), "share": 0.5} for source in (SOURCE, small))
    run_, found = measured(**SHORT | {"workload.source_mix": mix})
    assert 0.0 < found["fragmentation"] < 1.0
    assert (run_.ticks["room_stranded"] <= run_.ticks["room_free"] + 1e-12).all()
    run_, found = measured(**SHORT)
    assert "fragmentation" not in found
    assert "room_stranded" not in run_.ticks


@pytest.mark.parametrize(("at_s", "found"), [(60.0, True), (900.0, False)])
def test_losses_that_together_leave_no_cluster_are_refused(at_s, found):
    regions = tuple({"name": name, "share": 0.5} for name in ("east", "west"))
    losses = tuple(
        {"kind": "zone_loss", "at_s": moment_s, "zones": (zone,), "duration_s": 300.0, "cdn_regions": (region,)}
        for moment_s, zone, region in ((30.0, "a", "east"), (at_s, "b", "west"))
    )
    platform = scenario(
        **SHORT
        | {
            "workload.regions": regions,
            "platform.cdn": {"clusters": 2, "cluster_regions": ("east", "west")},
            "platform.transcode.zones": ("a", "b", "c"),
            "failures": losses,
        }
    )
    findings = [finding for finding in platform.findings(load_catalogue()) if finding.path[0] == "failures"]
    assert [finding.path for finding in findings] == ([("failures", 1, "cdn_regions")] if found else [])
    if not found:
        run(platform, profile(), replications=2)
