"""The rate of going live and the concurrency it leads to: the expectation of the Mt/G/∞ queue on cells of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenarios.errors import CalibrationError
from scenarios.events import Event
from scenarios.workload import Broadcasts, Region
from sim.curves import DAY_S, RegionalLevel, period_s
from sim.overlays import uplift
from sim.sampling import Floats, Law, law

CELLS_PER_MEAN = 60
FEWEST_CELLS, MOST_CELLS = 1_440, 86_400
"""Cells of a day: a minute, or finer where durations are so short that a minute would blur them."""
LONGEST_AGE_S = 60 * DAY_S
NEGLIGIBLE = 1e-9
NEAR, TOO_FAR, MOST_ROUNDS = 0.002, 0.1, 500
"""How near the number live must come to a given one, as a part of its peak: where to stop, and where to refuse."""


@dataclass(frozen=True)
class LiveRate:
    """The rate of going live over the day, and the concurrency it leads to.

    Attributes:
        cell_s: length of a cell of the day.
        per_s: rate in each cell of the local day, shape (86400 / cell_s,); of several days where the curve has them.
        concurrent: expected number live at the end of each cell, the same shape, without events.
        age_s: middles of cells of age. `survival` is P(duration > age) there.
        events: what multiplies the rate in a run.
    """

    cell_s: float
    per_s: Floats
    concurrent: Floats
    age_s: Floats
    survival: Floats
    events: tuple[Event, ...] = ()

    def at(self, hour: float) -> float:
        """Return the expected number live at a local hour of an ordinary day."""
        return float(self.concurrent[int(hour * 3600 / self.cell_s) - 1])

    def cell(self, hour: float) -> int:
        """Return the cell that a local hour is in."""
        return int(hour * 3600 / self.cell_s)

    def of_run(self, start_hour: float, cells: Floats) -> Floats:
        """Return the rate in cells of a run, events included.

        Args:
            start_hour: local hour of the start of the run.
            cells: whole numbers counted from there: 0 is the first cell of the run, -1 the one before it.
        """
        per_s: Floats = self.per_s[(self.cell(start_hour) + cells.astype(int)) % self.per_s.size]
        if not self.events:
            return per_s
        return per_s * uplift(self.events, (cells + 0.5) * self.cell_s, "broadcasts")

    def expected(self, start_hour: float, at_s: float) -> float:
        """Return the expected number live at a moment of a run, events included."""
        edges = np.floor(at_s / self.cell_s) + np.arange(2)
        ago = 1 + np.arange(self.age_s.size)
        live = [float(self.of_run(start_hour, edge - ago) @ self.survival) * self.cell_s for edge in edges]
        return float(np.interp(at_s, edges * self.cell_s, live))


def live_rate(spec: Broadcasts, *, regions: Sequence[Region] = (), events: Sequence[Event] = ()) -> LiveRate:
    """Return the periodic rate whose expected concurrency peaks at `spec.peak_concurrent`, before any event."""
    duration = law(spec.duration)
    of_a_day = int(np.clip(DAY_S * CELLS_PER_MEAN / duration.mean_s, FEWEST_CELLS, MOST_CELLS))
    cells = of_a_day * round(period_s(spec.start_curve) / DAY_S)
    cell_s = DAY_S / of_a_day
    level = RegionalLevel(spec.start_curve, regions)
    age_s = _ages(duration, cell_s)
    survival = duration.survival(age_s)
    lag = np.arange(age_s.size) % cells
    per_lag: Floats = np.bincount(lag, weights=survival * cell_s, minlength=cells).astype(float)
    if spec.start_curve_is == "rate":
        shape = level.total((np.arange(cells) + 0.5) * cell_s / 3600.0)
    else:
        shape = rate_of(level.total((np.arange(cells) + 1.0) * cell_s / 3600.0), per_lag)
    concurrent = np.real(np.fft.ifft(np.fft.fft(shape) * np.fft.fft(per_lag)))
    scale = spec.peak_concurrent / concurrent.max()
    felt = tuple(event for event in events if event.on != "viewers")
    return LiveRate(cell_s, shape * scale, concurrent * scale, age_s, survival, felt)


def rate_of(concurrent: Floats, per_lag: Floats) -> Floats:
    """Return the periodic rate of going live whose expected number live comes nearest to a given one.

    The multiplicative iteration of Richardson (1972) and Lucy (1974): it never turns negative, and goes for what is
    slow before what is quick, so that the jitter of a trace does not become bursts of people going live.

    Args:
        concurrent: number live at the end of each cell.
        per_lag: the part of a cell's rate that is live so many cells later, in seconds; the same shape.

    Raises:
        CalibrationError: no rate comes near: durations are too long for numbers that move so fast.
    """
    kernel = np.fft.fft(per_lag)
    rate = np.full_like(concurrent, concurrent.mean() / per_lag.sum())
    for _ in range(MOST_ROUNDS):
        live = np.real(np.fft.ifft(np.fft.fft(rate) * kernel))
        missed = np.abs(live - concurrent).max() / concurrent.max()
        if missed < NEAR:
            break
        # Where nobody shall be live and nobody is, there is nothing to put right.
        wanted = np.fft.fft(np.divide(concurrent, live, out=np.zeros_like(live), where=live > 0))
        rate = rate * np.maximum(np.real(np.fft.ifft(wanted * np.conj(kernel))), 0.0) / per_lag.sum()
    if missed > TOO_FAR:
        raise CalibrationError(
            f"no rate of going live leads to the numbers of broadcasts.start_curve: the nearest misses them by "
            f"{missed * 100:.0f} % of the peak; durations are too long, or the curve falls too fast"
        )
    return rate


def _ages(duration: Law, cell_s: float) -> Floats:
    age_s = np.arange(cell_s / 2, min(LONGEST_AGE_S, 1e6 * cell_s), cell_s)
    lasting = np.flatnonzero(duration.survival(age_s) > NEGLIGIBLE)
    return age_s[: lasting[-1] + 1] if lasting.size else age_s[:1]
