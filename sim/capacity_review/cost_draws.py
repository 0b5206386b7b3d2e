"""What a month costs in each joint draw, from fleets that were simulated in a few worlds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from scenarios.errors import CalibrationError
from sim.capacity_review.purchases import paid_nodes
from sim.capacity_review.screening import values_of
from sim.ranges import COST
from sim.results import RunResult
from sim.sampling import Floats


class Months(NamedTuple):
    """What was simulated of a candidate, one row a replication.

    Attributes:
        usd_per_month: shape (replications,).
        places: broadcasts that a node holds in the world of each replication, likewise.
        paid: nodes that are paid for, shape (replications, ticks).
        min_nodes: that its fleet holds whatever is wanted.
        max_nodes: that it may have.
    """

    usd_per_month: Floats
    places: Floats
    paid: Floats
    min_nodes: float = 0.0
    max_nodes: float = np.inf


def months_of(result: RunResult) -> Months:
    """Return what a result says of its fleet's months."""
    spec = result.scenario.platform.transcode
    least = max(spec.min_nodes, sum(pool.min_nodes for pool in spec.pools))
    places = values_of(result, "broadcasts_per_node")
    return Months(values_of(result, COST), places, paid_nodes(result.ticks), least, spec.max_nodes)


def cost_draws(places: pd.DataFrame, months: Mapping[str, Months]) -> pd.DataFrame:
    """Return dollars per month, one row a draw and one column a candidate of `months`: the mean over its days.

    An approximation, as that of `sim.ranges`: at each tick a fleet is in proportion to 1 ÷ the broadcasts that a node
    holds. It stays within min_nodes and max_nodes, and where it stood at min_nodes it does so in any draw, as
    nobody knows how much less it needed; so a fleet whose size is fixed costs the same in each. It leaves out the whole
    node that is rounded up to and what an autoscaler makes of larger nodes.

    Args:
        places: broadcasts a node holds, as `JointDraws.places`.
        months: by candidate.

    Raises:
        CalibrationError: a candidate was not drawn.
    """
    unknown = [name for name in months if name not in places]
    if unknown:
        raise CalibrationError(f"no joint draws of {', '.join(unknown)}; draw it together with the others")
    return pd.DataFrame({name: _usd(places[name].to_numpy(float), of) for name, of in months.items()}, places.index)


def _usd(places: Floats, of: Months) -> Floats:
    days = [
        usd * _fleet_factor(paid, held / places, of)
        for usd, held, paid in zip(of.usd_per_month, of.places, of.paid, strict=True)
    ]
    mean: Floats = np.mean(days, axis=0)
    return mean


def _fleet_factor(paid: Floats, more: Floats, of: Months) -> Floats:
    """Return by how much node-hours of a day change where so many times the nodes are needed, one number a draw."""
    nodes, ticks = np.unique(paid, return_counts=True)
    needed = np.where(nodes > of.min_nodes, nodes, 0.0)
    fleets = np.clip(np.outer(more, needed), of.min_nodes, max(of.max_nodes, float(nodes.max())))
    # Fewer than min_nodes are there where they could not be had, and so in any draw.
    fleets = np.where(nodes < of.min_nodes, nodes, fleets)
    whole = float(nodes @ ticks)
    factor: Floats = fleets @ ticks / whole if whole else np.ones_like(more)
    return factor
