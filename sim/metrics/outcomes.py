"""What became of broadcasts: queued, without a ladder, interrupted, late; and what their viewers missed by it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from sim.blast_radius import FAILURE_KINDS, recovery_s
from sim.metrics.case import Case, Metric, peak, ratio, total
from sim.records import Outcome


def _asked(case: Case) -> pd.DataFrame:
    rows = case.run.broadcasts
    return rows[rows["publish_s"] >= 0]


def queued_fraction(case: Case) -> float:
    """Return the share of broadcasts that asked after the start and waited for a place, whether they got one or not.

    Whoever waited and then went on without a ladder is not among them, but in `source_only_fraction`.
    """
    rows = _asked(case)
    waited = (rows["placed_s"] > rows["admitted_s"]) | rows["outcome"].isin(
        [Outcome.GAVE_UP_WAITING.text, Outcome.WAITING.text]
    )
    return ratio(float(waited.sum()), float(len(rows)))


def source_only_fraction(case: Case) -> float:
    """Return the share of broadcasts that asked after the start and went on without a ladder."""
    rows = _asked(case)
    without = rows["outcome"].isin([Outcome.SOURCE_ONLY.text, Outcome.ENDED_SOURCE_ONLY.text])
    return ratio(float(without.sum()), float(len(rows)))


def _counted(event: str) -> Metric:
    meaning = {
        "interrupted": "broadcasts that lost their node",
        "moved": "broadcasts moved to another node",
        "lost": "broadcasts whose publisher did not get back",
    }[event]
    return Metric(
        "outcomes", "broadcasts", meaning, lambda case: float(case.run.tally.counts.get(event, 0)), can_interrupt
    )


def interrupted_per_1000_h(case: Case) -> float:
    """Return interruptions per 1,000 hours of broadcast."""
    return ratio(float(case.run.tally.counts.get("interrupted", 0)), case.run.tally.service_area_s / 3.6e6)


def outage_mean_s(case: Case) -> float:
    """Return how long an interrupted broadcast was away, on average over interruptions."""
    return ratio(case.run.tally.away_s, float(case.run.tally.counts.get("interrupted", 0)))


def can_interrupt(case: Case) -> bool:
    """Return whether something in the scenario can end a broadcast before its broadcaster does."""
    spec = case.scenario.platform.transcode
    taken_back = any(pool.taken_back for pool in spec.pools)
    return bool(case.scenario.failures) or taken_back or spec.drain.migrate or spec.drain.deadline_s is not None


def _has_failures(case: Case) -> bool:
    return bool(case.scenario.failures)


def _goes_without(case: Case) -> bool:
    return case.scenario.platform.transcode.admission.kind != "open"


def _failures(case: Case) -> pd.DataFrame:
    return case.run.events[case.run.events["kind"].isin(FAILURE_KINDS)]


def worst_recovery_s(case: Case) -> float:
    """Return the longest time after a failure until 99 % of the broadcasts that it hits are not away."""
    hits = _failures(case)
    each = zip(hits["at_s"], hits["broadcasts"], hits["kind"], strict=True)
    found = [recovery_s(case.run.ticks, at_s, hit, kind) for at_s, hit, kind in each]
    return float(np.max(found)) if found else math.nan


def _late(seconds: str) -> Metric:
    meaning = {"late_s": "segments published late by more than one segment", "dropped_s": "video dropped"}[seconds]
    return Metric(
        "outcomes",
        "1",
        meaning,
        lambda case: ratio(getattr(case.run.lag, seconds), case.run.tally.service_area_s),
        lambda case: case.run.lag is not None,
    )


OUTCOMES: dict[str, Metric] = {
    "queued_fraction": Metric("outcomes", "1", "broadcasts that waited for a place", queued_fraction),
    "source_only_fraction": Metric(
        "outcomes", "1", "broadcasts that went on without a ladder", source_only_fraction, _goes_without
    ),
    "interrupted": _counted("interrupted"),
    "moved": _counted("moved"),
    "lost": _counted("lost"),
    "interrupted_per_1000_h": Metric(
        "outcomes", "1/1000h", "interruptions in 1,000 hours of broadcast", interrupted_per_1000_h, can_interrupt
    ),
    "outage_mean_s": Metric("outcomes", "s", "mean outage of an interruption", outage_mean_s, can_interrupt),
    "viewer_hours_lost": Metric(
        "outcomes",
        "viewer-hours",
        "missed by viewers of interrupted or moved broadcasts",
        lambda case: case.run.tally.viewer_seconds_lost / 3600.0,
        can_interrupt,
        of_viewers=True,
    ),
    "viewer_hours_away": Metric(
        "outcomes",
        "viewer-hours",
        "until the players of interrupted viewers were back, to a tick",
        lambda case: total(case, "viewers_away") * case.scenario.horizon.tick_s / 3600.0,
        can_interrupt,
        of_viewers=True,
    ),
    "player_retries_peak_per_s": Metric(
        "outcomes",
        "1/s",
        "tries of players to come back, busiest tick",
        lambda case: peak(case, "player_retries") / case.scenario.horizon.tick_s,
        can_interrupt,
        of_viewers=True,
    ),
    "publisher_attempts": Metric(
        "outcomes",
        "attempts",
        "attempts of interrupted publishers to come back",
        lambda case: float(case.run.attempts),
        can_interrupt,
    ),
    "blast_radius_broadcasts": Metric(
        "outcomes",
        "broadcasts",
        "broadcasts hit by the worst failure",
        lambda case: float(_failures(case)["broadcasts"].max()),
        _has_failures,
    ),
    "blast_radius_viewers": Metric(
        "outcomes",
        "viewers",
        "viewers hit by the worst failure",
        lambda case: float(_failures(case)["viewers"].max()),
        _has_failures,
        of_viewers=True,
    ),
    "recovery_s": Metric(
        "outcomes", "s", "worst failure → 99 % of its broadcasts are back", worst_recovery_s, _has_failures
    ),
    "late_segment_fraction": _late("late_s"),
    "dropped_video_fraction": _late("dropped_s"),
}
