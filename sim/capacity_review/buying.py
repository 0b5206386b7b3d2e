"""How the nodes of a type may be bought: the scenario's own way, all on demand, all on spot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scenarios.nodes import HOURS_PER_MONTH, NodePool
from scenarios.scenario import Scenario
from scenarios.slo import Slo
from sim.capacity_review.candidates import followers, kept_types
from sim.capacity_review.purchases import Tariff, best_purchase, paid_nodes
from sim.capacity_review.screening import values_of
from sim.capacity_review.standings import MEANS, list_price
from sim.ranges import COST
from sim.results import RunResult
from sim.sampling import Floats
from sim.slo_attainment import attainment
from sim.statistics.intervals import mean_interval

SPOT_DISCOUNT = 0.64
"""Off the on-demand price, where the scenario buys nothing on spot: of g4dn.xlarge, Spot Advisor 2025-06-28; assumed
for every other type."""
RISK = "unserved_viewer_fraction"
"""What cost is held against: viewer-time that was not served."""
ON_DEMAND = "on demand"
FEWEST_HOURS_OF_A_MONTH = 672.0
"""Of February. Fewer are some hours of each day, and a reservation is paid for in all of them."""
RESERVED_DISCOUNT = 0.35
"""Off the on-demand price for a year, where the scenario reserves nothing: the middle of 0.3 to 0.4; assumed."""


def ways_to_buy(scenario: Scenario) -> dict[str, Scenario]:
    """Return the scenario bought in each way: as it is written, all `on demand`, all on `spot`, by name.

    What the scenario says of its spot pool (discount, interruptions, how many are to be had) holds for the nodes that
    are all on spot. A scenario that buys in one of these ways alone has no other row for that. Where nodes encode stays
    as it is, and so do pools of another type. Nodes that are reserved behave as on demand, so their cost follows from
    that run (`sim.capacity_review.purchases`).
    """
    own = own_way(scenario)
    others = {ON_DEMAND: _bought(scenario, _on_demand), "spot": _bought(scenario, _on_spot)}
    return {own: scenario} | {way: bought for way, bought in others.items() if way != own}


def discount(scenario: Scenario, purchase: str) -> float:
    """Return what is taken off the on-demand price for a purchase: the scenario's own figure, or the default."""
    found = [pool.discount for pool in followers(scenario) if pool.purchase == purchase]
    return found[0] if found else {"spot": SPOT_DISCOUNT, "reserved": RESERVED_DISCOUNT}[purchase]


def own_way(scenario: Scenario) -> str:
    """Return in words how the scenario buys the nodes of its own type."""
    pools = followers(scenario)
    ways = list(dict.fromkeys(pool.purchase.replace("_", " ") for pool in pools)) or ["on demand"]
    is_plain = len(ways) == 1 and len(pools) < 2
    return ways[0] if is_plain else f"as written ({' + '.join(ways)})"


def _on_demand(pools: Sequence[NodePool]) -> NodePool:
    return NodePool(name=pools[0].name).model_copy(update=_kept(pools))


def _on_spot(pools: Sequence[NodePool]) -> NodePool:
    own = [pool for pool in pools if pool.purchase == "spot"]
    if own:
        return own[0].model_copy(update={"zones": ()} | _kept(pools))
    return NodePool(name=pools[0].name, purchase="spot", discount=SPOT_DISCOUNT).model_copy(update=_kept(pools))


def _kept(pools: Sequence[NodePool]) -> dict[str, Any]:
    """Return what stays, however the nodes of some pools are bought."""
    weight, least = sum(pool.weight for pool in pools), sum(pool.min_nodes for pool in pools)
    return {"encode_on": pools[0].encode_on, "weight": weight, "min_nodes": least}


def _bought(scenario: Scenario, how: Callable[[Sequence[NodePool]], NodePool]) -> Scenario:
    """Return the scenario with one pool, bought in one way, for all of its own type that encode in the same place."""
    spec = scenario.platform.transcode
    own = followers(scenario) or (NodePool(name=spec.instance),)
    alike = ([pool for pool in own if pool.encode_on == place] for place in dict.fromkeys(one.encode_on for one in own))
    others = (pool for pool in spec.pools if pool not in own)
    transcode = spec.model_copy(update={"pools": (*map(how, alike), *others)})
    return scenario.model_copy(update={"platform": scenario.platform.model_copy(update={"transcode": transcode})})


def purchase_rows(
    finalist: str, results: Mapping[str, RunResult], slo: Slo, *, own: Scenario
) -> Iterator[dict[str, Any]]:
    """Yield a row for each way to buy a finalist's nodes; reservations only where all nodes are of its type.

    Columns: instance; way; transcode_usd_per_month with `_low` and `_high` (95 % interval of the mean, or the range of
    what nobody measured: is_range); usd_per_stream_hour; the means of `MEANS`, NaN where there is none;
    unserved_viewer_fraction_low and _high (95 % interval of the mean, NaN where there is none); kept_days;
    reserved_nodes, of the way that reserves some; replications.

    Args:
        finalist: its name.
        results: by way to buy, `on demand` among them, from which the way that reserves follows.
        slo: the promise.
        own: the finalist's scenario as written.
    """
    for way, result in results.items():
        yield _row(finalist, way, result, slo, values_of(result, COST))
    if any(kept_types(own)):
        return
    on_demand = results[ON_DEMAND]
    price = list_price(own)
    hours = own.prices.hours_per_month
    is_whole = hours >= FEWEST_HOURS_OF_A_MONTH
    month = Tariff(price.usd_per_hour, discount(own, "reserved"), hours if is_whole else HOURS_PER_MONTH)
    tariff = month._replace(share_of_month=hours / month.hours_per_month)
    best = best_purchase(paid_nodes(on_demand.ticks), tariff)
    row = _row(finalist, "reserved + on demand", on_demand, slo, best.usd_per_month)
    yield row | {"reserved_nodes": best.reserved_nodes}


def first_days(result: RunResult, days: int) -> RunResult:
    """Return a result of the first days alone, so that ways to buy are compared on the same ones."""
    frames = {name: getattr(result, name) for name in ("values", "ticks", "nodes", "events", "middle")}
    cut = {name: frame[frame["replication"] < days] for name, frame in frames.items()}
    return replace(result, broadcasts=result.broadcasts.iloc[:0], **cut)


def _row(finalist: str, way: str, result: RunResult, slo: Slo, usd_per_month: Floats) -> dict[str, Any]:
    mean = result.summary.set_index("metric")["mean"]
    usd, low, high = mean_interval(usd_per_month)
    share = usd / float(values_of(result, COST).mean())
    if COST in result.ranges:
        low, high = (end * share for end in result.ranges[COST])
    return {
        "instance": finalist,
        "way": way,
        COST: usd,
        f"{COST}_low": max(low, 0.0),
        f"{COST}_high": high,
        "is_range": COST in result.ranges,
        "usd_per_stream_hour": float(mean["usd_per_stream_hour"]) * share,
        **{metric: float(mean.get(metric, math.nan)) for metric in MEANS},
        **_ends_of_risk(result),
        "kept_days": attainment(result.values, slo).share.value,
        "reserved_nodes": 0,
        "replications": result.replications,
    }


def _ends_of_risk(result: RunResult) -> dict[str, float]:
    _, low, high = mean_interval(values_of(result, RISK))
    ends = (max(low, 0.0), min(high, 1.0)) if math.isfinite(high) else (math.nan, math.nan)
    return dict(zip((f"{RISK}_low", f"{RISK}_high"), ends, strict=True))
