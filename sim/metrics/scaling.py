"""How well the fleet follows its load: spare, lacking, turned round; and how long it would last."""

from __future__ import annotations

import math

import numpy as np

from sim.metrics.case import Case, Metric, ratio, unstable_after_s
from sim.sampling import Floats
from sim.scale_events import flaps

FASTEST_RAMP_PER_HOUR = 1.7
"""Growth of demand in an hour, at most: assumed. The fastest of an ordinary event evening was 1.35."""
NEARLY_EMPTY = 1e-9
"""Share of places in use below which a fleet counts as empty, so that its time to fill stays finite."""
FLAP_WINDOW_S = 1_800.0
"""A change of the fleet that is taken back within half an hour counts as a flap."""


def _demand(case: Case) -> Floats:
    ticks = case.run.ticks
    return np.asarray(ticks["broadcasts_in_service"] + ticks["broadcasts_waiting"], float)


def _ready(case: Case) -> Floats:
    return np.asarray(case.run.ticks["nodes_ready"], float)


def _tick_h(case: Case) -> float:
    return case.scenario.horizon.tick_s / 3600.0


def places_used_mean(case: Case) -> float:
    """Return the mean share of the ready nodes' places that is taken, weighted by nodes."""
    ready, free = _ready(case), np.asarray(case.run.ticks["room_free"], float)
    return float(1.0 - (ready * free).sum() / ready.sum()) if ready.sum() else math.nan


def places_used_p95(case: Case) -> float:
    """Return the share of places taken that is not exceeded in 95 % of the ticks; those without a node do not count."""
    ticks = case.run.ticks
    taken = 1.0 - ticks["room_free"][ticks["nodes_ready"] > 0]
    return float(np.quantile(taken, 0.95)) if len(taken) else math.nan


def fragmentation(case: Case) -> float:
    """Return the share of the ready nodes' free room that the source that takes most cannot use."""
    ready, ticks = _ready(case), case.run.ticks
    free, stranded = (float(ready @ ticks[name].to_numpy(float)) for name in ("room_free", "room_stranded"))
    return ratio(stranded, free)


def spare_node_hours(case: Case) -> float:
    """Return hours of ready nodes beyond what full nodes would need, the over-provisioned ones."""
    return float(np.maximum(_ready(case) - _needed(case), 0.0).sum()) * _tick_h(case)


def lacking_node_hours(case: Case) -> float:
    """Return hours of nodes that lacked for those who waited, the under-provisioned ones."""
    return float(np.maximum(_needed(case) - _ready(case), 0.0).sum()) * _tick_h(case)


def _needed(case: Case) -> Floats:
    needed: Floats = np.ceil(_demand(case) / case.run.places_per_node - 1e-9)
    return needed


def flaps_per_day(case: Case) -> float:
    """Return how often a day the autoscaler took back within half an hour what it had done."""
    events = case.run.events[case.run.events["kind"].isin(["scale out", "scale in"])]
    found = flaps(events["at_s"].to_numpy(float), events["nodes"].to_numpy(float), window_s=FLAP_WINDOW_S)
    return found * 86_400.0 / case.run.horizon_s


def headroom(case: Case) -> float:
    """Return 1 - the demand that is not exceeded in 99.9 % of ticks ÷ places of the largest fleet."""
    wanted = float(np.quantile(case.run.ticks["broadcasts_wanted"], 0.999))
    return 1.0 - ratio(wanted, case.run.most_places)


def exhausted_in_s(case: Case) -> float:
    """Return the shortest time, over the ticks, until the ready places are full at the fastest assumed ramp.

    With a share u of the places in use, demand that grows by 1.7 times in an hour fills them after -ln(u) / ln(1.7)
    hours; a fleet holds only if its nodes take less than that to boot. Ticks without a broadcast do not count.
    """
    used = 1.0 - np.asarray(case.run.ticks["room_free"], float)[_demand(case) > 0]
    if not used.size:
        return math.nan
    fill_h = math.log(1.0 / max(float(used.max()), NEARLY_EMPTY)) / math.log(FASTEST_RAMP_PER_HOUR)
    return fill_h * 3600.0


SCALING: dict[str, Metric] = {
    "unstable_after_s": Metric(
        "scaling",
        "s",
        "UNSTABLE after: more want a place than the largest fleet has",
        unstable_after_s,
        lambda case: not math.isnan(unstable_after_s(case)),
    ),
    "places_used_mean": Metric("scaling", "1", "places of ready nodes in use, mean", places_used_mean),
    "places_used_p95": Metric("scaling", "1", "places of ready nodes in use, 95th percentile", places_used_p95),
    "fragmentation": Metric(
        "scaling",
        "1",
        "free room of ready nodes that the largest source cannot use",
        fragmentation,
        lambda case: len(case.scenario.workload.sources) > 1,
    ),
    "spare_node_hours": Metric("scaling", "node-hours", "ready beyond what was needed", spare_node_hours),
    "lacking_node_hours": Metric("scaling", "node-hours", "lacking for those who waited", lacking_node_hours),
    "flaps_per_day": Metric("scaling", "1/day", "changes of the fleet taken back within half an hour", flaps_per_day),
    "headroom": Metric("scaling", "1", "places that max_nodes would hold beyond the peak", headroom),
    "exhausted_in_s": Metric(
        "scaling", "s", "ready places full at 1.7 times the load an hour, tightest moment", exhausted_in_s
    ),
}
