"""What an answer rests on that nobody can measure here: how nodes are bought, start and are lost, who comes back how.

One line a topic, only where the scenario uses it, each with its value and the range over which it is worth varying.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from scenarios.autoscaler import FixedFleet
from scenarios.cache_policy import Uncollapsed
from scenarios.catalogue import load_catalogue
from scenarios.failures import Failure, NodeLoss, RollingDeploy, SpotStorm, ZoneLoss
from scenarios.law import Constant, DurationLaw, Lognormal, Uniform, Weibull, mean_s
from scenarios.nodes import Interruptions, NodePool
from scenarios.platform import Cdn, Transcode
from scenarios.retry import Retry
from scenarios.scenario import Scenario

DISCOUNT_RANGE = {
    "reserved": "0.3 to 0.4 for a year",
    "spot": "0.64 for g4dn.xlarge, Spot Advisor 2025-06-28; up to 0.7",
}


def assumed_grounds(scenario: Scenario) -> Iterator[str]:
    """Yield the sentences: purchases, interruptions, starts of nodes, caches, failures, moves and retries."""
    spec = scenario.platform.transcode
    yield from _prices(spec)
    yield from _interruptions(spec)
    yield from _starts(scenario)
    yield from _caches(scenario.platform.cdn)
    for failure in scenario.failures:
        yield f"assumed: {failure.name or failure.kind}, {_failure(failure)}"
    if can_lose_nodes(scenario):
        yield from _what_follows(scenario)


def can_lose_nodes(scenario: Scenario) -> bool:
    """Return whether something in the scenario takes nodes from under broadcasts."""
    spec = scenario.platform.transcode
    leaves = spec.drain.migrate or spec.drain.deadline_s is not None
    return bool(scenario.failures) or leaves or any(pool.taken_back for pool in spec.pools)


def startup_mean_s(spec: Transcode) -> float:
    """Return the mean time from the order of a node until it can take a broadcast."""
    return mean_s(spec.scheduling) + mean_s(spec.boot) + mean_s(spec.image_pull)


def node_price_text(scenario: Scenario) -> str:
    """Return the price of a transcode node, of each pool where there are pools, and whether it is assumed or listed."""
    spec = scenario.platform.transcode
    if not spec.pools:
        return f"{_base_price(spec, None)} USD per node-hour"
    each = [f"{_base_price(spec, pool)}{_less(pool)} ({pool.name})" for pool in _used(spec)]
    return f"{', '.join(each)} USD per node-hour"


def _base_price(spec: Transcode, pool: NodePool | None) -> str:
    own = pool.price_usd_per_hour if pool else None
    same = pool is None or pool.instance in (None, spec.instance)
    given = own if own is not None else spec.node_price_usd_per_hour if same else None
    if given is not None:
        return f"an assumed {given:g}"
    name = spec.instance if pool is None else pool.instance or spec.instance
    return f"a listed {load_catalogue().instances[name].price_usd_per_hour:g}"


def _less(pool: NodePool) -> str:
    """Return a discount off the price of its type; a price that the pool names has none."""
    return f" less {pool.discount:.0%}" if pool.discount and pool.price_usd_per_hour is None else ""


def _used(spec: Transcode) -> list[NodePool]:
    """Return the pools that may ever have a node."""
    return [pool for pool in spec.pools if (pool.weight or pool.min_nodes) and pool.available_max != 0]


def _prices(spec: Transcode) -> Iterator[str]:
    for pool in _used(spec):
        if pool.price_usd_per_hour is not None:
            yield f"assumed: {pool.price_usd_per_hour:g} USD per hour for a node of pool {pool.name}"
        if pool.discount and pool.price_usd_per_hour is None:
            known = DISCOUNT_RANGE.get(pool.purchase)
            yield f"assumed: discount {pool.discount:g} of pool {pool.name}" + (f" ({known})" if known else "")
        if pool.launch_failure:
            yield f"assumed: {pool.launch_failure:.1%} of orders of pool {pool.name} come to nothing"
        if pool.available_max is not None:
            yield f"assumed: at most {pool.available_max:,} nodes of pool {pool.name} are to be had in a zone"


def _interruptions(spec: Transcode) -> Iterator[str]:
    for pool in _used(spec):
        how = pool.taken_back
        if how is not None:
            yield f"assumed: nodes of pool {pool.name} are taken back {_rate(how)}, with {how.notice_s:g} s notice" + (
                f", and at an age of {how.max_life_s / 3600:g} h at the latest" if how.max_life_s else ""
            )


def _rate(how: Interruptions) -> str:
    hourly = f"{how.rate_per_s * 3600:.2g} times an hour"
    return f"in the band {how.band} a month, {hourly} (g4dn.xlarge: 15-20%, 2025-06-28)" if how.band else hourly


def _starts(scenario: Scenario) -> Iterator[str]:
    spec = scenario.platform.transcode
    if isinstance(spec.autoscaler, FixedFleet) and not can_lose_nodes(scenario):
        return
    parts = [("scheduling", spec.scheduling, ""), ("boot", spec.boot, ""), ("image", spec.image_pull, " (0 to 600 s)")]
    told = [f"{name} {law_text(law)}{known}" for name, law, known in parts if name == "boot" or mean_s(law)]
    yield f"assumed: a node from its order until it takes a broadcast: {', '.join(told)}"


def law_text(law: DurationLaw) -> str:
    """Return a law of durations in a few words."""
    if isinstance(law, Constant):
        return f"{law.mean_s:g} s"
    if isinstance(law, Uniform):
        return f"{law.low_s:g} to {law.high_s:g} s, evenly"
    shape = f", variation {law.cv:g}" if isinstance(law, Lognormal) else ""
    shape = f", shape {law.shape:g}" if isinstance(law, Weibull) else shape
    return f"{law.kind}, mean {mean_s(law):g} s{shape}"


def _caches(spec: Cdn) -> Iterator[str]:
    typed = {name.replace("_", " "): number for name, number in spec.policy if name != "kind"}
    if typed:
        yield f"assumed: {', '.join(f'{name} {number:g}' for name, number in typed.items())} of a CDN cluster, typed"
    if isinstance(spec.policy, Uncollapsed):
        yield f"assumed: a CDN cache takes {spec.fill_latency_s:g} s to fetch an object, and lets all requests through"


@singledispatch
def _failure(failure: Failure) -> str:
    raise TypeError(f"no words for {type(failure).__name__}")


@_failure.register
def _(failure: ZoneLoss) -> str:
    what = f"zone {', '.join(failure.zones)} is gone for {failure.duration_s:g} s"
    return what + (f", and the CDN in {', '.join(failure.cdn_regions)}" if failure.cdn_regions else "")


@_failure.register
def _(failure: SpotStorm) -> str:
    return (
        f"{failure.share:.0%} (10% to 100%) of spot nodes are taken back within {failure.over_s:g} s, and none is to "
        f"be had for {failure.duration_s:g} s (600 s to hours)"
    )


@_failure.register
def _(failure: RollingDeploy) -> str:
    deadline = "no deadline" if failure.drain_deadline_s is None else f"{failure.drain_deadline_s:g} s to empty a node"
    moves = "broadcasts move" if failure.migrate else "broadcasts stay until then"
    return f"{failure.surge:.0%} of the nodes at a time (Kubernetes: 25%), {deadline}, {moves}"


@_failure.register
def _(failure: NodeLoss) -> str:
    return f"{failure.share:.0%} of the ready nodes die at once"


def _what_follows(scenario: Scenario) -> Iterator[str]:
    platform = scenario.platform
    moving = any(pool.taken_back for pool in platform.transcode.pools) and platform.transcode.migration.on_notice
    moving |= platform.transcode.drain.migrate
    moving |= any(isinstance(failure, RollingDeploy) and failure.migrate for failure in scenario.failures)
    if moving:
        gap = platform.transcode.migration.gap_segments
        yield f"assumed: a broadcast that moves misses {gap:g} segment{'' if gap == 1 else 's'} (1 to 3)"
    who = {"publishers": platform.ingest.retry, "players": platform.players.retry}
    same = who["publishers"] == who["players"]
    for name, retry in ({"publishers and players": who["players"]} if same else who).items():
        yield f"assumed: {name} that were cut off ask again {_retry(retry)}"


def _retry(retry: Retry) -> str:
    tries = "without end" if retry.attempts is None else f"{retry.attempts} times"
    return (
        f"{tries}, first after {retry.first_s:g} s (0.5 to 10), then × {retry.factor:g} (1.5 to 2) up to "
        f"{retry.cap_s:g} s (5 to 60), each spread by {retry.jitter:.0%} (0% to 100%)"
    )
