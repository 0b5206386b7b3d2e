"""The timeline: what the Trace Event Format asks for, what the records say, and a size that is bounded."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from platforms import scenario
from profiles import profile

import headroom
from scenarios.catalogue import load_catalogue
from sim.assembly import simulate
from sim.timeline import MOST_MOMENTS, MOST_NODES, MOST_POINTS, NODES, PLATFORM, Records, timeline_text


@pytest.fixture(scope="module")
def records() -> Records:
    one = simulate(scenario(), profile(), load_catalogue(), seed=3, replication=0)
    return Records(one.ticks, one.nodes, one.horizon_s, one.events)


def events(records: Records) -> list[dict]:
    return json.loads(timeline_text(records, {}))["traceEvents"]


def check(found: list[dict]) -> None:
    """What the format asks of each event, and what a viewer needs to draw them."""
    assert found
    for event in found:
        assert event["ph"] in "MXCi"
        assert {"ph", "name", "ts", "pid", "tid", "args"} <= event.keys()
        assert all(isinstance(event[key], int) for key in ("ts", "pid", "tid"))
        assert event["ts"] >= 0
        if event["ph"] == "X":
            assert event["dur"] > 0
        if event["ph"] == "i":
            assert event["s"] in "gpt"
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())
    timed = [event["ts"] for event in found if event["ph"] != "M"]
    assert timed == sorted(timed)
    for track in {event["tid"] for event in found if event["ph"] == "X"}:
        slices = [event for event in found if event["ph"] == "X" and event["tid"] == track]
        for one, other in itertools.pairwise(slices):
            assert one["ts"] + one["dur"] <= other["ts"], "slices of a track do not overlap"
    named = {(event["pid"], event["tid"]) for event in found if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in found if event["ph"] == "X"} <= named


def test_it_is_of_the_format(records):
    check(events(records))
    with pytest.raises(AssertionError):
        check([{**event, "ts": -event["ts"] - 1} for event in events(records)])


def test_the_control_plane_alone_has_a_timeline_without_viewers():
    loss = {"kind": "zone_loss", "at_s": 3000.0, "zones": ("a",), "duration_s": 600.0}
    losing = scenario(**{"platform.transcode.zones": ("a", "b"), "failures": (loss,)})
    one = simulate(losing, profile(), load_catalogue(), seed=3, replication=0, engine="fleet")
    found = events(Records(one.ticks, one.nodes, one.horizon_s, one.events))
    check(found)
    assert {event["name"] for event in found if event["ph"] == "C"} == {"broadcasts", "nodes"}
    (lost,) = [event for event in found if event["name"] == "zone_loss"]
    assert "viewers" not in lost["args"]
    assert lost["args"]["broadcasts"] > 0


def test_slices_are_the_lives_of_the_nodes(records):
    slices = pd.DataFrame(event | {"node": event["tid"] - 1} for event in events(records) if event["ph"] == "X")
    lived_s = slices.groupby("node")["dur"].sum() / 1e6
    nodes = records.nodes
    expected_s = nodes["gone_s"].fillna(records.horizon_s) - nodes["ordered_s"]
    assert lived_s.reindex(nodes.index, fill_value=0).to_numpy() == pytest.approx(expected_s.to_numpy(), abs=1e-5)
    booting_s = slices[slices["name"] == "booting"].groupby("node")["dur"].sum() / 1e6
    assert booting_s.max() <= 300.0
    assert set(slices["name"]) == {"booting", "ready", "draining"}
    drained_s = (nodes["gone_s"].fillna(records.horizon_s) - nodes["draining_s"]).dropna().sum()
    assert slices[slices["name"] == "draining"]["dur"].sum() / 1e6 == pytest.approx(drained_s, abs=1e-3)


def test_counters_are_the_ticks(records):
    counters = [event for event in events(records) if event["ph"] == "C"]
    assert {event["name"] for event in counters} == {"broadcasts", "nodes", "viewers"}
    last = [event for event in counters if event["name"] == "viewers"][-1]
    row = records.ticks.iloc[-1]
    assert last["args"]["served"] == pytest.approx(row["viewers_served"], abs=1e-3)
    assert last["ts"] == row["t_s"] * 1e6


def test_scale_events_are_moments(records):
    moments = [event for event in events(records) if event["ph"] == "i"]
    assert [event["name"] for event in moments].count("scale out") == (records.moments["kind"] == "scale out").sum() > 0


def test_orders_and_ends_of_nodes_are_moments_where_the_run_kept_none(records):
    moments = pd.DataFrame(
        event | event["args"] for event in events(records._replace(moments=None)) if event["ph"] == "i"
    )
    assert moments[moments["name"] == "nodes ordered"]["nodes"].sum() == len(records.nodes)
    assert moments[moments["name"] == "nodes gone"]["nodes"].sum() == records.nodes["gone_s"].notna().sum()


def test_pools_reasons_draining_and_what_happened_are_told_where_the_run_kept_them(records):
    nodes = pd.DataFrame(
        {
            "ordered_s": [0.0, 0.0, 10.0, 20.0],
            "ready_s": [0.0, 0.0, 70.0, math.nan],
            "draining_s": [40.0, math.nan, math.nan, 30.0],
            "gone_s": [50.0, 60.0, math.nan, 30.0],
            "pool": ["spot", "on demand", "spot", "spot"],
            "zone": ["a", None, "b", "b"],
            "reason": ["scaled in", "zone lost", None, "scaled in"],
        }
    )
    kept = pd.DataFrame(
        {
            "at_s": [60.0, 5.0],
            "kind": ["zone lost", "flash"],
            "what": ["zone a", None],
            "nodes": [1, 0],
            "broadcasts": [4, 0],
            "viewers": [90.0, math.nan],
        }
    )
    found = events(Records(records.ticks, nodes, 100.0, kept))
    check(found)
    told = [(e["name"], e["ts"] / 1e6, e["dur"] / 1e6, e["tid"]) for e in found if e["ph"] == "X"]
    assert sorted(told, key=lambda slice_: slice_[3]) == [
        ("ready", 0, 40, 1),
        ("draining", 40, 10, 1),
        ("ready", 0, 60, 2),
        ("booting", 10, 60, 3),
        ("ready", 70, 30, 3),
        ("booting", 20, 10, 4),
    ]
    names = [event["args"]["name"] for event in found if event["name"] == "thread_name"]
    assert names == ["node 0 (spot, a)", "node 1 (on demand)", "node 2 (spot, b)", "node 3 (spot, b)"]
    (lost,) = [event for event in found if event["ph"] == "i" and event["name"] == "zone lost"]
    assert lost["args"] == {"what": "zone a", "nodes": 1, "broadcasts": 4, "viewers": 90.0}


@pytest.mark.parametrize("count", [30_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_its_size_is_bounded_and_what_is_left_out_is_told(count):
    ordered_s = np.linspace(0, 1e6, count)
    reason = np.where(np.arange(count) % 10 == 0, "spot reclaim", None)
    nodes = pd.DataFrame(
        {"ordered_s": ordered_s, "ready_s": ordered_s + 90, "gone_s": ordered_s + 500, "reason": reason}
    )
    names = ("broadcasts_in_service", "broadcasts_waiting", "nodes_booting", "nodes_ready", "nodes_draining")
    columns = [*names, "viewers_served", "viewers_unserved"]
    t_s = np.arange(1.0, count + 1) * 1e6 / count
    ticks = pd.DataFrame({"t_s": t_s} | {name: np.arange(float(count)) for name in columns})
    text = timeline_text(Records(ticks, nodes, 1e6), {"title": "large"})
    assert len(text) < 15e6
    document = json.loads(text)
    check_fast(document["traceEvents"])
    assert document["otherData"]["left out"] == {"node tracks": count - MOST_NODES, "moments": 2 * count - MOST_MOMENTS}
    small = Records(ticks, nodes.drop(columns="reason"), 1e6)
    assert not [event for event in events(small) if event["pid"] == NODES and event["ph"] == "X"]


def check_fast(found: list[dict]) -> None:
    """The bounds by kind."""
    frame = pd.DataFrame(found)
    assert (frame[frame["ph"] == "C"].groupby("name").size() <= MOST_POINTS).all()
    assert (frame["ph"] == "i").sum() == MOST_MOMENTS
    assert frame[(frame["pid"] == NODES) & (frame["ph"] == "X")]["tid"].nunique() == MOST_NODES
    assert set(frame["pid"]) == {PLATFORM, NODES}


def test_run_writes_it_beside_its_answer_and_checks_the_place_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(
        "extends: baseline\nset:\n  horizon.horizon_s: 10 min\n  workload.broadcasts.peak_concurrent: 20\n"
    )

    def command(*flags: str) -> object:
        monkeypatch.setattr(sys, "argv", ["headroom", "run", "small.yaml", "--replications", "2", "-q", *flags])
        with pytest.raises(SystemExit) as done:
            headroom.main()
        return done.value.code

    assert command("--timeline", "day.json") == 0
    assert "Timeline: day.json" in capsys.readouterr().out
    document = json.loads(Path("day.json").read_text())
    check(document["traceEvents"])
    about = document["otherData"]
    assert (about["seed"], about["replication"], about["start_hour"]) == (1, 0, 6.0)
    Path("file").write_text("")
    assert command("--timeline", "file/day.json") == 1
    assert "cannot be written" in capsys.readouterr().err
