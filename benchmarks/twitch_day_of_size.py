"""One run of the Twitch-sized day at a share of its size, in a process of its own: prints what it cost as JSON.

CPU seconds are those of the simulation, without imports and reading; memory is the peak of the whole process.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from scenarios import load_profile, load_scenario
from scenarios.catalogue import Catalogue, load_catalogue
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.assembly import draw_world, simulate
from sim.capacity import transcode_plan

SCENARIO = Path(__file__).with_name("twitch_day.yaml")
SEED = 1
BROADCASTS_PER_NODE = 3
"""A T4 holds 1.3 to 6.5 of this ladder, 2.9 in the middle: the world that is run is one in which it holds three."""


def changed(scenario: Scenario, changes: dict[str, object]) -> Scenario:
    """Return the scenario with values replaced, each named by its dotted path."""
    data = scenario.model_dump()
    for path, value in changes.items():
        *way, last = path.split(".")
        place = data
        for key in way:
            place = place[key]
        place[last] = value
    return Scenario.model_validate(data)


def of_size(scenario: Scenario, share: float) -> Scenario:
    """Return the scenario with a share of its broadcasts, viewers and machines; what a node holds stays."""
    workload, platform = scenario.workload, scenario.platform
    return changed(
        scenario,
        {
            "workload.broadcasts.peak_concurrent": workload.broadcasts.peak_concurrent * share,
            "workload.audience.peak_viewers": workload.audience.peak_viewers * share,
            "platform.ingest.nodes": max(1, round(platform.ingest.nodes * share)),
            "platform.ingest.auth_limit_per_s": platform.ingest.auth_limit_per_s * share,
            "platform.transcode.min_nodes": max(1, round(platform.transcode.min_nodes * share)),
            "platform.transcode.max_nodes": max(1, round(platform.transcode.max_nodes * share)),
        },
    )


def replication_of_the_middle(scenario: Scenario, profile: Profile, catalogue: Catalogue) -> int:
    """Return the first replication in whose world a node holds `BROADCASTS_PER_NODE`.

    Raises:
        RuntimeError: there is none among the first hundred: the catalogue or the ladder has changed.
    """
    for number in range(100):
        world = draw_world(scenario, profile, catalogue, seed=SEED, replication=number)
        plan = transcode_plan(scenario, profile, catalogue, world.values, world.anchor_coremark_per_vcpu)
        if plan.broadcasts == BROADCASTS_PER_NODE:
            return number
    raise RuntimeError(f"no world in which a node holds {BROADCASTS_PER_NODE} broadcasts")


def cost(share: float, tick_s: float | None) -> dict[str, float]:
    """Return what one day at a share of the size costs, and what happened in it."""
    scenario, catalogue = of_size(load_scenario(SCENARIO), share), load_catalogue()
    profile = load_profile(scenario.profile)
    if tick_s is not None:
        scenario = changed(scenario, {"horizon.tick_s": tick_s})
    number = replication_of_the_middle(scenario, profile, catalogue)
    began_s = time.process_time()
    run = simulate(scenario, profile, catalogue, seed=SEED, replication=number)
    cpu_s = time.process_time() - began_s
    ticks = run.ticks
    nodes = ticks["nodes_booting"] + ticks["nodes_ready"] + ticks["nodes_draining"]
    return {
        "cpu_s": cpu_s,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "broadcasts": len(run.broadcasts),
        "concurrent_peak": float(ticks["broadcasts_wanted"].max()),
        "viewers_peak": float(ticks["viewers_wanted"].max()),
        "viewer_seconds": float(ticks["viewers_served"].sum()) * scenario.horizon.tick_s,
        "nodes": float(nodes.max()),
        "tick_s": scenario.horizon.tick_s,
    }


if __name__ == "__main__":
    print(json.dumps(cost(float(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None)))
