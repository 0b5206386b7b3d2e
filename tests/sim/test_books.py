"""Conservation and Little's law hold on every run, and each kind of loss or invention is caught."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from platforms import scenario
from profiles import profile

from scenarios.catalogue import load_catalogue
from sim import books
from sim.assembly import simulate
from sim.records import Replication


def one(replication=0, seed=1, **changes) -> Replication:
    return simulate(scenario(**changes), profile(), load_catalogue(), seed=seed, replication=replication)


STRESS = {
    "starved": {"platform.transcode.max_nodes": 3, "platform.transcode.queue_deadline_s": 20.0},
    "loss": {"platform.transcode.max_nodes": 5, "platform.transcode.queue_deadline_s": 0.0},
    "auth": {"platform.ingest.auth_limit_per_s": 0.005, "platform.ingest.auth_burst": 1},
    "waits for auth": {"platform.ingest.auth_limit_per_s": 0.01, "platform.ingest.auth_wait_limit_s": 500.0},
    "fixed": {"platform.transcode.autoscaler": {"kind": "fixed"}, "platform.transcode.min_nodes": 20},
    "short": {"workload.broadcasts.duration": {"kind": "constant", "mean_s": 45.0}},
    "no shield": {"platform.cdn.shield": False},
    "requests not collapsed": {"platform.cdn.policy": {"kind": "uncollapsed"}},
    "typed hit ratios": {
        "platform.cdn.policy": {"kind": "fixed_ratio", "segment_hit_ratio": 0.95, "playlist_hit_ratio": 0.9}
    },
    "source only": {"platform.transcode.max_nodes": 5, "platform.transcode.admission": {"kind": "source_only"}},
    "short line": {"platform.transcode.max_nodes": 5, "platform.transcode.queue_limit": 2},
    "failures": {
        "platform.transcode.zones": ("a", "b", "c"),
        "platform.transcode.pools": (
            {"name": "kept", "purchase": "reserved", "min_nodes": 3},
            {
                "name": "spot",
                "purchase": "spot",
                "weight": 3.0,
                "launch_failure": 0.2,
                "interruptions": {"per_hour": 2.0, "notice_s": 30.0},
            },
        ),
        "platform.ingest.retry": {"attempts": 3},
        "failures": (
            {"kind": "zone_loss", "at_s": 1800.0, "zones": ("a",), "duration_s": 900.0},
            {"kind": "spot_storm", "at_s": 3000.0},
            {"kind": "node_loss", "at_s": 4000.0, "share": 0.3},
            {"kind": "rolling_deploy", "at_s": 4500.0, "drain_deadline_s": 300.0, "migrate": True},
        ),
    },
    "auth under failures": {
        "platform.ingest.auth_limit_per_s": 0.02,
        "platform.ingest.auth_burst": 1,
        "platform.ingest.auth_wait_limit_s": 100.0,
        "platform.ingest.retry": {"attempts": 2},
        "failures": ({"kind": "node_loss", "at_s": 1000.0, "share": 1.0},),
    },
}


def test_failures_interrupt_and_bring_back():
    run = one(**STRESS["failures"])
    counts = run.tally.counts
    assert counts["interrupted"] > 20
    assert counts["moved"] > 5
    assert {"node zone lost", "node taken back", "node taken back in a storm", "node died", "node replaced"} <= {
        *counts
    }
    assert run.tally.viewer_seconds_lost > 0
    back = run.broadcasts[(run.broadcasts["interruptions"] > 0) & (run.broadcasts["outcome"] == "ended")]
    assert (back["gap_s"] >= 0.5).all()  # the first wait of 1 s, less its jitter
    assert set(run.events["kind"]) >= {"zone_loss", "spot_storm", "node_loss", "rolling_deploy", "scale out"}
    assert (run.nodes["purchase"] == "spot").any()
    lost = one(**STRESS["auth under failures"]).broadcasts
    assert (lost["outcome"] == "lost").sum() > 3


@pytest.mark.parametrize("changes", STRESS.values(), ids=STRESS.keys())
def test_the_books_balance_under_stress(changes):
    run = one(**changes)  # simulate() checks them and raises if they do not
    assert len(run.broadcasts) > 50


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    max_nodes=st.integers(2, 40),
    deadline_s=st.sampled_from([0.0, 5.0, 600.0]),
    peak=st.floats(1.0, 150.0),
)
def test_the_books_balance_whatever_the_scenario(seed, max_nodes, deadline_s, peak):
    one(
        seed=seed,
        **{
            "platform.transcode.max_nodes": max_nodes,
            "platform.transcode.queue_deadline_s": deadline_s,
            "workload.broadcasts.peak_concurrent": peak,
            "horizon.horizon_s": 1800.0,
        },
    )


def broken(run: Replication, frame: str, column: str, row: int, value) -> Replication:
    table = getattr(run, frame).copy()
    table.loc[row, column] = value
    return dataclasses.replace(run, **{frame: table})


@pytest.mark.parametrize(
    ("frame", "column", "value", "balance"),
    [
        ("broadcasts", "outcome", "lost", "rows"),
        ("broadcasts", "placed_s", 1e6, "time in service"),
        ("broadcasts", "served_s", 1e6, "Little's law"),
        ("broadcasts", "interruptions", 1, "interrupted = by rows"),
        ("nodes", "reason", "", "told with a reason"),
        ("ticks", "segment_misses", 1e9, "segment requests"),
        ("ticks", "playlist_hits", 1e9, "playlist requests"),
        ("ticks", "viewers_served", 1e9, "viewers wanted"),
        ("nodes", "gone_s", 17.0, "nodes gone"),
    ],
)
def test_a_planted_mistake_is_named(frame, column, value, balance):
    run = one(**STRESS["failures"])
    row = 0
    if column == "outcome":
        row = int(run.broadcasts.index[run.broadcasts["outcome"] == "ended"][0])
    if column == "placed_s":
        row = int(run.broadcasts.index[run.broadcasts["placed_s"].notna()][0])
    if column == "gone_s":
        row = int(run.nodes.index[run.nodes["gone_s"].isna()][0])
    if column == "reason":
        row = int(run.nodes.index[run.nodes["gone_s"].notna()][0])
    books.check(run)
    with pytest.raises(books.BooksError, match=balance):
        books.check(broken(run, frame, column, row, value))
