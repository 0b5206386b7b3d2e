"""Numbers as a reader wants them."""

from __future__ import annotations

import math

SCALES = {
    "bit/s": ((1e12, "Tbit/s"), (1e9, "Gbit/s"), (1e6, "Mbit/s"), (1.0, "bit/s")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (1.0, "B")),
}


COUNTED = ("nodes", "broadcasts", "viewers")


def interval_text(mean: float, low: float, high: float, unit: str) -> tuple[str, str]:
    """Return a value with its unit, and its interval in the same unit; a dash where there is none."""
    if math.isnan(mean):
        return "–", "–"
    if math.isinf(mean):
        return "not within the run", "–"
    factor, name = _scale(mean, unit)
    if mean == 1 and unit in COUNTED:
        name = unit.removesuffix("s")
    value = f"{_number(mean * factor, unit)} {name}".rstrip()
    if math.isnan(low):
        return value, "–"
    return value, f"{_number(low * factor, unit)} … {_number(high * factor, unit)}"


def range_text(low: float, high: float, unit: str) -> str:
    """Return a range with its unit; one value where both ends read alike."""
    value, between = interval_text(high, low, high, unit)
    ends = between.split(" … ")
    return value if ends[0] == ends[-1] else f"{between} {_scale(high, unit)[1]}".rstrip()


def _scale(value: float, unit: str) -> tuple[float, str]:
    if unit == "1":
        return 100.0, "%"
    for size, name in SCALES.get(unit, ()):
        if abs(value) >= size:
            return 1.0 / size, name
    return 1.0, unit


def _number(value: float, unit: str) -> str:
    """Return four significant digits, or whole units from a thousand on."""
    if abs(value) >= 1000 or (unit in COUNTED and abs(value) >= 100):
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}"
