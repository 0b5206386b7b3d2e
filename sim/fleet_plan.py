"""What the nodes of each pool hold: plans of nodes from coefficients, and room in units for the fleet to count in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scenarios.catalogue import Catalogue
from scenarios.nodes import NodePool
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.capacity import mean_plan, of_each_source, transcode_plan
from sim.carried import carried_values
from sim.components.node import NodeLog
from sim.components.pools import Pool, shared_out
from sim.engines import Position
from sim.node_plan import NodePlan

UNITS = 5_040
"""Room of a node when sources differ: divisible by 1 to 10, so that shares of small numbers are exact."""
COMPUTE = ("cpu", "encode_engine", "decode_engine")
"""Resources of which a busy node falls behind; those of the others it has, or has not."""


@dataclass(frozen=True)
class PoolPlan:
    """Nodes of one pool in one zone.

    Attributes:
        pool: as the fleet knows it.
        instance: type of the node.
        nodes: plan of a node by source.
        price_usd_per_hour: of a node, as bought.
        load: share of all that a node has which a mean broadcast takes of what it computes with, by source.
        mean: plan of a node whose broadcasts come in the shares of the scenario's sources.
    """

    pool: Pool
    instance: str
    nodes: tuple[NodePlan, ...]
    price_usd_per_hour: float
    load: tuple[float, ...]
    mean: NodePlan


def largest_fleet(pools: Sequence[NodePool], zones: Sequence[str], max_nodes: int) -> list[int]:
    """Return the nodes of each pool in a fleet of `max_nodes`, or of as many as are to be had."""
    limits = [pool.available_max for pool in pools]
    most = [
        max_nodes if limit is None else limit * len(pool.zones or zones)
        for pool, limit in zip(pools, limits, strict=True)
    ]
    return shared_out(max_nodes, [pool.min_nodes for pool in pools], most, [pool.weight for pool in pools])


@dataclass(frozen=True)
class LargestFleet:
    """The largest fleet of a scenario in one world.

    Attributes:
        chief: plan of a node of the pool that has most of it.
        places: broadcasts that it holds.
        places_per_node: in the mean.
    """

    chief: NodePlan
    places: float
    places_per_node: float


def fleet_at_most(scenario: Scenario, plans: Sequence[PoolPlan]) -> LargestFleet:
    """Return the largest fleet, given the plans of its pools."""
    return largest_of(scenario, {plan.pool.name: plan.mean for plan in plans})


def largest_of(scenario: Scenario, mean_of: Mapping[str, NodePlan]) -> LargestFleet:
    """Return the largest fleet, given the plan of a node under the mean broadcast by the name of its pool."""
    transcode, pools = scenario.platform.transcode, pools_of(scenario)
    means = [mean_of[pool.name] for pool in pools]
    nodes = largest_fleet(pools, transcode.zones, transcode.max_nodes)
    places = float(sum(count * plan.broadcasts for count, plan in zip(nodes, means, strict=True)))
    whole = sum(nodes)
    mean = sum(plan.broadcasts for plan in means) / len(means)
    chief = means[nodes.index(max(nodes))]
    return LargestFleet(chief, places, places / whole if whole else mean)


def pools_of(scenario: Scenario) -> tuple[NodePool, ...]:
    """Return the pools of a scenario; one on demand of its instance where it names none."""
    transcode = scenario.platform.transcode
    return transcode.pools or (NodePool(name=transcode.instance),)


def of_pool(scenario: Scenario, pool: NodePool) -> Scenario:
    """Return the scenario whose transcode nodes are all of a pool's kind, which is how its node is planned."""
    transcode = scenario.platform.transcode
    same = pool.instance is None or pool.instance == transcode.instance
    changes: dict[str, object] = {"instance": pool.instance or transcode.instance}
    changes["encode_on"] = pool.encode_on or (transcode.encode_on if same else None)
    if not same:
        changes |= {"node_price_usd_per_hour": None, "nic_bps": None}
    if pool.price_usd_per_hour is not None:
        changes["node_price_usd_per_hour"] = pool.price_usd_per_hour
    platform = scenario.platform.model_copy(update={"transcode": transcode.model_copy(update=changes)})
    return scenario.model_copy(update={"platform": platform})


def kinds_of_nodes(scenario: Scenario) -> Iterator[Scenario]:
    """Yield a scenario of one kind of node and one source for each pool and source there is."""
    for pool in pools_of(scenario):
        yield from of_each_source(of_pool(scenario, pool))


def fleet_plan(
    scenario: Scenario,
    profile: Profile,
    catalogue: Catalogue,
    row: Mapping[str, float],
    position: Position,
    anchor: float,
) -> tuple[PoolPlan, ...]:
    """Return the plan of every pool in every zone for one draw of what is not known.

    Raises:
        CalibrationError: a broadcast does not fit on a node of a pool, or the catalogue lacks a figure.
    """
    plans: list[PoolPlan] = []
    for spec in pools_of(scenario):
        kind = of_pool(scenario, spec)
        nodes = []
        for variant in of_each_source(kind):
            values = dict(row) | carried_values(variant, catalogue, position)
            nodes.append(transcode_plan(variant, profile, catalogue, values, anchor))
        plans += _in_zones(scenario, spec, kind.platform.transcode.instance, tuple(nodes))
    return tuple(plans)


def _in_zones(scenario: Scenario, spec: NodePool, instance: str, nodes: tuple[NodePlan, ...]) -> list[PoolPlan]:
    zones = spec.zones or scenario.platform.transcode.zones
    units, need = room(nodes)
    price = nodes[0].price_usd_per_hour
    if spec.price_usd_per_hour is None:
        price *= 1.0 - spec.discount
    mean = mean_plan(scenario, nodes)
    load = tuple(_load(plan, scenario.platform.transcode.planning_utilisation) for plan in nodes)
    plans = []
    for number, zone in enumerate(zones):
        pool = Pool(
            name=spec.name,
            zone=zone,
            units=units,
            need=need,
            least=spec.min_nodes // len(zones) + (number < spec.min_nodes % len(zones)),
            available_max=spec.available_max,
            weight=spec.weight / len(zones),
            launch_failure=spec.launch_failure,
            purchase=spec.purchase,
            taken_back=spec.taken_back,
        )
        plans.append(PoolPlan(pool, instance, nodes, price, load, mean))
    return plans


def room(nodes: Sequence[NodePlan]) -> tuple[int, tuple[int, ...]]:
    """Return the units of a node and what a broadcast of each source takes of them, rounded up to a whole unit.

    With one source a unit is a place. With several, a source takes the share of the resource that binds it: where
    sources bind at different resources, a mix of them would fit a little better than this says.
    """
    if len(nodes) == 1:
        return nodes[0].broadcasts, (1,)
    shares = [float((plan.demand / plan.capacity).max()) for plan in nodes]
    return UNITS, tuple(max(1, math.ceil(share * UNITS - 1e-6)) for share in shares)


def _load(plan: NodePlan, planning_utilisation: float) -> float:
    shares = dict(zip(plan.resources, np.asarray(plan.demand / plan.capacity, float).tolist(), strict=True))
    return float(max(shares[name] for name in COMPUTE if name in shares)) * planning_utilisation


def node_frame(log: NodeLog, pools: Sequence[PoolPlan]) -> pd.DataFrame:
    """Return one row a node ever ordered: moments in seconds, its pool, and what an hour of it costs."""
    pool = np.array(log.pool, int)

    def labels(column: str) -> pd.Categorical:
        values = {"pool": [p.pool.name for p in pools], "zone": [p.pool.zone for p in pools]}
        values |= {"instance": [p.instance for p in pools], "purchase": [p.pool.purchase for p in pools]}
        names = list(dict.fromkeys(values[column]))
        return pd.Categorical.from_codes(np.array([names.index(v) for v in values[column]])[pool], categories=names)

    return pd.DataFrame(
        {
            "ordered_s": np.array(log.ordered_s, float),
            "ready_s": np.array(log.ready_s, float),
            "draining_s": np.array(log.draining_s, float),
            "gone_s": np.array(log.gone_s, float),
            **{name: labels(name) for name in ("pool", "zone", "instance", "purchase")},
            "price_usd_per_hour": np.array([plan.price_usd_per_hour for plan in pools])[pool],
            "reason": log.reason,
        }
    )
