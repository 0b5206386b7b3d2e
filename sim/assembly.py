"""Wires a scenario's components into one SimPy environment and runs it once; the only file that knows them all.

Flow: drawn broadcasts → ingest (auth, room) → fleet (place, queue) ; every tick: audience (wanted) → those in
service (served) → CDN and chat. Callbacks carry a broadcast from one component to the next; none knows another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import pandas as pd
import simpy

from scenarios.autoscaler import QueueAutoscaler
from scenarios.catalogue import Catalogue
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim import books
from sim.capacity import ingest_plan, transcode_plan
from sim.carried import carried_values, drawn
from sim.clock import Clock
from sim.components.audience import Audience
from sim.components.autoscaler import desired_nodes, follow_queue
from sim.components.broadcasts import BroadcastTable, draw_broadcasts
from sim.components.cdn import Cdn
from sim.components.chat import Chat
from sim.components.fleet import Fleet, NodeState, Placement
from sim.components.ingest import Ingest
from sim.node_plan import NodePlan
from sim.records import BroadcastLog, Replication, Tally, TickLog, World
from sim.sampling import law, stream


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


def simulate(scenario: Scenario, profile: Profile, catalogue: Catalogue, *, seed: int, replication: int) -> Replication:
    """Run one replication and check its books.

    Raises:
        CalibrationError: the profile or the catalogue cannot support the scenario.
        BooksError: the run lost or invented something.
    """
    world = draw_world(scenario, profile, catalogue, seed=seed, replication=replication)
    anchor = world.anchor_coremark_per_vcpu
    plan = transcode_plan(scenario, profile, catalogue, world.values, anchor)
    ingest = ingest_plan(scenario, catalogue, world.values, anchor)

    def named(name: str) -> np.random.Generator:
        return stream(seed, replication, name)

    workload = scenario.workload
    table = draw_broadcasts(workload.broadcasts, workload.audience.popularity, scenario.horizon, named("broadcasts"))
    run = _Run(scenario, table, plan, ingest, named)
    run.run()
    result = run.result(replication, world, plan, ingest)
    books.check(result)
    return result


class _Run:
    """One environment with its components, while time passes."""

    def __init__(
        self,
        scenario: Scenario,
        table: BroadcastTable,
        plan: NodePlan,
        ingest: NodePlan,
        named: Callable[[str], np.random.Generator],
    ) -> None:
        self._scenario, self._table, self._plan = scenario, table, plan
        self._env = Clock()
        self._log, self._tally = BroadcastLog(len(table)), Tally()
        self._tick_count = int(scenario.horizon.horizon_s // scenario.horizon.tick_s)
        self._ticks = TickLog(self._tick_count)
        workload, platform = scenario.workload, scenario.platform
        self._audience = Audience(workload.audience, scenario.horizon, table, named("audience"))
        self._cdn = Cdn(platform.cdn, scenario.ladder, workload.audience.rung_shares)
        self._chat = Chat(workload.chat, scenario.horizon.tick_s, named("chat"))
        self._fleet = self._wire_fleet(named("boot"))
        self._ingest = self._wire_ingest(ingest)

    def run(self) -> None:
        """Let time pass from 0 to the horizon."""
        self._start()
        self._env.process(self._go_live())
        self._env.process(self._tick())
        spec = self._scenario.platform.transcode
        if isinstance(spec.autoscaler, QueueAutoscaler):
            self._env.process(
                follow_queue(
                    self._env,
                    spec.autoscaler,
                    self._fleet,
                    broadcasts_per_node=self._plan.broadcasts,
                    min_nodes=spec.min_nodes,
                    max_nodes=spec.max_nodes,
                )
            )
        self._env.run(until=self._scenario.horizon.horizon_s)
        self._tally.service_changed(self._env.now, 0)

    def _wire_fleet(self, rng: np.random.Generator) -> Fleet:
        spec = self._scenario.platform.transcode
        boot = law(spec.boot)
        return Fleet(
            self._env,
            capacity=self._plan.capacity,
            demand=self._plan.demand,
            max_nodes=spec.max_nodes,
            boot_s=lambda: float(boot.draw(rng.random(1))[0]),
            end_s=self._table.end_s,
            queue_deadline_s=spec.queue_deadline_s,
            placement=Placement(self._placed, self._turned_away, self._ended),
        )

    def _wire_ingest(self, plan: NodePlan) -> Ingest:
        spec = self._scenario.platform.ingest
        return Ingest(
            self._env,
            auth_limit_per_s=spec.auth_limit_per_s,
            auth_burst=spec.auth_burst,
            auth_wait_limit_s=spec.auth_wait_limit_s,
            places=plan.broadcasts * spec.nodes,
            on_admitted=self._admitted,
            on_refused=self._refused,
        )

    def _start(self) -> None:
        """Put those who are live at 0 on a fleet of the size the autoscaler holds for them."""
        spec = self._scenario.platform.transcode
        live = self._table.live(0.0)
        nodes = spec.min_nodes
        if isinstance(spec.autoscaler, QueueAutoscaler):
            wanted = desired_nodes(
                live.size,
                broadcasts_per_node=self._plan.broadcasts,
                target_utilisation=spec.autoscaler.target_utilisation,
            )
            nodes = min(max(nodes, wanted), spec.max_nodes)
        self._fleet.start_ready(nodes)
        self._ingest.already_connected(live.size)
        for broadcast in live.tolist():
            self._tally.count("asked")
            self._admitted(broadcast)

    def _go_live(self) -> Generator[simpy.Event, Any, None]:
        publish_s = self._table.publish_s
        first = int(np.searchsorted(publish_s, 0.0, side="left"))
        for broadcast in range(first, len(self._table)):
            yield self._env.timeout(float(publish_s[broadcast]) - self._env.now)
            self._tally.count("asked")
            self._ingest.request(broadcast)

    def _admitted(self, broadcast: int) -> None:
        self._log.admitted_s[broadcast] = self._env.now
        self._log.outcome[broadcast] = "waiting"
        self._fleet.request(broadcast)

    def _refused(self, broadcast: int, reason: str) -> None:
        self._tally.count(reason)
        self._log.outcome[broadcast] = reason
        self._log.left_s[broadcast] = self._env.now

    def _turned_away(self, broadcast: int, reason: str) -> None:
        self._refused(broadcast, reason)
        self._ingest.leave()

    def _placed(self, broadcast: int, node: int) -> None:
        self._tally.count("placed")
        self._tally.service_changed(self._env.now, +1)
        self._log.placed_s[broadcast] = self._env.now
        self._log.node[broadcast] = node
        self._log.outcome[broadcast] = "in service"

    def _ended(self, broadcast: int) -> None:
        self._tally.count("ended")
        self._tally.service_changed(self._env.now, -1)
        self._log.left_s[broadcast] = self._env.now
        self._log.outcome[broadcast] = "ended"
        self._ingest.leave()

    def _tick(self) -> Generator[simpy.Event, Any, None]:
        tick_s = self._scenario.horizon.tick_s
        for number in range(1, self._tick_count + 1):
            # The last tick ends with the horizon, at which the environment stops before its events.
            at_s = number * tick_s
            yield self._env.timeout(min(at_s, np.nextafter(self._scenario.horizon.horizon_s, 0)) - self._env.now)
            self._ticks.add({"t_s": at_s} | self._observe(at_s, tick_s))

    def _observe(self, at_s: float, tick_s: float) -> dict[str, float]:
        live, wanted = self._audience.step(at_s)
        in_service = self._log.outcome[live] == "in service"
        served = np.where(in_service, wanted, 0.0)
        count = self._fleet.count
        return {
            "broadcasts_wanted": float(live.size),
            "broadcasts_in_service": float(self._fleet.in_service),
            "broadcasts_waiting": float(self._fleet.waiting),
            "nodes_booting": float(count[NodeState.BOOTING]),
            "nodes_ready": float(count[NodeState.READY]),
            "nodes_draining": float(count[NodeState.DRAINING]),
            "viewers_wanted": float(wanted.sum()),
            "viewers_served": float(served.sum()),
            "viewers_unserved": float(wanted[~in_service].sum()),
            **self._cdn.serve(served[in_service], tick_s)._asdict(),
            **{f"chat_{name}": value for name, value in self._chat.step(served)._asdict().items()},
        }

    def result(self, replication: int, world: World, plan: NodePlan, ingest: NodePlan) -> Replication:
        """Return the records, once time has passed."""
        fleet, log = self._fleet, self._log
        log.outcome[log.outcome == ""] = "asking"  # still before the auth service at the horizon
        broadcasts = pd.DataFrame(
            {
                "broadcast": np.arange(len(self._table)),
                "publish_s": self._table.publish_s,
                "end_s": self._table.end_s,
                "admitted_s": log.admitted_s,
                "placed_s": log.placed_s,
                "left_s": log.left_s,
                "node": log.node,
                "outcome": log.outcome,
            }
        )
        nodes = pd.DataFrame({"ordered_s": fleet.ordered_s, "ready_s": fleet.ready_s, "gone_s": fleet.gone_s})
        return Replication(
            replication=replication,
            horizon_s=self._scenario.horizon.horizon_s,
            world=world,
            plan=plan,
            ingest=ingest,
            ticks=self._ticks.frame(),
            broadcasts=broadcasts,
            nodes=nodes,
            tally=self._tally,
            in_service_at_end=fleet.in_service,
            waiting_at_end=fleet.waiting,
            held_at_end=fleet.held,
            connected_at_end=self._ingest.connected,
            asking_at_end=self._ingest.asking,
            nodes_at_end={state.name.lower(): count for state, count in fleet.count.items()},
        )
