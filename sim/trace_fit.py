"""What a trace says about days: its profile, how it wanders about it, and where a later day lies.

The profile is the median of the logarithm at each time of day, over the days of training and without events,
smoothed. The noise is what the days differ from the profile of the *other* days: its spread holds the wandering of a
day as well as what so few days leave unknown. Its correlation time is that of the exponential nearest to the
residuals' autocorrelation. A later day is predicted as any other day, not from how the last one ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from scenarios.errors import CalibrationError
from scenarios.events import DayNoise, Event
from scenarios.trace_rows import span_words
from sim.curves import DAY_S
from sim.overlays import uplift
from sim.sampling import Floats

SMOOTHED_OVER_S = 3_600.0
"""Half the width of the bell over which the profile is averaged."""
LONGEST_LAG_S = 6 * 3_600.0
LONGEST_STEP_S = 3_600.0
FEWEST_DAYS = 2
COVERED = 0.9


@dataclass(frozen=True)
class Window:
    """A time of the trace that an event had, in seconds from 0:00 of its first day."""

    from_s: float
    to_s: float

    def holds(self, at_s: Floats) -> npt.NDArray[np.bool_]:
        """Return which moments are in it."""
        return (at_s >= self.from_s) & (at_s <= self.to_s)

    def event(self) -> Event:
        """Return the event of default ramp, uplift and decay that is felt in just this window; it holds between."""
        plain = Event(name="event", at_s=self.from_s)
        hold_s = self.to_s - self.from_s - plain.ramp_s - plain.decay_s
        if hold_s < 0:
            least = span_words(plain.ramp_s + plain.decay_s)
            raise CalibrationError(f"an event of {span_words(self.to_s - self.from_s)} is too short: at least {least}")
        return plain.model_copy(update={"hold_s": hold_s})


@dataclass(frozen=True)
class TraceFit:
    """A day as the training days were.

    Attributes:
        until_s: end of the training, in seconds from 0:00 of the first day.
        profile: level at evenly spaced times of a day, from 0:00 on; smoothed.
        median: the same before smoothing: the null model.
        noise: how a day wanders about the profile.
    """

    until_s: float
    profile: Floats
    median: Floats
    noise: DayNoise

    def hourly(self) -> Floats:
        """Return the profile at 0:00, 1:00 … 23:00."""
        return np.exp(_at(np.log(self.profile), np.arange(24) * 3600.0))

    def middle(self, at_s: Floats, events: Sequence[Event] = ()) -> Floats:
        """Return the level to expect at moments of the trace, of even chances to be above or below."""
        middle: Floats = np.exp(_at(np.log(self.profile), at_s)) * uplift(events, at_s, "viewers")
        return middle

    def band(self, at_s: Floats, events: Sequence[Event] = ()) -> tuple[Floats, Floats]:
        """Return where 90 % of days lie."""
        middle = self.middle(at_s, events)
        factor = np.exp(stats.norm.ppf((1 + COVERED) / 2) * self.noise.sd)
        return middle / factor, middle * factor

    def null(self, at_s: Floats) -> Floats:
        """Return what the median of the training days at that time of day was."""
        slots = self.median.size
        return self.median[_slot(at_s, slots)]


def fit_trace(at_s: Floats, levels: Floats, *, train_days: int, events: Sequence[Window] = ()) -> TraceFit:
    """Fit the first days of a trace.

    Args:
        at_s: moments in even steps, in seconds from 0:00 of the first day.
        levels: what was counted at each.
        train_days: how many days from its first sample on.
        events: times that are no part of an ordinary day.

    Raises:
        CalibrationError: fewer than two days, or levels that have no logarithm.
    """
    if train_days < FEWEST_DAYS:
        raise CalibrationError(f"{train_days} day is no training: at least {FEWEST_DAYS} tell how much days differ")
    step_s = float(np.median(np.diff(at_s)))
    if step_s > LONGEST_STEP_S:
        raise CalibrationError(f"samples every {span_words(step_s)}: at least one an hour tells how a day moves")
    until_s = at_s[0] + train_days * DAY_S
    if at_s[-1] + step_s < until_s - step_s / 2:
        has = span_words(round(at_s[-1] - at_s[0] + step_s))
        raise CalibrationError(f"the trace spans {has}, which is less than {train_days} days; lower --train-days")
    if levels.min() <= 0:
        raise CalibrationError("a level of 0 has no logarithm: cut the trace to where there are viewers")
    days = _days(at_s, np.log(levels), at_s < until_s, events, step_s)
    median = _median(days)
    others = [_smoothed(_median(np.delete(days, day, axis=0)), step_s) for day in range(len(days))]
    # In the order of time: the training may begin at any time of day.
    residual = np.roll(days - np.array(others), -_slot(at_s[:1], days.shape[1])[0], axis=1).ravel()
    return TraceFit(until_s, np.exp(_smoothed(median, step_s)), np.exp(median), _noise(residual, step_s))


def _days(
    at_s: Floats, logarithm: Floats, training: npt.NDArray[np.bool_], events: Sequence[Window], step_s: float
) -> Floats:
    """Return the training as days × times of day from 0:00 on, NaN where there is no ordinary sample.

    A day begins at the first sample's time of day: the row of a trace from noon on holds an afternoon, and in the
    columns before it the morning after.
    """
    ordinary = training & ~np.any([window.holds(at_s) for window in events], axis=0) if events else training
    slots = round(DAY_S / step_s)
    day = np.floor((at_s - at_s[0]) / DAY_S + 1e-9).astype(int)
    days = np.full((day[training].max() + 1, slots), np.nan)
    days[day[ordinary], _slot(at_s[ordinary], slots)] = logarithm[ordinary]
    return days


def _slot(at_s: Floats, slots: int) -> npt.NDArray[np.intp]:
    slot: npt.NDArray[np.intp] = np.rint((at_s % DAY_S) / DAY_S * slots).astype(np.intp) % slots
    return slot


def _median(days: Floats) -> Floats:
    """Return the median of each time of day; where no day has one, a straight line between its neighbours."""
    known = np.flatnonzero(~np.isnan(days).all(axis=0))
    if known.size < days.shape[1] / 2:
        raise CalibrationError("events leave less than half of the times of day without a sample")
    middle = np.nanmedian(days[:, known], axis=0)
    return np.interp(np.arange(days.shape[1]), known, middle, period=days.shape[1])


def _smoothed(profile: Floats, step_s: float) -> Floats:
    """Return a profile averaged around the clock by a bell (Hann) of half width `SMOOTHED_OVER_S`."""
    reach = min(int(SMOOTHED_OVER_S / step_s), (profile.size - 1) // 2)
    offset = np.arange(-reach, reach + 1)
    bell = np.cos(np.pi / 2 * offset / (reach + 1)) ** 2
    shifted = np.array([np.roll(profile, -by) for by in offset])
    smooth: Floats = bell / bell.sum() @ shifted
    return smooth


def _at(profile: Floats, at_s: Floats) -> Floats:
    hours = np.arange(profile.size) * (DAY_S / profile.size)
    between: Floats = np.interp(at_s % DAY_S, hours, profile, period=DAY_S)
    return between


def _noise(residual: Floats, step_s: float) -> DayNoise:
    """Return spread and correlation time of residuals in the order of time, NaN where there is none."""
    variance = float(np.nanmean(residual**2))
    lags = np.arange(1, int(LONGEST_LAG_S / step_s) + 1)
    seen = np.array([np.nanmean(residual[lag:] * residual[:-lag]) for lag in lags]) / variance
    found = optimize.minimize_scalar(
        lambda time_s: float(np.sum((np.exp(-lags * step_s / time_s) - seen) ** 2)),
        bounds=(step_s / 4, DAY_S),
        method="bounded",
    )
    return DayNoise(sd=float(np.sqrt(variance)), correlation_s=float(found.x))
