"""The books of a run: everything that came in is somewhere at the end, or the run fails rather than reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from sim.records import AT_THE_END, Outcome, Replication

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

    def rows_with(*states: Outcome) -> int:
        return sum(int(outcome.get(state.text, 0)) for state in states)

    yield "broadcasts asked = rows", tally.get("asked", 0), len(rows), 0
    for state in Outcome:
        if state > max(AT_THE_END):
            yield f"{state.text} = rows", tally.get(state.text, 0), rows_with(state), 0
    yield "none before its time", 0, rows_with(Outcome.UNSEEN), 0
    yield from _ends(run, rows_with)
    yield (
        "placed = ended + interrupted + in service",
        tally.get("placed", 0),
        tally.get("ended", 0) + tally.get("interrupted", 0) + run.at_end["in service"],
        0,
    )
    yield "interrupted = by rows", tally.get("interrupted", 0), int(rows["interruptions"].sum()), 0
    yield "nodes ordered = by state", len(run.nodes), sum(run.nodes_at_end.values()), 0
    gone = int(run.nodes["gone_s"].notna().sum())
    yield "nodes gone = rows with an end", run.nodes_at_end["gone"], gone, 0
    told = sum(count for event, count in tally.items() if event.startswith("node "))
    with_reason = int((run.nodes["reason"] != "")[run.nodes["gone_s"].notna()].sum())
    yield "nodes gone = told with a reason", told, with_reason, 0
    yield (
        "Little's law: area in service = sum of times in service",
        run.tally.service_area_s,
        float(rows["served_s"].sum()),
        FLUID_TOLERANCE,
    )
    whole = rows[rows["placed_s"].notna() & (rows["interruptions"] == 0)]
    until_s = whole["left_s"].fillna(run.horizon_s)
    yield (
        "time in service = end - start, of those never interrupted",
        float(whole["served_s"].sum()),
        float((until_s - whole["placed_s"]).sum()),
        FLUID_TOLERANCE,
    )
    if run.is_watched:
        yield from _crowd(ticks)


def _ends(run: Replication, rows_with: Callable[..., int]) -> Iterator[tuple[str, float, float, float]]:
    """Yield what components hold at the end against the rows."""
    end = run.at_end
    coming_back = int((run.broadcasts["interruptions"] > 0)[_is_open(run.broadcasts)].sum())
    yield "in service at the end = rows", end["in service"], rows_with(Outcome.IN_SERVICE), 0
    yield "waiting at the end = rows", end["waiting"], rows_with(Outcome.WAITING), 0
    yield "asking at the end = rows", end["asking"], rows_with(Outcome.ASKING), 0
    yield "coming back at the end = rows", end["coming back"], coming_back, 0
    yield "held by nodes = in service", end["held"], end["in service"], 0
    connected = end["waiting"] + end["in service"] + rows_with(Outcome.SOURCE_ONLY)
    yield "connected to ingest = waiting + in service + source only", end["connected"], connected, 0


def _is_open(rows: pd.DataFrame) -> pd.Series:
    """Return which rows are away, or ask or wait after they were interrupted."""
    return rows["outcome"].isin([Outcome.AWAY.text, Outcome.ASKING.text, Outcome.WAITING.text])


def _crowd(ticks: pd.DataFrame) -> Iterator[tuple[str, float, float, float]]:
    """Yield the balances of requests and viewers."""
    for kind, parts in (("segment", ("hits", "misses")), ("playlist", ("hits", "delayed_hits", "misses"))):
        requests = ticks[f"{kind}_requests"].to_numpy()
        served = np.sum([ticks[f"{kind}_{part}"].to_numpy() for part in parts], axis=0)
        yield f"{kind} requests = {' + '.join(parts)}", requests.sum(), served.sum(), FLUID_TOLERANCE
    wanted, served_viewers = ticks["viewers_wanted"], ticks["viewers_served"] + ticks["viewers_unserved"]
    served_viewers = served_viewers + ticks["viewers_away"]
    yield "viewers wanted = served + unserved + away", wanted.sum(), served_viewers.sum(), FLUID_TOLERANCE
