"""Several platforms under the same broadcasts and before the same audience, side by side through one day.

Flow: one table of broadcasts and one wanted audience → each platform's own fleet, CDN and chat → a replication of each.
What is wanted is drawn and advanced once, tick by tick, and every platform takes the same steps; each gives the digits
that it would give alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scenarios.catalogue import Catalogue
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.assembly import Engine, Run, draw, wanted_audience
from sim.components.audience import SharedAudience
from sim.components.broadcast_traits import draw_table
from sim.crowd import Crowd, Nobody
from sim.records import Replication
from sim.sampling import stream


def simulate_side_by_side(
    scenarios: Sequence[Scenario],
    profile: Profile,
    catalogue: Catalogue,
    *,
    seed: int,
    replication: int,
    engine: Engine = "whole",
) -> list[Replication]:
    """Return one replication of each scenario, in their order, the books of each checked.

    Args:
        scenarios: one or more platforms of one workload and horizon.
        profile: of all.
        catalogue: what they name.
        seed: the only seed.
        replication: number of the day and of the world.
        engine: as `sim.assembly.simulate`.

    Raises:
        ValueError: they differ in workload or horizon.
        CalibrationError: the profile or the catalogue cannot support one of them.
        BooksError: a run lost or invented something.
    """
    first = scenarios[0]
    if any((other.workload, other.horizon) != (first.workload, first.horizon) for other in scenarios):
        raise ValueError("platforms side by side need one workload and one horizon")

    def named(name: str) -> np.random.Generator:
        return stream(seed, replication, name)

    table = draw_table(first.workload, first.horizon, named)
    shared = SharedAudience(wanted_audience(first, table, named)) if engine == "whole" else None
    runs = []
    for scenario in scenarios:
        crowd = Nobody(table) if shared is None else Crowd(scenario, table, named, shared.view())
        made = draw(scenario, profile, catalogue, seed=seed, replication=replication, table=table)
        runs.append(Run(scenario, made, named, crowd))
    for run in runs:
        run.start()
    # Steps end between two ticks, so that no platform is more than one tick ahead of another.
    ticks = math.floor(first.horizon.horizon_s / first.horizon.tick_s) if shared else 0
    for until_s in (*((number + 0.5) * first.horizon.tick_s for number in range(ticks)), first.horizon.horizon_s):
        for run in runs:
            run.advance(until_s)
    return [run.finish(replication) for run in runs]
