"""The scenario with its transcode nodes of each instance type; what cannot take part is refused, all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from scenarios.catalogue import Catalogue
from scenarios.encoding import why_not
from scenarios.errors import CalibrationError, Problem, ScenarioError
from scenarios.nodes import NodePool
from scenarios.platform import Transcode
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.accelerated import encoding_accelerator
from sim.carried import plan_range
from sim.coverage import require_coverage
from sim.fleet_plan import kinds_of_nodes

FLAG = "--instances"


def candidates(
    scenario: Scenario, instances: Sequence[str], profile: Profile, catalogue: Catalogue, *, extrapolate: bool = False
) -> dict[str, Scenario]:
    """Return for each instance type the scenario whose transcode nodes are of it; nothing else is changed.

    Price and network are the catalogue's; those that the scenario gives belong to its own type and stay with that one.
    A pool of another type than the scenario's keeps it.

    Args:
        scenario: the platform.
        instances: names of the catalogue, each once.
        profile: coefficients.
        catalogue: what is known of types.
        extrapolate: go on beyond what the profile was measured for.

    Raises:
        ScenarioError: no such type, one twice, fewer than two, no pool that follows, or one with a price in dollars.
        CalibrationError: types that no profile can be carried over to, each with its reason.
    """
    _require_names(instances, catalogue)
    _require_a_fleet_that_follows(scenario)
    _require_a_follower(scenario)
    _require_no_own_price(scenario)
    found = {name: of_instance(scenario, name) for name in instances}
    refusals = [
        f"{name}: {why}"
        for name, candidate in found.items()
        if (why := _why_unusable(candidate, profile, catalogue, extrapolate))
    ]
    if refusals:
        usable = [name for name in instances if not any(refusal.startswith(f"{name}: ") for refusal in refusals)]
        again = f"{FLAG} {','.join(usable)}" if len(usable) > 1 else "at least two others"
        raise CalibrationError("\n".join([*refusals, f"Leave out what cannot be judged: {again}."]))
    return found


def _require_a_fleet_that_follows(scenario: Scenario) -> None:
    """A fleet of a typed size has it whatever a node holds: types of other sizes cannot be compared at it."""
    spec = scenario.platform.transcode
    if not spec.follows_load:
        message = f"a {spec.autoscaler.kind} fleet has a number of nodes, whatever one of them holds"
        hint = "review with kind: queue or predictive, which follow the load; then run each type at its own size"
        raise ScenarioError([Problem(scenario.title, None, None, "platform.transcode.autoscaler", message, hint)])


def of_instance(scenario: Scenario, name: str) -> Scenario:
    """Return the scenario with its transcode nodes of a type."""
    spec = scenario.platform.transcode
    changes: dict[str, object] = {"instance": name}
    if name != spec.instance:
        changes |= {"node_price_usd_per_hour": None, "nic_bps": None}
        changes["pools"] = tuple(_following(pool, spec) for pool in spec.pools)
    transcode = spec.model_copy(update=changes)
    platform = scenario.platform.model_copy(update={"transcode": transcode})
    return scenario.model_copy(update={"platform": platform})


def _following(pool: NodePool, spec: Transcode) -> NodePool:
    return pool.model_copy(update={"instance": None}) if pool.instance == spec.instance else pool


def _require_names(instances: Sequence[str], catalogue: Catalogue) -> None:
    problems = [
        Problem(FLAG, None, None, name, f"no instance type {name!r} in the catalogue", hint)
        for name in instances
        if name not in catalogue.instances
        for hint in [catalogue.suggest(name, catalogue.instances)]
    ]
    problems += [
        Problem(FLAG, None, None, name, "named more than once", "name each type once")
        for name, count in Counter(instances).items()
        if count > 1
    ]
    if not problems and len(instances) < 2:
        hint = "name two or more, with commas between them; `headroom run` answers for one"
        problems = [Problem(FLAG, None, None, "", "a review needs types to choose from", hint)]
    if problems:
        raise ScenarioError(problems)


def _require_a_follower(scenario: Scenario) -> None:
    """Pools that all name another type than the scenario's would be the same fleet whatever the candidate."""
    spec = scenario.platform.transcode
    if spec.pools and not followers(scenario):
        pool = spec.pools[0]
        message = f"every pool names a type of its own, so none would follow the types of {FLAG}"
        hint = f"leave out instance where a pool is to follow, or set platform.transcode.instance: {pool.instance}"
        raise ScenarioError([Problem(FLAG, None, None, f"platform.transcode.pools.{pool.name}", message, hint)])


def _require_no_own_price(scenario: Scenario) -> None:
    """A price in dollars belongs to one type, and would be every type's."""
    priced = [pool for pool in followers(scenario) if pool.price_usd_per_hour is not None]
    if priced:
        problems = [
            Problem(
                FLAG,
                None,
                None,
                f"platform.transcode.pools.{pool.name}.price_usd_per_hour",
                f"{pool.price_usd_per_hour:g} USD per hour is the price of one type, and would be that of all",
                "write discount, off each type's own price, instead",
            )
            for pool in priced
        ]
        raise ScenarioError(problems)


def _why_unusable(candidate: Scenario, profile: Profile, catalogue: Catalogue, extrapolate: bool) -> str:
    """Return why no answer can be had for a type; empty where one can."""
    spec = candidate.platform.transcode
    if catalogue.instances[spec.instance].is_this_machine and None in (spec.node_price_usd_per_hour, spec.nic_bps):
        return "it has no list price and no rated network; review a scenario that gives both"
    if spec.node_price_usd_per_hour == 0:
        return "a node that costs nothing is the cheapest by definition; write what an hour of it is worth to you"
    refusal = why_not(spec, candidate.workload.source, candidate.ladder, catalogue)
    if refusal is not None:
        return f"{refusal.message}; {refusal.hint}".removeprefix(f"{spec.instance}: ")
    try:
        for kind in kinds_of_nodes(candidate):
            if encoding_accelerator(kind, catalogue) is None:
                require_coverage(profile, kind.workload.source, kind.ladder, extrapolate=extrapolate)
            held = plan_range(kind, profile, catalogue)
            if held is not None and held.low < 1:
                return (
                    f"it holds {held.low} to {held.high} broadcasts of this ladder, and a fleet of nodes that hold "
                    "none has no size; choose a larger one of its family"
                )
    except CalibrationError as error:
        return str(error).removeprefix(f"{spec.instance}: ")
    return ""


def followers(scenario: Scenario) -> tuple[NodePool, ...]:
    """Return the pools of the scenario's own type, which a review changes; none where it names no pool."""
    spec = scenario.platform.transcode
    return tuple(pool for pool in spec.pools if pool.instance in (None, spec.instance))


def kept_types(scenario: Scenario) -> Iterator[str]:
    """Yield the types of pools that a review does not change, as they name one of their own."""
    spec = scenario.platform.transcode
    kept = (pool.instance for pool in spec.pools if pool not in followers(scenario))
    yield from dict.fromkeys(name for name in kept if name is not None)
