"""What each failure hits, and how long it takes until service is back."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

FAILURE_KINDS = ("zone_loss", "spot_storm", "rolling_deploy", "node_loss")
STILL_AWAY = 0.01
"""Share of the broadcasts that a failure hits which may still be away when service counts as back."""
BEGINS_WITHIN_S = 3_600.0
"""Interruptions that begin later are not of this failure; a notice, or a drain deadline, delays them."""


def recovery_s(ticks: pd.DataFrame, at_s: float, broadcasts: float, kind: str = "") -> float:
    """Return the time from a failure until 99 % of the broadcasts that it hits are not away, to a tick.

    0 if they never are, or if it hits none; infinite if the horizon comes first. Whoever is away counts, whatever did
    it: of two failures at once each is told the recovery of both.

    Args:
        ticks: of one replication.
        at_s: moment of the failure.
        broadcasts: that it hits.
        kind: of the failure. A deploy takes its nodes in waves: it is over after the last of them.
    """
    if not broadcasts:
        return 0.0
    after = ticks[ticks["t_s"] > at_s]
    away = np.flatnonzero(np.asarray(after["broadcasts_away"], float) > STILL_AWAY * broadcasts)
    if not away.size or after["t_s"].iloc[away[0]] > at_s + BEGINS_WITHIN_S:
        return 0.0
    t_s = np.asarray(after["t_s"], float)[away]
    apart_s = BEGINS_WITHIN_S if kind == "rolling_deploy" else 0.0
    gaps = np.flatnonzero((np.diff(away) > 1) & (np.diff(t_s) > apart_s))
    last = away[gaps[0]] if gaps.size else away[-1]
    return float(after["t_s"].iloc[last + 1]) - at_s if last + 1 < len(after) else math.inf


def failures(events: pd.DataFrame, ticks: pd.DataFrame) -> pd.DataFrame:
    """Return one row a failure, means over replications.

    Columns: at_s, kind, what, nodes, broadcasts, viewers (all that it hits), back_after_s.
    """
    hits = events[events["kind"].isin(FAILURE_KINDS)].copy()
    by_replication = dict(tuple(ticks.groupby("replication")))
    hits["back_after_s"] = [
        recovery_s(by_replication[replication], at_s, hit, kind)
        for replication, at_s, hit, kind in zip(
            hits["replication"], hits["at_s"], hits["broadcasts"], hits["kind"], strict=True
        )
    ]
    columns = ["nodes", "broadcasts", "viewers", "back_after_s"]
    return hits.groupby(["at_s", "kind", "what"], sort=True)[columns].mean().reset_index()
