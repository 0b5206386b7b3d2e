"""What is told as a range and never as one number: whatever rests on figures that nobody measured on the machine."""

from __future__ import annotations

import math

import pandas as pd

from sim.carried import PlanRange

COST, OF_HOUR = "transcode_usd_per_month", "usd_per_stream_hour"
OF_FLEET = ("nodes_peak", COST, OF_HOUR)
"""Metrics in proportion to the number of nodes."""
OF_NODE = "broadcasts_per_node"


def ranges(
    values: pd.DataFrame,
    held: PlanRange,
    *,
    min_nodes: int = 0,
    least_usd_per_month: float = 0.0,
    follows_load: bool = True,
) -> dict[str, tuple[float, float]]:
    """Return the range of each metric that moves with the broadcasts a node holds.

    A fleet is in proportion to 1 ÷ broadcasts per node: each replication's fleet is carried from the node that was
    drawn for it to those at the ends of the range. An end at which a node holds nothing counts as one broadcast.

    Args:
        values: metrics by replication, as `RunResult.values`.
        held: broadcasts that a node holds.
        min_nodes: that a fleet holds whatever is wanted, where it could have them; its peak is no lower.
        least_usd_per_month: what those nodes cost; the fleet costs no less.
        follows_load: whether the fleet has as many nodes as its load needs. One of a typed size has that size whatever
            a node holds, and what is not known moves its refusals instead.
    """
    by_metric = values.pivot_table(index="replication", columns="metric", values="value")
    drawn = by_metric[OF_NODE]
    low, high = min(held.low, float(drawn.min())), max(held.high, float(drawn.max()))
    found = {OF_NODE: (low, high)}
    if not follows_load:
        return found
    for metric in OF_FLEET:
        if metric in by_metric:
            need = (by_metric[metric] * drawn).dropna()
            found[metric] = _ends(metric, float(need.min()) / high, float(need.max()) / max(low, 1.0))
    for metric, floor in (("nodes_peak", float(min_nodes)), (COST, least_usd_per_month)):
        if metric in found:
            low, high = found[metric]
            raised = max(low, min(floor, float(by_metric[metric].min())))
            found[metric] = raised, high
            if metric == COST and OF_HOUR in found and low > 0:
                per_hour = min(found[OF_HOUR][0] * raised / low, float(by_metric[OF_HOUR].min()))
                found[OF_HOUR] = per_hour, found[OF_HOUR][1]
    return found


def _ends(metric: str, low: float, high: float) -> tuple[float, float]:
    if metric == "nodes_peak":
        return float(math.ceil(low - 1e-9)), float(math.ceil(high - 1e-9))
    return low, high
