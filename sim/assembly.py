"""Wires a scenario's components into one SimPy environment and runs it once; the only file that knows them all.

Flow: drawn broadcasts → agenda → lifecycle (ingest, admission, fleet, back again after a loss); every tick: audience
(wanted) → those in service (served) → CDN and chat. Callbacks carry a broadcast from one component to the next; none
knows another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenarios.catalogue import Catalogue
from scenarios.failures import Failure
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim import books
from sim.agenda import moments
from sim.capacity import ingest_plan
from sim.carried import carried_values, drawn, in_the_middle
from sim.clock import Clock
from sim.components.admission import Admission, Answers, Channels, policy
from sim.components.audience import Audience
from sim.components.autoscaler import Autoscaling, Bounds
from sim.components.broadcast_traits import draw_table
from sim.components.broadcasts import BroadcastTable
from sim.components.failures import Site, start_failures
from sim.components.fleet import Fleet
from sim.components.ingest import Ingest
from sim.components.lag import Lag
from sim.components.node import Told
from sim.components.publishers import Publishers
from sim.crowd import Crowd, Nobody
from sim.engines import Position
from sim.fleet_plan import LargestFleet, PoolPlan, fleet_at_most, fleet_plan, node_frame
from sim.lifecycle import Lifecycle, Stations
from sim.node_plan import NodePlan
from sim.observation import Observation
from sim.records import BroadcastLog, EventLog, Replication, Tally, World, row_view
from sim.sampling import stream
from sim.scaling import FleetAndQueue
from sim.startup import Numbered, Uniforms, startups

GOLDEN_RATIO = 0.6180339887498949
Named = Callable[[str], np.random.Generator]
Engine = Literal["whole", "fleet"]
"""What is simulated: the whole platform, or its control plane alone, which nothing that viewers do reaches.

Of the fleet both say the same to the last digit; `fleet` says nothing of viewers, CDN, origin and chat.
"""


@dataclass(frozen=True)
class Drawn:
    """What one replication is made of before time starts."""

    world: World
    table: BroadcastTable
    largest: LargestFleet
    pools: tuple[PoolPlan, ...]
    ingest: NodePlan


def middle_world(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> World:
    """Return the world in the middle of everything that is not known."""
    anchor = scenario.anchor_coremark_per_vcpu
    values = profile.middle() | carried_values(scenario, catalogue, in_the_middle)
    return World(values, (anchor.low + anchor.high) / 2)


def draw_world(scenario: Scenario, profile: Profile, catalogue: Catalogue, *, seed: int, replication: int) -> World:
    """Return the coefficients and the anchor of one replication: a row of the joint draws, and a uniform.

    What no profile measured (a CPU family, the engines of an accelerator) has a stream of its own for each source of
    ignorance, so that types that share it are drawn alike.
    """
    rng = stream(seed, replication, "coefficients")
    values = profile.row(int(rng.integers(len(profile.draws.rows))))
    values |= carried_values(scenario, catalogue, drawn(seed, replication))
    anchor = scenario.anchor_coremark_per_vcpu
    return World(values, float(rng.uniform(anchor.low, anchor.high)))


def draw(
    scenario: Scenario,
    profile: Profile,
    catalogue: Catalogue,
    *,
    seed: int,
    replication: int,
    in_middle_world: bool = False,
    table: BroadcastTable | None = None,
) -> Drawn:
    """Return what one replication is made of.

    Args:
        scenario: what to simulate.
        profile: its coefficients.
        catalogue: what it names.
        seed: the only seed.
        replication: number of the day, and of the world.
        in_middle_world: the same day in the middle of everything that is not known.
        table: its broadcasts, where they are drawn already; they depend on workload and horizon alone.

    Raises:
        CalibrationError: the profile or the catalogue cannot support the scenario.
    """
    position: Position = in_the_middle if in_middle_world else drawn(seed, replication)
    if in_middle_world:
        world = middle_world(scenario, profile, catalogue)
    else:
        world = draw_world(scenario, profile, catalogue, seed=seed, replication=replication)
    anchor = world.anchor_coremark_per_vcpu
    pools = fleet_plan(scenario, profile, catalogue, world.values, position, anchor)
    if table is None:
        table = draw_table(scenario.workload, scenario.horizon, lambda name: stream(seed, replication, name))
    return Drawn(
        world, table, fleet_at_most(scenario, pools), pools, ingest_plan(scenario, catalogue, world.values, anchor)
    )


def simulate(
    scenario: Scenario,
    profile: Profile,
    catalogue: Catalogue,
    *,
    seed: int,
    replication: int,
    engine: Engine = "whole",
    in_middle_world: bool = False,
) -> Replication:
    """Run one replication and check its books.

    Raises:
        CalibrationError: the profile or the catalogue cannot support the scenario.
        BooksError: the run lost or invented something.
    """
    made = draw(scenario, profile, catalogue, seed=seed, replication=replication, in_middle_world=in_middle_world)

    def named(name: str) -> np.random.Generator:
        return stream(seed, replication, name)

    if engine == "fleet":
        crowd: Crowd | Nobody = Nobody(made.table)
    else:
        crowd = Crowd(scenario, made.table, named, wanted_audience(scenario, made.table, named))
    run = Run(scenario, made, named, crowd)
    run.start()
    run.advance(scenario.horizon.horizon_s)
    return run.finish(replication)


def wanted_audience(scenario: Scenario, table: BroadcastTable, named: Named) -> Audience:
    """Return the audience that wants the broadcasts of a table, whatever is served of it."""
    workload = scenario.workload
    return Audience(workload.audience, scenario.horizon, table, named, regions=workload.regions, events=workload.events)


class Run:
    """One environment with its components, while time passes."""

    def __init__(self, scenario: Scenario, made: Drawn, named: Named, crowd: Crowd | Nobody) -> None:
        self._scenario, self._made, self._named = scenario, made, named
        self._env = Clock()
        self._log, self._tally, self._events = BroadcastLog(len(made.table)), Tally(), EventLog()
        self._crowd = crowd
        self._life = Lifecycle(
            self._env,
            made.table,
            self._log,
            self._tally,
            horizon_s=scenario.horizon.horizon_s,
            gap_s=scenario.platform.transcode.migration.gap_segments * scenario.ladder.segment_s,
            viewers_of=self._crowd.viewers_of,
        )
        self._fleet = self._wire_fleet()
        self._admission = self._wire_admission()
        self._autoscaling = self._wire_autoscaling()
        self._ingest = self._wire_ingest()
        self._publishers = self._wire_publishers()
        self._lag = self._wire_lag()
        self._life.stations = Stations(self._ingest, self._admission, self._fleet, self._publishers, self._lag)
        self._observation = Observation(
            scenario, self._crowd, self._log, self._fleet, self._admission, self._publishers
        )

    def start(self) -> None:
        """Put those who are live at 0 on a fleet of the size the autoscaler holds for them, and set all going."""
        self._settle()
        self._env.process(
            moments(
                self._env,
                self._made.table,
                self._scenario.horizon.horizon_s,
                go_live=self._life.go_live,
                stop=self._life.stop,
            )
        )
        self._env.process(self._observation.ticks(self._env))
        self._autoscaling.start()
        start_failures(self._scenario.failures, self._site())

    def advance(self, until_s: float) -> None:
        """Let time pass up to a moment, at most the horizon; what happens at that very moment is still to come."""
        self._env.run(until=until_s)

    def finish(self, replication: int) -> Replication:
        """Return the records once time has passed, their books checked.

        Raises:
            BooksError: the run lost or invented something.
        """
        self._life.finish()
        result = self._result(replication)
        books.check(result)
        return result

    def _wire_fleet(self) -> Fleet:
        spec = self._scenario.platform.transcode
        return Fleet(
            self._env,
            pools=[plan.pool for plan in self._made.pools],
            source_of=row_view(self._made.table.source),
            max_nodes=spec.max_nodes,
            startup=startups(spec, self._named),
            life=Uniforms(self._named("taken back")),
            told=Told(self._interrupted, self._life.moved, lambda: self._admission.serve(), self._node_gone),
            spread=spec.placement == "spread",
            newest_first=spec.drain.choose == "newest",
            migrate_on_notice=spec.migration.on_notice,
            launch_retry_s=spec.launch_retry_s,
        )

    def _wire_admission(self) -> Admission:
        spec, table = self._scenario.platform.transcode, self._made.table
        return Admission(
            self._env,
            rule=policy(spec.admission, Channels(row_view(table.partner), row_view(table.expected_viewers))),
            place=self._fleet.place,
            free_share=self._fleet.free_share,
            patience_s=lambda _: spec.queue_deadline_s,
            limit=spec.queue_limit,
            answers=Answers(self._life.placed, self._life.source_only, self._life.turned_away),
        )

    def _wire_autoscaling(self) -> Autoscaling:
        spec = self._scenario.platform.transcode
        least = max(spec.min_nodes, sum(pool.min_nodes for pool in spec.pools))
        return Autoscaling(
            self._env,
            spec.autoscaler,
            FleetAndQueue(self._fleet, self._admission, spec.drain),
            bounds=Bounds(least, spec.max_nodes, max(1, int(self._made.largest.places_per_node + 1e-9))),
            start_hour=self._scenario.horizon.start_hour,
        )

    def _wire_ingest(self) -> Ingest:
        spec = self._scenario.platform.ingest
        return Ingest(
            self._env,
            auth_limit_per_s=spec.auth_limit_per_s,
            auth_burst=spec.auth_burst,
            auth_wait_limit_s=spec.auth_wait_limit_s,
            places=self._made.ingest.broadcasts * spec.nodes,
            on_admitted=self._life.admitted,
            on_refused=self._life.refused,
        )

    def _wire_publishers(self) -> Publishers:
        jitter = self._named("publishers").random(len(self._made.table))
        return Publishers(
            self._env,
            self._scenario.platform.ingest.retry,
            ask=self._life.ask,
            gave_up=self._life.gave_up,
            position=lambda broadcast, made: float((jitter[broadcast] + made * GOLDEN_RATIO) % 1.0),
        )

    def _wire_lag(self) -> Lag | None:
        table, spec = self._made.table, self._scenario.platform.transcode
        if (table.content == 1.0).all():
            return None
        source, pool_of, loads = (
            row_view(table.source),
            self._fleet.log.pool,
            [plan.load for plan in self._made.pools],
        )
        return Lag(
            self._env,
            share=lambda broadcast, node: float(table.content[broadcast]) * loads[pool_of[node]][source[broadcast]],
            late_after_s=self._scenario.ladder.segment_s,
            drop_after_s=spec.drop_after_s,
        )

    def _site(self) -> Site:
        position = Numbered(self._named("failures"))
        pools = [plan.pool for plan in self._made.pools]
        return Site(
            self._env,
            self._fleet,
            [pool.zone for pool in pools],
            [pool.taken_back.notice_s if pool.interruptible and pool.taken_back else None for pool in pools],
            self._ingest.lose,
            self._crowd.clusters_down,
            self._failed,
            position.of,
            self._scenario.platform.transcode.zones,
        )

    def _failed(self, failure: Failure, nodes: Sequence[int], broadcasts: Sequence[int]) -> None:
        viewers = sum(map(self._crowd.viewers_of, broadcasts))
        what = failure.name or failure.kind
        self._events.add(self._env.now, failure.kind, what, len(nodes), len(broadcasts), viewers)

    def _interrupted(self, broadcast: int, node: int) -> None:
        self._crowd.interrupted(broadcast)
        self._life.interrupted(broadcast, node)

    def _node_gone(self, node: int, reason: str) -> None:
        self._tally.count(f"node {reason}")

    def _settle(self) -> None:
        live = self._made.table.live(0.0)
        self._fleet.start_ready(self._autoscaling.initial_nodes(live.size))
        self._ingest.already_connected(live.size)
        for broadcast in live.tolist():
            self._life.live_at_start(broadcast)

    def _result(self, replication: int) -> Replication:
        made = self._made
        for at_s, change in zip(self._autoscaling.at_s, self._autoscaling.change, strict=True):
            self._events.add(at_s, "scale out" if change > 0 else "scale in", "autoscaler", change)
        broadcasts = self._log.frame()
        for place, name in enumerate(("publish_s", "end_s")):
            broadcasts.insert(place, name, getattr(made.table, name))
        broadcasts.insert(0, "broadcast", np.arange(len(made.table)))
        broadcasts["source"], broadcasts["partner"] = made.table.source, made.table.partner
        return Replication(
            replication=replication,
            horizon_s=self._scenario.horizon.horizon_s,
            world=made.world,
            plan=made.largest.chief,
            most_places=made.largest.places,
            places_per_node=made.largest.places_per_node,
            ingest=made.ingest,
            ticks=self._observation.log.frame(),
            broadcasts=broadcasts,
            nodes=node_frame(self._fleet.log, made.pools),
            events=self._events.frame(),
            tally=self._tally,
            lag=self._lag,
            attempts=self._publishers.attempts,
            at_end={
                "in service": self._fleet.in_service,
                "waiting": self._admission.waiting,
                "asking": self._ingest.asking,
                "held": self._fleet.held,
                "connected": self._ingest.connected,
                "coming back": len(self._publishers),
            },
            nodes_at_end={state.name.lower(): count for state, count in self._fleet.count.items()},
        )
