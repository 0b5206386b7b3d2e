"""The levels of a curve over the hours: of the whole platform, and of regions whose evenings come one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scenarios.curves import MINUTES, ConstantCurve, Curve, HarmonicCurve, HourlyCurve, TraceCurve
from scenarios.workload import Region
from sim.sampling import Floats

DAY_S = 86_400.0


def level(curve: Curve, hour: Floats) -> Floats:
    """Return the curve at local hours, counted from 0:00 of its first day, highest 1.

    Any real number is an hour: the curve repeats every 24, a trace after its days. A trace that does not repeat goes
    on at its first and last level.
    """
    return level_of(curve)(hour)


def level_of(curve: Curve) -> Callable[[Floats], Floats]:
    """Return `level` of one curve, with what does not change from hour to hour worked out once."""
    if isinstance(curve, ConstantCurve):
        return np.ones_like
    if isinstance(curve, HourlyCurve):
        levels = np.asarray(curve.levels)
        hours, closed, highest = np.arange(25.0), np.append(levels, levels[0]), levels.max()
        return lambda hour: np.interp(hour % 24.0, hours, closed) / highest
    if isinstance(curve, HarmonicCurve):
        top = _harmonic(curve, np.arange(MINUTES) / 60.0).max()
        return lambda hour: np.maximum(_harmonic(curve, hour), 0.0) / top
    return _trace(curve)


def period_s(curve: Curve) -> float:
    """Return after how many seconds a curve repeats.

    Raises:
        ValueError: it is a trace that is no whole number of days.
    """
    if not isinstance(curve, TraceCurve):
        return DAY_S
    if curve.period_s is None:
        raise ValueError("a trace that is no whole number of days does not repeat")
    return curve.period_s


class RegionalLevel:
    """A curve followed by each region at its own local time, the sum over regions highest 1.

    Without regions there is one place, and its level is the curve's.
    """

    def __init__(self, curve: Curve, regions: Sequence[Region]) -> None:
        self._level = level_of(curve)
        self._share = np.array([region.share for region in regions] or [1.0])
        self._offset_h = np.array([region.utc_offset_h for region in regions] or [0.0])
        self._highest = float(self._unscaled(_hours_of(curve)).sum(axis=0).max()) if regions else 1.0

    def by_region(self, hour: Floats) -> Floats:
        """Return the part of each region in the level, shape (regions, *hour)."""
        return self._unscaled(hour) / self._highest

    def total(self, hour: Floats) -> Floats:
        """Return the level of all regions together, the shape of `hour`."""
        if self._share.size == 1 and self._offset_h[0] == 0.0:
            return self._level(hour)
        total: Floats = self.by_region(hour).sum(axis=0)
        return total

    def _unscaled(self, hour: Floats) -> Floats:
        local = [self._level(hour + offset_h) for offset_h in self._offset_h]
        return np.array([share * one for share, one in zip(self._share, local, strict=True)])


def _hours_of(curve: Curve) -> Floats:
    """Return every minute of a curve, as hours, and the moments at which it may be highest."""
    if not isinstance(curve, TraceCurve):
        return np.arange(MINUTES) / 60.0
    first_h, last_h = curve.covers_h
    return np.arange(first_h, last_h + 24.0, 1 / 60.0)


def _harmonic(curve: HarmonicCurve, hour: Floats) -> Floats:
    total = np.ones_like(hour)
    for wave in curve.harmonics:
        total = total + wave.amplitude * np.cos(2 * np.pi * wave.order * (hour - wave.peak_hour) / 24.0)
    return total


def _trace(curve: TraceCurve) -> Callable[[Floats], Floats]:
    at_h = np.asarray(curve.at_s) / 3600.0 + curve.utc_offset_h
    relative = np.asarray(curve.levels) / max(curve.levels)
    period_h = None if curve.period_s is None else curve.period_s / 3600.0
    return lambda hour: np.interp(hour, at_h, relative, period=period_h)
