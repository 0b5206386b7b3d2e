"""What each broadcast is: its source, how hard it is to encode, where it is from; and the stars among them.

Each trait has a random stream of its own, and a broadcast's number in it is its own: a scenario that adds a source
changes no content, and one that adds a star changes nobody else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.curves import Curve
from scenarios.scenario import Horizon
from scenarios.workload import Audience, Region, Star, Workload
from sim.components.broadcasts import YOUNGEST_S, BroadcastTable, draw_broadcasts
from sim.curves import RegionalLevel, period_s
from sim.sampling import Floats, normal

Named = Callable[[str], np.random.Generator]


def draw_table(workload: Workload, horizon: Horizon, named: Named) -> BroadcastTable:
    """Return every broadcast of a run with all that is known of it before time starts.

    Args:
        workload: the demand.
        horizon: the span of time.
        named: a stream of random numbers for each name.
    """
    spec, popularity = workload.broadcasts, workload.audience.popularity
    table = draw_broadcasts(
        spec, popularity, horizon, named("broadcasts"), regions=workload.regions, events=workload.events
    )
    table = replace(table, expected_viewers=_expected_viewers(table, workload))
    stars = [
        (index, star)
        for index, star in enumerate(popularity.stars)
        if star.from_s < horizon.horizon_s and star.to_s > 0
    ]
    if stars:
        table = _with_stars(table, stars, workload.audience)
    table = replace(table, **_traits(table, workload, horizon, named))
    return table.rows(np.argsort(table.publish_s, kind="stable")) if stars else table


def star_viewers(star: Star, total: float) -> float:
    """Return how many watch a star once its audience is complete, of everybody who watches."""
    return star.viewers if star.viewers is not None else (star.share or 0.0) * total


def _expected_viewers(table: BroadcastTable, workload: Workload) -> npt.NDArray[np.float32]:
    """Return each broadcast's part of the highest moment, were as many live as then, of the average weight."""
    if not len(table) or table.weight.sum() == 0:
        return np.zeros(len(table), np.float32)
    at_peak = workload.broadcasts.peak_concurrent * table.weight.mean()
    part: Floats = table.weight * (workload.audience.peak_viewers / at_peak)
    return part.astype(np.float32)


def _with_stars(table: BroadcastTable, stars: Sequence[tuple[int, Star]], audience: Audience) -> BroadcastTable:
    """Return the table with the stars after all others."""
    # Who is live at 0 went live before it.
    publish_s = [star.from_s if star.from_s > 0 else min(star.from_s, -YOUNGEST_S) for _, star in stars]
    ones = np.ones(len(stars))
    return BroadcastTable(
        np.append(table.publish_s, publish_s),
        np.append(table.end_s, [star.to_s for _, star in stars]),
        np.append(table.weight, 0.0 * ones),
        partner=np.append(table.partner, ones > 0),
        star=np.append(table.star, np.array([index for index, _ in stars], np.int8)),
        expected_viewers=np.append(
            table.expected_viewers,
            np.array([star_viewers(star, audience.peak_viewers) for _, star in stars], np.float32),
        ),
    )


def _traits(table: BroadcastTable, workload: Workload, horizon: Horizon, named: Named) -> dict[str, npt.NDArray[Any]]:
    size = len(table)
    traits: dict[str, npt.NDArray[Any]] = {}
    if workload.source_mix:
        upper = np.cumsum([kind.share for kind in workload.source_mix])
        traits["source"] = _chosen(upper / upper[-1], named("broadcast source").random(size))
    if workload.content.cv:
        traits["content"] = _content(workload.content.cv, named("broadcast content").random(size))
    if len(workload.regions) > 1:
        hour = horizon.start_hour + table.publish_s / 3600.0
        uniforms = named("broadcast region").random(size)
        traits["region"] = _home(workload.broadcasts.start_curve, workload.regions, hour, uniforms)
    return traits


def _chosen(upper: Floats, uniforms: Floats) -> npt.NDArray[np.int8]:
    """Return the first choice whose cumulative share is above each uniform number."""
    return np.minimum(np.searchsorted(upper, uniforms, side="right"), upper.size - 1).astype(np.int8)


def _content(cv: float, uniforms: Floats) -> npt.NDArray[np.float32]:
    sigma = math.sqrt(math.log1p(cv**2))
    factor: Floats = np.exp(sigma * normal(uniforms) - sigma**2 / 2)
    return factor.astype(np.float32)


def _home(curve: Curve, regions: Sequence[Region], hour: Floats, uniforms: Floats) -> npt.NDArray[np.int8]:
    """Return the region of each broadcast: where people were going live at that minute."""
    minutes = round(period_s(curve) / 60.0)
    parts = RegionalLevel(curve, regions).by_region((np.arange(minutes) + 0.5) / 60.0)
    upper = np.cumsum(parts, axis=0)
    minute = np.floor(hour * 60.0).astype(int) % minutes
    home = np.zeros(hour.size, np.int8)
    for below in upper[:-1]:
        home += uniforms * upper[-1][minute] >= below[minute]
    return home
