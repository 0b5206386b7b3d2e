"""One replication on a time axis, as a trace that Perfetto and Chrome open (https://ui.perfetto.dev).

The format is the Trace Event Format, JSON object form: `traceEvents` with times in microseconds. Two groups of tracks:
the platform, with counters and moments, and the nodes, one track each with what it was when.

The size is bounded whatever the run: at most `MOST_NODES` node tracks of three slices, `MOST_POINTS` points for each
of three counters and `MOST_MOMENTS` moments, together under 15 MB. What is left out is told in `otherData`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

MOST_NODES = 2_000
"""Node tracks; with more nodes only those that were interrupted have one, and the counters tell of the others."""
MOST_POINTS = 20_000
"""Of a counter."""
MOST_MOMENTS = 20_000
PLATFORM, NODES = 1, 2
"""The groups of tracks."""
PLANNED = frozenset({"", "scaled in", "replaced", "launch failed"})
"""Reasons why a node is gone that are no interruption."""
COUNTERS = {
    "broadcasts": {"in service": "broadcasts_in_service", "waiting": "broadcasts_waiting"},
    "nodes": {"booting": "nodes_booting", "ready": "nodes_ready", "draining": "nodes_draining"},
    "viewers": {"served": "viewers_served", "not served": "viewers_unserved"},
}
"""Counter → its series → column of the ticks."""

Event = dict[str, Any]


class Records(NamedTuple):
    """What a timeline is drawn from: the frames of one replication.

    Attributes:
        ticks: as `Replication.ticks`.
        nodes: as `Replication.nodes`; `draining_s`, `pool`, `zone` and `reason` (why a node is gone) where it has them.
        horizon_s: end of time.
        moments: columns at_s, kind, what, nodes, broadcasts, viewers; None where the run kept none, so that orders and
            ends of nodes are told from `nodes`.
    """

    ticks: pd.DataFrame
    nodes: pd.DataFrame
    horizon_s: float
    moments: pd.DataFrame | None = None


def timeline_text(records: Records, about: dict[str, Any]) -> str:
    """Return a timeline as the text of a file.

    Args:
        records: of one replication.
        about: told in `otherData`, such as title and seed.
    """
    tracks = _with_a_track(records.nodes)
    moments, moments_left_out = _largest(_moments(records))
    events = [*_names(records, tracks), *_counters(records), *_slices(records, tracks), *moments]
    left_out = {"node tracks": len(records.nodes) - len(tracks), "moments": moments_left_out}
    document = {
        "traceEvents": sorted(events, key=lambda event: (event["ph"] != "M", event["ts"])),
        "displayTimeUnit": "ms",
        "otherData": about | {"left out": left_out},
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _with_a_track(nodes: pd.DataFrame) -> pd.DataFrame:
    """Return the nodes that have a track of their own."""
    if len(nodes) <= MOST_NODES:
        return nodes
    if "reason" not in nodes:
        return nodes.iloc[:0]
    interrupted = nodes["reason"].notna() & ~nodes["reason"].isin(PLANNED)
    return nodes[interrupted].head(MOST_NODES)


def _names(records: Records, tracks: pd.DataFrame) -> Iterator[Event]:
    for group, name in ((PLATFORM, "platform"), (NODES, f"nodes ({len(tracks):,} of {len(records.nodes):,})")):
        yield _event("M", "process_name", 0.0, group, 0, args={"name": name})
    for track, node in enumerate(tracks.to_dict("records"), start=1):
        where = ", ".join(str(node[key]) for key in ("pool", "zone") if _is_told(node.get(key)))
        name = f"node {tracks.index[track - 1]}" + (f" ({where})" if where else "")
        yield _event("M", "thread_name", 0.0, NODES, track, args={"name": name})


def _slices(records: Records, tracks: pd.DataFrame) -> Iterator[Event]:
    """Yield what each node was, from its order to its end or that of time; a state of no length is none."""
    for track, node in enumerate(tracks.to_dict("records"), start=1):
        end_s = _or(node["gone_s"], records.horizon_s)
        ready_s = _or(node["ready_s"], end_s)
        draining_s = _or(node.get("draining_s"), end_s)
        ready_s = min(ready_s, draining_s)  # drained while it booted
        states = (
            ("booting", node["ordered_s"], ready_s),
            ("ready", ready_s, draining_s),
            ("draining", draining_s, end_s),
        )
        args = {key: node[key] for key in ("pool", "zone", "reason") if _is_told(node.get(key))}
        for state, from_s, until_s in states:
            if until_s > from_s:
                duration_us = _us(until_s) - _us(from_s)
                yield _event("X", state, from_s, NODES, track, args=args) | {"dur": duration_us, "cat": "node"}


def _counters(records: Records) -> Iterator[Event]:
    """Yield each counter where it changes, and every so many ticks where there are too many."""
    stride = max(1, math.ceil(len(records.ticks) / MOST_POINTS))
    ticks = records.ticks.iloc[::stride]
    for counter, series in COUNTERS.items():
        if not ticks.columns.isin(series.values()).any():
            continue  # of viewers, whom the control plane alone does not have
        table = ticks[list(series.values())].to_numpy(float)
        changed = np.any(np.diff(table, axis=0, prepend=np.nan) != 0, axis=1)
        for at_s, row in zip(ticks["t_s"].to_numpy(float)[changed], table[changed].tolist(), strict=True):
            values = {name: round(value, 3) for name, value in zip(series, row, strict=True)}
            yield _event("C", counter, at_s, PLATFORM, 0, args=values)


def _moments(records: Records) -> Iterator[Event]:
    """Yield what happened at one moment: as the run kept it, else the orders and ends of nodes."""
    if records.moments is None:
        yield from _scalings(records.nodes)
        return
    touched = ("what", "nodes", "broadcasts", *(("viewers",) if "viewers_served" in records.ticks else ()))
    for row in records.moments.to_dict("records"):
        args = {key: row[key] for key in touched if _is_told(row.get(key))}
        yield _event("i", str(row["kind"]), row["at_s"], PLATFORM, 0, args=args) | {"s": "g"}


def _scalings(nodes: pd.DataFrame) -> Iterator[Event]:
    for column, name in (("ordered_s", "nodes ordered"), ("gone_s", "nodes gone")):
        at_s, counts = np.unique(nodes[column].dropna().to_numpy(float), return_counts=True)
        for moment_s, count in zip(at_s.tolist(), counts.tolist(), strict=True):
            yield _event("i", name, moment_s, PLATFORM, 0, args={"nodes": count}) | {"s": "p"}


def _largest(moments: Iterator[Event]) -> tuple[list[Event], int]:
    """Return the moments that touch most broadcasts and nodes, and how many others there are."""
    found = list(moments)
    found.sort(key=lambda event: (-event["args"].get("broadcasts", 0), -event["args"].get("nodes", 0), event["ts"]))
    return found[:MOST_MOMENTS], max(0, len(found) - MOST_MOMENTS)


def _event(phase: str, name: str, at_s: float, group: int, track: int, *, args: Event) -> Event:
    return {"ph": phase, "name": name, "ts": _us(at_s), "pid": group, "tid": track, "args": args}


def _us(at_s: float) -> int:
    return round(at_s * 1e6)


def _or(value: float | None, otherwise: float) -> float:
    return value if value is not None and _is_told(value) else otherwise


def _is_told(value: object) -> bool:
    return value is not None and value != "" and not (isinstance(value, float) and math.isnan(value))
