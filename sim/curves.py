"""The levels of a daily curve."""

from __future__ import annotations

import numpy as np

from scenarios.workload import ConstantCurve, HourlyCurve
from sim.sampling import Floats

DAY_S = 86_400.0


def level(curve: ConstantCurve | HourlyCurve, hour: Floats) -> Floats:
    """Return the curve at local hours of the day (any real number; the curve repeats every 24), peak 1."""
    if isinstance(curve, ConstantCurve):
        return np.ones_like(hour)
    levels = np.asarray(curve.levels)
    relative: Floats = np.interp(hour % 24.0, np.arange(25.0), np.append(levels, levels[0])) / levels.max()
    return relative
