"""Broadcasts going live: a non-homogeneous Poisson process with durations of any law, drawn before time starts.

Those already live at the start are drawn at their exact law, so there is no warm-up: their number is Poisson
with mean ∫ λ(-a) P(S > a) da, their ages have the density λ(-a) P(S > a), and each lasts as long as a duration
that is known to exceed its age (Eick, Massey & Whitt 1993, the Mt/G/∞ queue).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.scenario import Horizon
from scenarios.workload import Broadcasts, Popularity
from sim.curves import DAY_S, level
from sim.sampling import Floats, Law, law

CELLS_PER_MEAN = 60
FEWEST_CELLS, MOST_CELLS = 1_440, 86_400
"""Cells of a day: a minute, or finer where durations are so short that a minute would blur them."""
LONGEST_AGE_S = 60 * DAY_S
NEGLIGIBLE = 1e-9
YOUNGEST_S = 1e-6


@dataclass(frozen=True)
class BroadcastTable:
    """Every broadcast of a replication, one row each, in the order of going live; the row is its identity.

    Attributes:
        publish_s: moment of going live; negative for those live at the start.
        end_s: moment its broadcaster stops, whatever the platform does.
        weight: popularity of its channel, on no particular scale.
    """

    publish_s: Floats
    end_s: Floats
    weight: Floats

    def __len__(self) -> int:
        return self.publish_s.size

    @property
    def source(self) -> npt.NDArray[np.int8]:
        return np.zeros(len(self), np.int8)

    @property
    def content(self) -> Floats:
        return np.ones(len(self), np.float32)

    @property
    def partner(self) -> npt.NDArray[np.bool_]:
        return np.zeros(len(self), bool)

    @property
    def expected_viewers(self) -> Floats:
        return np.zeros(len(self))

    def live(self, at_s: float) -> npt.NDArray[np.intp]:
        """Return the rows whose broadcaster wants to be live at `at_s`, ascending."""
        known = np.searchsorted(self.publish_s, at_s, side="right")
        return np.flatnonzero(self.end_s[:known] > at_s)


@dataclass(frozen=True)
class LiveRate:
    """The rate of going live over the day, and the concurrency it leads to.

    Attributes:
        cell_s: length of a cell of the day.
        per_s: rate in each cell of the local day, shape (86400 / cell_s,).
        concurrent: expected number live at the end of each cell, the same shape.
        age_s: middles of cells of age. `survival` is P(duration > age) there.
    """

    cell_s: float
    per_s: Floats
    concurrent: Floats
    age_s: Floats
    survival: Floats

    def at(self, hour: float) -> float:
        """Return the expected number live at a local hour."""
        return float(self.concurrent[int(hour * 3600 / self.cell_s) - 1])


def live_rate(spec: Broadcasts) -> LiveRate:
    """Return the periodic rate whose expected concurrency peaks at `spec.peak_concurrent`."""
    duration = law(spec.duration)
    cells = int(np.clip(DAY_S * CELLS_PER_MEAN / duration.mean_s, FEWEST_CELLS, MOST_CELLS))
    cell_s = DAY_S / cells
    shape = level(spec.start_curve, (np.arange(cells) + 0.5) * cell_s / 3600.0)
    age_s = _ages(duration, cell_s)
    survival = duration.survival(age_s)
    per_day_lag = np.bincount(np.arange(age_s.size) % cells, weights=survival * cell_s, minlength=cells)
    concurrent = np.real(np.fft.ifft(np.fft.fft(shape) * np.fft.fft(per_day_lag)))
    scale = spec.peak_concurrent / concurrent.max()
    return LiveRate(cell_s, shape * scale, concurrent * scale, age_s, survival)


def _ages(duration: Law, cell_s: float) -> Floats:
    age_s = np.arange(cell_s / 2, min(LONGEST_AGE_S, 1e6 * cell_s), cell_s)
    lasting = np.flatnonzero(duration.survival(age_s) > NEGLIGIBLE)
    return age_s[: lasting[-1] + 1] if lasting.size else age_s[:1]


def draw_broadcasts(
    spec: Broadcasts, popularity: Popularity, horizon: Horizon, rng: np.random.Generator
) -> BroadcastTable:
    """Return every broadcast that is live at some moment of [0, horizon_s)."""
    duration = law(spec.duration)
    rate = live_rate(spec)
    start_cell = int(horizon.start_hour * 3600 / rate.cell_s)
    old_age_s, old_duration_s = _already_live(duration, rate, start_cell, rng)
    publish_s = _going_live(rate, start_cell, horizon.horizon_s, rng)
    duration_s = duration.draw(rng.random(publish_s.size))
    order = np.argsort(-old_age_s, kind="stable")
    all_publish_s = np.concatenate([-old_age_s[order], publish_s])
    all_duration_s = np.concatenate([old_duration_s[order], duration_s])
    rank = 1 + np.floor(rng.random(all_publish_s.size) * popularity.channels)
    weight = (rank + popularity.shift) ** -popularity.exponent
    return BroadcastTable(all_publish_s, all_publish_s + all_duration_s, weight)


def _already_live(duration: Law, rate: LiveRate, start_cell: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    cells_ago = (start_cell - 1 - np.arange(rate.age_s.size)) % rate.per_s.size
    expected = rate.per_s[cells_ago] * rate.survival * rate.cell_s
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


def _going_live(rate: LiveRate, start_cell: int, horizon_s: float, rng: np.random.Generator) -> Floats:
    """Return the moments of going live in [0, horizon_s): a unit Poisson process in operational time."""
    cells = int(np.ceil(horizon_s / rate.cell_s))
    per_s = rate.per_s[(start_cell + np.arange(cells)) % rate.per_s.size]
    operational = np.concatenate([[0.0], np.cumsum(per_s * rate.cell_s)])
    total = operational[-1]
    drawn = int(total + 10 * np.sqrt(total) + 50)
    arrivals = np.cumsum(rng.exponential(size=drawn))
    arrivals = arrivals[arrivals < total]
    publish_s: Floats = np.interp(arrivals, operational, np.arange(cells + 1) * rate.cell_s)
    within: Floats = publish_s[publish_s < horizon_s]
    return within
