"""Quantities written with their unit: `"500 ms"`, `"6000 kbit/s"`, `"0.526 USD/h"`.

Prefixes of rates and of k, M, G, T are powers of ten; Ki, Mi, Gi, Ti are powers of 1024. A month is no unit:
months differ in length, and a price per month hides which one was meant.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>(?:1/|[^\d\s.,+-]).*?)?\s*", re.ASCII)
_NOT_FINITE = re.compile(r"\s*[+-]?\.?(?:inf|infinity|nan)\b.*", re.IGNORECASE)
_LONGEST_TEXT = 80


@dataclass(frozen=True)
class Unit:
    """A unit the language knows.

    Attributes:
        symbol: as it is written; case matters.
        canonical: the unit of the same dimension that models count in.
        factor: one of this unit in canonical units, exact.
    """

    symbol: str
    canonical: str
    factor: Fraction


# Canonical unit -> what it measures, and an example for the reader.
_DIMENSIONS = {
    "s": ("a time", "500 ms"),
    "bit/s": ("a data rate", "10 Gbit/s"),
    "B": ("an amount of data", "10 GB"),
    "1/s": ("a number per time", "30 1/min"),
    "USD/h": ("a price per hour", "0.526 USD/h"),
    "USD/GB": ("a price per amount of data", "0.02 USD/GB"),
}

_FACTORS: dict[str, dict[str, int | Fraction]] = {
    "s": {"ms": Fraction(1, 1000), "s": 1, "min": 60, "h": 3600, "d": 86400},
    "bit/s": {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9, "Tbit/s": 10**12},
    "B": {
        **{"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
        **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
    },
    "1/s": {"1/s": 1, "1/min": Fraction(1, 60), "1/h": Fraction(1, 3600)},
    "USD/h": {"USD/h": 1},
    "USD/GB": {"USD/GB": 1, "USD/TB": Fraction(1, 1000)},
}

UNITS = {
    symbol: Unit(symbol, canonical, Fraction(factor))
    for canonical, factors in _FACTORS.items()
    for symbol, factor in factors.items()
}

# Spellings of other trades; a mere slip of case is found by comparing without it.
_SLANG = {
    "ms": "msec msecs millis",
    "s": "sec secs second seconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "d": "day days",
    "bit/s": "bps b/s bits/s",
    "kbit/s": "kbps kb/s",
    "Mbit/s": "Mbps Mb/s",
    "Gbit/s": "Gbps Gb/s",
    "Tbit/s": "Tbps Tb/s",
    "B": "byte bytes",
    "1/s": "/s Hz",
    "1/min": "/min",
    "1/h": "/h",
    "USD/h": "USD/hour $/h $/hour",
    "USD/GB": "$/GB",
    "USD/TB": "$/TB",
}
_WRITE_INSTEAD = {spelling: symbol for symbol, slang in _SLANG.items() for spelling in slang.split()}
_REFUSED = {
    **dict.fromkeys(
        ("USD/month", "USD/mo", "USD/year", "$/month"),
        "is ambiguous, months and years differ in length; divide by the hours meant and write 'USD/h'",
    ),
    **dict.fromkeys(
        ("B/s", "kB/s", "MB/s", "GB/s", "TB/s"),
        "counts bytes, data rates are in bits: 1 MB/s is '8 Mbit/s'",
    ),
}


def quantity(value: object, unit: str) -> object:
    """Convert a text such as `"500 ms"` to a number of `unit`.

    Args:
        value: what stands in the file. What is no text is left to the strict checks that follow.
        unit: one of the canonical units `s`, `bit/s`, `B`, `1/s`, `USD/h`, `USD/GB`.

    Returns:
        The number in `unit`, the float nearest to the exact product; or `value` itself when it is no text.

    Raises:
        ValueError: the text is no finite number with a known unit of the same dimension; says what to write.
    """
    if not isinstance(value, str):
        return value
    number, symbol = _split(value, unit)
    known = UNITS.get(symbol)
    if known is None:
        raise ValueError(_unknown(value, symbol, unit))
    if known.canonical != unit:
        is_a, _ = _DIMENSIONS[known.canonical]
        needed, example = _DIMENSIONS[unit]
        raise ValueError(f"{value!r} is {is_a}; {needed} is needed, such as {example!r}")
    return _scaled(value, number, known.factor)


def without_prefix(value: object) -> str | None:
    """Return the same number in the canonical unit: for `"1e9 Gbit/s"`, `"1e9 bit/s"` may have been meant.

    Returns:
        The text; None when `value` is no quantity or has no other unit than the canonical one.
    """
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    unit = UNITS.get(match["unit"] or "") if match else None
    if match is None or unit is None or unit.symbol == unit.canonical:
        return None
    return f"{match['number']} {unit.canonical}"


def _split(text: str, unit: str) -> tuple[str, str]:
    needed, example = _DIMENSIONS[unit]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("must be finite")
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError(f"{_short(text)} is not a number and a unit; {needed} is needed, such as {example!r}")
    if match["unit"] is None:
        number = match["number"]
        raise ValueError(f"{text!r} is a number without a unit in quotes; write {number} or '{number} {unit}'")
    return match["number"], match["unit"]


def _scaled(text: str, number: str, factor: Fraction) -> float:
    # float() judges the exponent first: the exact fraction of 1e999999999 would fill the memory.
    nearest = float(number)
    if not math.isfinite(nearest):
        raise ValueError("must be finite")
    if nearest == 0.0:
        return nearest
    scaled = Fraction(number) * factor
    try:
        return float(scaled)
    except OverflowError:
        raise ValueError(f"{text!r} is too large") from None


def _unknown(text: str, symbol: str, unit: str) -> str:
    start = f"unknown unit {_short(symbol)} in {_short(text)}"
    if symbol in _REFUSED:
        return f"{start}: it {_REFUSED[symbol]}"
    if symbol in _WRITE_INSTEAD:
        return f"{start}: write {_WRITE_INSTEAD[symbol]!r}"
    here = [name for name in UNITS if UNITS[name].canonical == unit]
    known = {name.casefold(): name for name in [*UNITS, *here]}  # the units of this dimension win
    near = difflib.get_close_matches(symbol.casefold(), known, n=1, cutoff=0.75)
    if near:
        return f"{start}: did you mean {known[near[0]]!r}?"
    return f"{start}: the units here are {', '.join(here)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
