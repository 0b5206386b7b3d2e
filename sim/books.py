"""The books of a run: everything that came in is somewhere at the end, or the run fails rather than reports."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from sim.records import Replication

FLUID_TOLERANCE = 1e-9


class BooksError(Exception):
    """The books of a run do not balance: a fault of the simulator, not of the scenario."""


def check(run: Replication) -> None:
    """Check every balance of a finished replication.

    Raises:
        BooksError: names each balance that fails, with both sides.
    """
    failures = [
        f"{name}: {left!r} against {right!r}"
        for name, left, right, tolerance in _balances(run)
        if not math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
    ]
    if failures:
        raise BooksError("the books do not balance: " + "; ".join(failures))


def _balances(run: Replication) -> Iterator[tuple[str, float, float, float]]:
    """Yield (name, one side, the other, tolerance); each side is counted in a place of its own."""
    rows, ticks, tally = run.broadcasts, run.ticks, run.tally.counts
    outcome = rows["outcome"].value_counts()
    yield "broadcasts asked = rows", tally.get("asked", 0), len(rows), 0
    for event in (
        "ended",
        "gave up waiting",
        "refused: no place",
        "refused: auth limit",
        "refused: ingest full",
    ):
        yield f"{event} = rows", tally.get(event, 0), int(outcome.get(event, 0)), 0
    yield "in service at the end = rows", run.in_service_at_end, int(outcome.get("in service", 0)), 0
    yield "waiting at the end = rows", run.waiting_at_end, int(outcome.get("waiting", 0)), 0
    yield "asking at the end = rows", run.asking_at_end, int(outcome.get("asking", 0)), 0
    yield "held by nodes = in service", run.held_at_end, run.in_service_at_end, 0
    yield (
        "placed = ended + in service",
        tally.get("placed", 0),
        tally.get("ended", 0) + run.in_service_at_end,
        0,
    )
    yield (
        "connected to ingest = waiting + in service",
        run.connected_at_end,
        run.waiting_at_end + run.in_service_at_end,
        0,
    )
    yield "nodes ordered = by state", len(run.nodes), sum(run.nodes_at_end.values()), 0
    gone = int(run.nodes["gone_s"].notna().sum())
    yield "nodes gone = rows with an end", run.nodes_at_end["gone"], gone, 0
    placed = rows["placed_s"].notna()
    left_s = rows["left_s"].where(rows["left_s"].notna(), run.horizon_s)
    sojourn_s = float((left_s - rows["placed_s"])[placed].sum())
    yield (
        "Little's law: area in service = sum of sojourns",
        run.tally.service_area_s,
        sojourn_s,
        FLUID_TOLERANCE,
    )
    for kind, parts in (("segment", ("hits", "misses")), ("playlist", ("hits", "delayed_hits", "misses"))):
        requests = ticks[f"{kind}_requests"].to_numpy()
        served = np.sum([ticks[f"{kind}_{part}"].to_numpy() for part in parts], axis=0)
        yield f"{kind} requests = {' + '.join(parts)}", requests.sum(), served.sum(), FLUID_TOLERANCE
    wanted, served_viewers = ticks["viewers_wanted"], ticks["viewers_served"] + ticks["viewers_unserved"]
    yield "viewers wanted = served + unserved", wanted.sum(), served_viewers.sum(), FLUID_TOLERANCE
