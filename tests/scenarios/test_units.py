"""Quantities: exact conversion, and a refusal that says what to write."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.units import UNITS, quantity, without_prefix

# Written out by hand, so that a slip in the table of factors shows.
ONE_OF_EACH = {
    "ms": ("s", "0.001"),
    "s": ("s", "1"),
    "min": ("s", "60"),
    "h": ("s", "3600"),
    "d": ("s", "86400"),
    "bit/s": ("bit/s", "1"),
    "kbit/s": ("bit/s", "1e3"),
    "Mbit/s": ("bit/s", "1e6"),
    "Gbit/s": ("bit/s", "1e9"),
    "Tbit/s": ("bit/s", "1e12"),
    "B": ("B", "1"),
    "kB": ("B", "1e3"),
    "MB": ("B", "1e6"),
    "GB": ("B", "1e9"),
    "TB": ("B", "1e12"),
    "KiB": ("B", "1024"),
    "MiB": ("B", "1048576"),
    "GiB": ("B", "1073741824"),
    "TiB": ("B", "1099511627776"),
    "1/s": ("1/s", "1"),
    "1/min": ("1/s", "0.0166666666666666666667"),
    "1/h": ("1/s", "0.000277777777777777777778"),
    "USD/h": ("USD/h", "1"),
    "USD/GB": ("USD/GB", "1"),
    "USD/TB": ("USD/GB", "0.001"),
}


def test_every_unit_is_listed_here():
    assert UNITS.keys() == ONE_OF_EACH.keys()


@pytest.mark.parametrize("symbol", ONE_OF_EACH)
def test_one_of_each_unit(symbol):
    canonical, value = ONE_OF_EACH[symbol]
    assert quantity(f"1 {symbol}", canonical) == float(value)


@given(
    st.decimals(min_value=-(10**12), max_value=10**12, places=9),
    st.sampled_from([unit for unit in UNITS.values() if "/min" not in unit.symbol and "/h" not in unit.symbol]),
)
def test_conversion_is_the_float_nearest_to_the_exact_product(number, unit):
    exact = number * Decimal(ONE_OF_EACH[unit.symbol][1])
    assert quantity(f"{number} {unit.symbol}", unit.canonical) == float(exact)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("6000 kbit/s", "bit/s", 6e6),
        ("1.3 ms", "s", 0.0013),  # in floats 1.3 * 0.001 is 0.0013000000000000002
        ("1.1 Gbit/s", "bit/s", 1.1e9),
        ("500ms", "s", 0.5),
        ("  3.5   h ", "s", 12600.0),
        ("1e3 ms", "s", 1.0),
        (".5 s", "s", 0.5),
        ("5. s", "s", 5.0),
        ("-3 s", "s", -3.0),  # the range is the model's affair
        ("1e-999999999 s", "s", 0.0),
        ("0e999999999 s", "s", 0.0),
    ],
)
def test_texts_with_a_unit(text, unit, expected):
    assert quantity(text, unit) == expected


@pytest.mark.parametrize("value", [5, 5.0, True, None, (1, 2), float("inf")])
def test_what_is_no_text_is_left_to_the_model(value):
    assert quantity(value, "s") is value


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("10 GB", "bit/s", "'10 GB' is an amount of data; a data rate is needed, such as '10 Gbit/s'"),
        ("500 ms", "B", "'500 ms' is a time; an amount of data is needed, such as '10 GB'"),
        ("5", "s", "'5' is a number without a unit in quotes; write 5 or '5 s'"),
        ("10 mbit/s", "bit/s", "unknown unit 'mbit/s' in '10 mbit/s': did you mean 'Mbit/s'?"),
        ("10 Mbps", "bit/s", "unknown unit 'Mbps' in '10 Mbps': write 'Mbit/s'"),
        ("10 Gb/s", "bit/s", "unknown unit 'Gb/s' in '10 Gb/s': write 'Gbit/s'"),
        ("800 kbps", "bit/s", "unknown unit 'kbps' in '800 kbps': write 'kbit/s'"),
        ("3 sec", "s", "unknown unit 'sec' in '3 sec': write 's'"),
        ("16 gib", "B", "unknown unit 'gib' in '16 gib': did you mean 'GiB'?"),
        ("5 Gbit", "bit/s", "unknown unit 'Gbit' in '5 Gbit': did you mean 'Gbit/s'?"),
        ("4 parsec", "s", "unknown unit 'parsec' in '4 parsec': the units here are ms, s, min, h, d"),
        ("inf s", "s", "must be finite"),
        (".nan s", "s", "must be finite"),
        ("1e400 s", "s", "must be finite"),
        ("1e999999999 s", "s", "must be finite"),
        ("1e308 d", "s", "'1e308 d' is too large"),
        ("10,000 s", "s", "'10,000 s' is not a number and a unit; a time is needed, such as '500 ms'"),
        ("fast", "bit/s", "'fast' is not a number and a unit; a data rate is needed, such as '10 Gbit/s'"),
        ("", "s", "'' is not a number and a unit; a time is needed, such as '500 ms'"),
    ],
)
def test_refusals_say_what_to_write(text, unit, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quantity(text, unit)


def test_a_month_is_ambiguous_and_bytes_per_second_are_not_guessed():
    with pytest.raises(ValueError, match="it is ambiguous, months and years differ in length"):
        quantity("380 USD/month", "USD/h")
    with pytest.raises(ValueError, match="it counts bytes, data rates are in bits: 1 MB/s is '8 Mbit/s'"):
        quantity("2 MB/s", "bit/s")


@given(st.text(max_size=200), st.sampled_from(sorted({unit.canonical for unit in UNITS.values()})))
def test_any_text_gives_a_finite_number_or_one_line(text, unit):
    try:
        outcome = quantity(text, unit)
    except ValueError as refusal:
        outcome = str(refusal)
    if isinstance(outcome, str):
        assert 0 < len(outcome) < 400
        assert "\n" not in outcome
    else:
        assert isinstance(outcome, float)
        assert abs(outcome) < float("inf")


def test_the_number_without_its_prefix():
    assert without_prefix("1e9 Gbit/s") == "1e9 bit/s"
    assert [without_prefix(value) for value in ("1e9 bit/s", "fast", "5", 7)] == [None] * 4
