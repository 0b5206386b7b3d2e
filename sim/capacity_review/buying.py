"""How the nodes of a type may be bought: the scenario's own way, all on demand, all on spot."""

from __future__ import annotations

from scenarios.nodes import NodePool
from scenarios.scenario import Scenario

SPOT_DISCOUNT = 0.64
"""Off the on-demand price, where the scenario buys nothing on spot: of g4dn.xlarge, Spot Advisor 2025-06-28; assumed
for every other type."""
RESERVED_DISCOUNT = 0.35
"""Off the on-demand price for a year, where the scenario reserves nothing: the middle of 0.3 to 0.4; assumed."""


def ways_to_buy(scenario: Scenario) -> dict[str, Scenario]:
    """Return the scenario bought in other ways than its own: `on demand` and `spot`, each one pool of all nodes.

    What the scenario says of its spot pool (discount, interruptions, how many are to be had) holds for the nodes that
    are all on spot. Nodes that are reserved behave as on demand, so their cost follows from that run
    (`sim.capacity_review.purchases`).
    """
    return {"on demand": _bought(scenario, _on_demand(scenario)), "spot": _bought(scenario, _on_spot(scenario))}


def discount(scenario: Scenario, purchase: str) -> float:
    """Return what is taken off the on-demand price for a purchase: the scenario's own figure, or the default."""
    found = [pool.discount for pool in scenario.platform.transcode.pools if pool.purchase == purchase]
    return found[0] if found else {"spot": SPOT_DISCOUNT, "reserved": RESERVED_DISCOUNT}[purchase]


def own_way(scenario: Scenario) -> str:
    """Return in words how the scenario buys."""
    pools = scenario.platform.transcode.pools
    ways = list(dict.fromkeys(pool.purchase.replace("_", " ") for pool in pools)) or ["on demand"]
    return ways[0] if len(ways) == 1 else f"as written ({' + '.join(ways)})"


def _on_demand(scenario: Scenario) -> NodePool:
    return NodePool(name="on-demand", min_nodes=_least(scenario))


def _on_spot(scenario: Scenario) -> NodePool:
    own = [pool for pool in scenario.platform.transcode.pools if pool.purchase == "spot"]
    changes = {"name": "spot", "min_nodes": _least(scenario), "zones": (), "weight": 1.0}
    if own:
        return own[0].model_copy(update=changes)
    return NodePool(name="spot", purchase="spot", discount=SPOT_DISCOUNT, min_nodes=_least(scenario))


def _least(scenario: Scenario) -> int:
    return sum(pool.min_nodes for pool in scenario.platform.transcode.pools)


def _bought(scenario: Scenario, pool: NodePool) -> Scenario:
    transcode = scenario.platform.transcode.model_copy(update={"pools": (pool,)})
    return scenario.model_copy(update={"platform": scenario.platform.model_copy(update={"transcode": transcode})})
