"""Say what a trace was like and how well a later day was foreseen; text to paste into a scenario."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scenarios.errors import CalibrationError
from scenarios.reading.trace_file import Trace
from sim.curves import DAY_S
from sim.sampling import Floats
from sim.trace_fit import COVERED, TraceFit, Window, fit_trace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONG_S = 3_600.0
"""A stretch above the band of at least this is told; shorter ones belong to the one in twenty that lie there."""


@dataclass(frozen=True)
class Shortfall:
    """A stretch of the trace above the band, and its highest moment.

    Attributes:
        from_s: its first moment. `to_s` is its last.
        peak_s: when the trace was highest in it.
        seen: how many there were then.
        foreseen: how many were foreseen.
    """

    from_s: float
    to_s: float
    peak_s: float
    seen: float
    foreseen: float


@dataclass(frozen=True)
class TraceReport:
    """A trace, the fit of its first days, and the days after them.

    Attributes:
        trace: the samples.
        fit: of the first days.
        windows: when there was an event.
        train_days: how many days were fitted.
    """

    trace: Trace
    fit: TraceFit
    windows: tuple[Window, ...]
    train_days: int

    @cached_property
    def at_s(self) -> Floats:
        """The moments, in seconds from 0:00 of the first day."""
        return np.array(self.trace.at_s)

    @cached_property
    def levels(self) -> Floats:
        """What was counted at each."""
        return np.array(self.trace.levels)

    @cached_property
    def later(self) -> npt.NDArray[np.bool_]:
        """Which samples come after the training."""
        return self.at_s >= self.fit.until_s

    @cached_property
    def ordinary(self) -> npt.NDArray[np.bool_]:
        """Which of them are in no event."""
        in_event = [window.holds(self.at_s) for window in self.windows]
        return self.later & ~np.any(in_event, axis=0) if in_event else self.later

    @cached_property
    def in_band(self) -> float:
        """Share of ordinary later samples in the band of 90 %."""
        low, high = self.fit.band(self.at_s[self.ordinary])
        seen = self.levels[self.ordinary]
        return float(np.mean((seen >= low) & (seen <= high)))

    @cached_property
    def mape(self) -> float:
        """Mean absolute error of ordinary later samples, as a part of what was counted."""
        return self._mape(self.fit.middle(self.at_s[self.ordinary]))

    @cached_property
    def null_mape(self) -> float:
        """The same for the median of the training days at that time of day."""
        return self._mape(self.fit.null(self.at_s[self.ordinary]))

    def _mape(self, foreseen: Floats) -> float:
        seen = self.levels[self.ordinary]
        return float(np.mean(np.abs(foreseen - seen) / seen))

    def shortfalls(self, *, with_events: bool) -> list[Shortfall]:
        """Return the stretches of an hour and more after the training that lie above the band.

        Args:
            with_events: whether the events lie over the ordinary day, each by its defaults.
        """
        events = [window.event() for window in self.windows] if with_events else []
        middle, (_, high) = self.fit.middle(self.at_s, events), self.fit.band(self.at_s, events)
        above = np.flatnonzero(self.later & (self.levels > high))
        found = []
        for stretch in np.split(above, np.flatnonzero(np.diff(above) > 1) + 1):
            if stretch.size and self.at_s[stretch[-1]] - self.at_s[stretch[0]] >= LONG_S:
                peak = stretch[np.argmax(self.levels[stretch])]
                first_s, last_s, peak_s = (float(self.at_s[place]) for place in (stretch[0], stretch[-1], peak))
                found.append(Shortfall(first_s, last_s, peak_s, float(self.levels[peak]), float(middle[peak])))
        return found

    def peak(self) -> tuple[float, float, float, float]:
        """Return the highest later moment, what was counted then, and the band there with events laid over it."""
        place = int(np.flatnonzero(self.later)[np.argmax(self.levels[self.later])])
        low, high = self.fit.band(self.at_s[[place]], [window.event() for window in self.windows])
        return float(self.at_s[place]), float(self.levels[place]), float(low[0]), float(high[0])

    def lines(self) -> Iterator[str]:
        """Yield the report, and the scenario's keys to paste."""
        yield from self._fit_lines()
        if self.later.any():
            yield ""
            yield from self._later_lines()
        yield ""
        yield from self.scenario_lines()

    def _fit_lines(self) -> Iterator[str]:
        profile, noise = self.fit.profile, self.fit.noise
        step = np.argmax(profile) * DAY_S / profile.size
        yield f"{self.trace.column}: {self.at_s.size} samples from {self.clock(self.at_s[0])} on"
        yield f"Fitted on the first {self.train_days} days" + (", events left out." if self.windows else ".")
        yield (
            f"An ordinary day is highest at {_time(step)} with {profile.max():,.0f}, "
            f"{profile.max() / profile.mean():.2f} × its mean, {profile.max() / profile.min():.2f} × its lowest."
        )
        yield (
            f"It wanders about that by {noise.sd * 100:.1f} % (sd of the logarithm against the other days), "
            f"with a correlation time of {noise.correlation_s / 3600:.2g} h."
        )

    def _later_lines(self) -> Iterator[str]:
        count = int(self.ordinary.sum())
        if count:
            yield (
                f"After them, of {count} samples outside of events, {self.in_band * 100:.0f} % lie in the band of "
                f"{COVERED * 100:.0f} %; the mean error is {self.mape * 100:.1f} %, that of the plain median of the "
                f"days {self.null_mape * 100:.1f} %."
            )
        for short in self.shortfalls(with_events=False):
            yield (
                f"From {self.clock(short.from_s)} to {self.clock(short.to_s)} the trace lies above the band of an "
                f"ordinary day: at {self.clock(short.peak_s)} there were {short.seen:,.0f} where {short.foreseen:,.0f} "
                f"are foreseen, {(1 - short.foreseen / short.seen) * 100:.0f} % too few. "
                "No daily curve knows of an event: lay one over it."
            )
        if self.windows:
            at_s, seen, low, high = self.peak()
            where = "in" if low <= seen <= high else ("above" if seen > high else "below")
            yield (
                f"With an event of default ramp, uplift and decay over each stated time, the highest moment "
                f"({self.clock(at_s)}, {seen:,.0f}) lies {where} the band there, {low:,.0f} to {high:,.0f}."
            )

    def plot(self) -> Figure:
        """Return the trace over its fit, with the band of ordinary days and the events."""
        from sim import trace_plot

        return trace_plot.trace_figure(self)

    def scenario_lines(self) -> Iterator[str]:
        """Yield curve, noise and peak as a scenario has them under `workload.audience`."""
        hourly = self.fit.hourly()
        levels = [f"{level:.3f}" for level in hourly / hourly.mean()]
        yield "peak_viewers: " + f"{hourly.max():.0f}  # of an ordinary day"
        yield "curve:"
        yield "  kind: hourly  # at 0:00, 1:00 ... by the clock of the trace; mean 1"
        yield f"  levels: [{', '.join(levels[:12])},"
        yield f"           {', '.join(levels[12:])}]"
        yield f"noise: {{sd: {self.fit.noise.sd:.3f}, correlation_s: {self.fit.noise.correlation_s / 3600:.2f} h}}"

    def clock(self, at_s: float) -> str:
        """Return a moment of the trace as its reader knows it."""
        if self.trace.first_day is None:
            return f"day {int(at_s // DAY_S) + 1}, {_time(at_s)}"
        midnight = datetime.datetime.combine(self.trace.first_day, datetime.time())
        return f"{midnight + datetime.timedelta(seconds=at_s):%Y-%m-%d %H:%M}"


def report_trace(trace: Trace, *, train_days: int, events: Sequence[str] = ()) -> TraceReport:
    """Fit a trace and judge the days after the training.

    Args:
        trace: the samples.
        train_days: how many days from the first sample on are fitted.
        events: times of events as `FROM/TO`, each as the file writes its times.

    Raises:
        CalibrationError: the trace is too short, or an event is none.
    """
    windows = tuple(_window(text, trace) for text in events)
    fit = fit_trace(np.array(trace.at_s), np.array(trace.levels), train_days=train_days, events=windows)
    return TraceReport(trace, fit, windows, train_days)


def _window(text: str, trace: Trace) -> Window:
    first, _, last = text.partition("/")
    try:
        window = Window(_moment_s(first, trace), _moment_s(last, trace))
    except (ValueError, OverflowError):
        example = "2026-11-22T20:00/2026-11-23T07:30" if trace.first_day else "72000/113400"
        raise CalibrationError(f"--event {text!r} is no FROM/TO; write {example}") from None
    if window.to_s <= window.from_s:
        raise CalibrationError(f"--event {text!r} ends before it begins")
    if window.from_s > trace.at_s[-1] or window.to_s < trace.at_s[0]:
        raise CalibrationError(f"--event {text!r} lies outside of the trace")
    window.event()
    return window


def _moment_s(text: str, trace: Trace) -> float:
    """Return a moment in seconds from 0:00 of the first day; its UTC offset is taken to be the file's."""
    if trace.first_day is None:
        return float(text) - trace.midnight_s
    midnight = datetime.datetime.combine(trace.first_day, datetime.time())
    return (datetime.datetime.fromisoformat(text).replace(tzinfo=None) - midnight).total_seconds()


def _time(at_s: float) -> str:
    minutes = round(at_s / 60) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
