"""What the nodes of all pools rest on: the range of what they hold together, in words, and their prices."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.catalogue import Catalogue
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.capacity import node_plan
from sim.carried import PlanRange, carried_grounds, carried_values, plan_range, range_ground
from sim.fleet_plan import largest_fleet, of_pool, pools_of


def fleet_range(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> PlanRange | None:
    """Return the range of broadcasts a node holds, in the mean over the largest fleet; None if all was measured.

    With nodes of several kinds its ends are those at which all kinds stand at their costly end, or all at their cheap
    one: wider than what is likely, and never too narrow. The shares of the kinds are those of the largest fleet.
    """
    shares = shares_of_kinds(scenario)
    found = [plan_range(kind, profile, catalogue) for kind, _ in shares]
    if len(found) == 1 or not any(found):
        return found[0]
    pairs = zip(found, shares, strict=True)
    ranges = [held or _measured(kind, profile, catalogue) for held, (kind, _) in pairs]
    low, middle, high = (
        sum(getattr(held, end) * share for held, (_, share) in zip(ranges, shares, strict=True))
        for end in ("low", "middle", "high")
    )
    binds = dict.fromkeys(resource for held in ranges for resource in held.binds)
    return PlanRange(int(low), round(middle), int(-(-high // 1)), ranges[0].binding, tuple(binds))


def shares_of_kinds(scenario: Scenario) -> list[tuple[Scenario, float]]:
    """Return every kind of node there is, the most frequent one first, with its share of the largest fleet's nodes.

    A kind is a scenario whose transcode nodes are all of it. Equal shares where no node at all is to be had.
    """
    pools = pools_of(scenario)
    transcode = scenario.platform.transcode
    nodes = largest_fleet(pools, transcode.zones, transcode.max_nodes)
    whole = sum(nodes)
    found: dict[tuple[str, str | None], tuple[Scenario, float]] = {}
    for pool, count in zip(pools, nodes, strict=True):
        kind = of_pool(scenario, pool)
        name = (kind.platform.transcode.instance, kind.platform.transcode.encode_on)
        first, share = found.get(name, (kind, 0.0))
        found[name] = first, share + (count / whole if whole else 1 / len(pools))
    return sorted(found.values(), key=lambda kind: -kind[1])


def fleet_grounds(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> Iterator[str]:
    """Yield what was carried over to each kind of node, the range of what it holds, and the prices."""
    shares = shares_of_kinds(scenario)
    for kind, share in shares:
        yield from carried_grounds(kind, profile, catalogue)
        held = plan_range(kind, profile, catalogue)
        if held is not None:
            of = "" if len(shares) == 1 else f"{kind.platform.transcode.instance}, {share:.0%} of the largest fleet: "
            yield of + range_ground(held)
    if len(shares) > 1 and (together := fleet_range(scenario, profile, catalogue)) is not None:
        yield (
            f"all kinds of nodes together: {together.low} to {together.high} broadcasts a node, as if all were at the "
            "same end of their ranges, in the shares of the largest fleet; what a run holds of each kind moves with it"
        )
    yield from price_grounds(scenario, catalogue)


def price_grounds(scenario: Scenario, catalogue: Catalogue) -> Iterator[str]:
    """Yield the price of a node of each pool, and where it comes from."""
    for pool in pools_of(scenario):
        spec = of_pool(scenario, pool).platform.transcode
        instance = catalogue.instances[spec.instance]
        named = f" of pool {pool.name}" if scenario.platform.transcode.pools else ""
        less = f", less an assumed {pool.discount:.0%}" if pool.discount and pool.price_usd_per_hour is None else ""
        if spec.node_price_usd_per_hour is not None:
            yield f"assumed: {spec.node_price_usd_per_hour:g} USD per hour for a {spec.instance} node{named}{less}"
        elif instance.price_usd_per_hour is not None:
            cited = instance.citations["price"]
            listed = f"{instance.price_usd_per_hour:g} USD per hour for {spec.instance}{named}"
            yield f"price: {listed} ({cited.source}, {cited.date}){less}"


def _measured(kind: Scenario, profile: Profile, catalogue: Catalogue) -> PlanRange:
    """Return a range without width: what a node of the measured machine holds."""
    anchor = kind.anchor_coremark_per_vcpu
    values = profile.middle() | carried_values(kind, catalogue, lambda _: 0.5)
    plan = node_plan(kind, profile, catalogue, values, (anchor.low + anchor.high) / 2)
    return PlanRange(plan.broadcasts, plan.broadcasts, plan.broadcasts, plan.binding, (plan.binding,))
