"""Broadcasts going live: a non-homogeneous Poisson process with durations of any law, drawn before time starts.

Those already live at the start are drawn at their exact law, so there is no warm-up: their number is Poisson
with mean ∫ λ(-a) P(S > a) da, their ages have the density λ(-a) P(S > a), and each lasts as long as a duration
that is known to exceed its age (Eick, Massey & Whitt 1993, the Mt/G/∞ queue).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from scenarios.events import Event
from scenarios.scenario import Horizon
from scenarios.workload import Broadcasts, Popularity, Region
from sim.components.live_rate import LiveRate, live_rate
from sim.sampling import Floats, Law, law

__all__ = ["YOUNGEST_S", "BroadcastTable", "LiveRate", "draw_broadcasts", "live_rate"]

YOUNGEST_S = 1e-6
ORDINARY = {"source": 0, "content": 1.0, "partner": False, "region": 0, "star": -1, "expected_viewers": np.nan}
"""What a column holds where nothing was drawn for it."""


@dataclass(frozen=True)
class BroadcastTable:
    """Every broadcast of a replication, one row each, in the order of going live; the row is its identity.

    Attributes:
        publish_s: moment of going live; negative for those live at the start.
        end_s: moment its broadcaster stops, whatever the platform does.
        weight: popularity of its channel, on no particular scale; 0 for one that nobody watches, and for stars.
        source: which of `Workload.sources` it sends.
        content: how much harder than the average it is to encode; 1 where all are alike.
        partner: whether its broadcaster is a partner of the platform.
        region: which of `Workload.regions` it is from.
        star: which of `Popularity.stars` it is; -1 for none.
        expected_viewers: its part of the platform's highest moment, by weight; NaN where nobody worked it out.
    """

    publish_s: Floats
    end_s: Floats
    weight: Floats
    source: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    content: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    partner: npt.NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    region: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    star: npt.NDArray[np.int8] = field(default_factory=lambda: np.empty(0, np.int8))
    expected_viewers: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def __post_init__(self) -> None:
        for name, ordinary in ORDINARY.items():
            column = getattr(self, name)
            if column.size != len(self):
                object.__setattr__(self, name, np.full(len(self), ordinary, column.dtype))

    def __len__(self) -> int:
        return self.publish_s.size

    def rows(self, order: npt.NDArray[np.intp]) -> BroadcastTable:
        """Return the table with its rows in another order."""
        return BroadcastTable(**{column.name: getattr(self, column.name)[order] for column in fields(self)})

    def live(self, at_s: float) -> npt.NDArray[np.intp]:
        """Return the rows whose broadcaster wants to be live at `at_s`, ascending."""
        known = np.searchsorted(self.publish_s, at_s, side="right")
        return np.flatnonzero(self.end_s[:known] > at_s)


def draw_broadcasts(
    spec: Broadcasts,
    popularity: Popularity,
    horizon: Horizon,
    rng: np.random.Generator,
    *,
    regions: Sequence[Region] = (),
    events: Sequence[Event] = (),
) -> BroadcastTable:
    """Return every broadcast that is live at some moment of [0, horizon_s), stars aside."""
    duration = law(spec.duration)
    rate = live_rate(spec, regions=regions, events=events)
    old_age_s, old_duration_s = _already_live(duration, rate, horizon.start_hour, rng)
    publish_s = _going_live(rate, horizon, rng)
    duration_s = duration.draw(rng.random(publish_s.size))
    order = np.argsort(-old_age_s, kind="stable")
    all_publish_s = np.concatenate([-old_age_s[order], publish_s])
    all_duration_s = np.concatenate([old_duration_s[order], duration_s])
    rank = 1 + np.floor(rng.random(all_publish_s.size) * popularity.channels)
    weight = (rank + popularity.shift) ** -popularity.exponent
    if popularity.zero_viewer_share:
        weight[rank > popularity.channels * (1.0 - popularity.zero_viewer_share)] = 0.0
    partner = rank <= popularity.channels * spec.partner_share
    return BroadcastTable(all_publish_s, all_publish_s + all_duration_s, weight, partner=partner)


def _already_live(duration: Law, rate: LiveRate, start_hour: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    expected = rate.of_run(start_hour, -1.0 - np.arange(rate.age_s.size)) * rate.survival * rate.cell_s
    count = rng.poisson(expected.sum())
    cumulative = np.cumsum(expected)
    cell = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    cell = np.minimum(cell, rate.age_s.size - 1)
    left_s = rate.age_s[cell] - rate.cell_s / 2
    age_s = left_s + rng.random(count) * rate.cell_s
    # A law with an end may end inside the cell: nothing can be older than that. And who went live at the very
    # start would be both old and new.
    age_s = np.maximum(np.where(duration.survival(age_s) > 0, age_s, left_s), YOUNGEST_S)
    return age_s, duration.draw_remaining(age_s, rng.random(count))


def _going_live(rate: LiveRate, horizon: Horizon, rng: np.random.Generator) -> Floats:
    """Return the moments of going live in [0, horizon_s): a unit Poisson process in operational time."""
    cells = int(np.ceil(horizon.horizon_s / rate.cell_s))
    per_s = rate.of_run(horizon.start_hour, np.arange(cells, dtype=float))
    operational = np.concatenate([[0.0], np.cumsum(per_s * rate.cell_s)])
    total = operational[-1]
    drawn = int(total + 10 * np.sqrt(total) + 50)
    arrivals = np.cumsum(rng.exponential(size=drawn))
    arrivals = arrivals[arrivals < total]
    publish_s: Floats = np.interp(arrivals, operational, np.arange(cells + 1) * rate.cell_s)
    within: Floats = publish_s[publish_s < horizon.horizon_s]
    return within
