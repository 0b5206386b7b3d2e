"""Values, and what may stand at a place, in words for error messages."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterable
from typing import Any, Literal, get_args

import annotated_types

from scenarios.reading.shape import Form, Slot

LONGEST_ECHO = 40
"""Characters of a wrong value that a message repeats."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is most like, or None when it is like none."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return `did you mean 'x'?` for the nearest of the known names, or `otherwise`."""
    near = nearest(name, known)
    return otherwise if near is None else f"did you mean {near!r}?"


def echo(value: object) -> str:
    """Return a value of a file as a message repeats it: short, on one line, without control characters."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return f"a list of {len(value)} items"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    if len(value) <= LONGEST_ECHO:
        return repr(value)
    return f"{value[:LONGEST_ECHO]!r}... of {len(value)} characters"


def listed(names: Iterable[str], *, most: int = 12, last: str = "or") -> str:
    """Return `a, b or c`, cut after `most` names."""
    every = list(names)
    if len(every) > most:
        return f"{', '.join(every[:most])} ... ({len(every)} in all)"
    return every[0] if len(every) == 1 else f"{', '.join(every[:-1])} {last} {every[-1]}"


def in_words(slot: Slot) -> str:
    """Return what may stand at a place: `a whole number of at least 1 and at most 10`."""
    return listed(dict.fromkeys(_words(form) for form in slot.forms))


def number(value: Any) -> str:
    """Return a number as short as it can be written without loss: `1e9`, `0.25`."""
    short = f"{value:g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return short if float(short) == value else str(value)


def _words(form: Form) -> str:
    origin = form.origin
    if origin is Literal:
        return listed(repr(option) for option in get_args(form.type))
    if origin in (tuple, list):
        return f"a list{_length(form)}"
    if form.is_mapping:
        return "a mapping of keys"
    if form.type is str:
        return f"a text{_length(form)}"
    nouns = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        datetime.date: "a date (2026-11-22)",
    }
    return nouns.get(form.type, "something else") + _range(form.limits)


def _range(limits: tuple[Any, ...]) -> str:
    phrases = {
        annotated_types.Gt: ("gt", "greater than"),
        annotated_types.Ge: ("ge", "at least"),
        annotated_types.Lt: ("lt", "less than"),
        annotated_types.Le: ("le", "at most"),
        annotated_types.MultipleOf: ("multiple_of", "a multiple of"),
    }
    parts = [
        f"{phrase} {number(getattr(limit, attribute))}"
        for kind, (attribute, phrase) in phrases.items()
        for limit in limits
        if isinstance(limit, kind)
    ]
    return "".join(f", {part}" for part in parts)


def _length(form: Form) -> str:
    unit = "characters" if form.type is str else "items"
    least = max((m.min_length for m in form.limits if isinstance(m, annotated_types.MinLen)), default=0)
    most = min((m.max_length for m in form.limits if isinstance(m, annotated_types.MaxLen)), default=None)
    pattern = next((m.pattern for m in form.limits if getattr(m, "pattern", None)), None)
    shape = f" of the form {pattern}" if pattern else ""
    if least == most:
        return f"{shape} of {least} {unit}"
    bounds = ([f"at least {least}"] if least else []) + ([f"at most {most}"] if most is not None else [])
    return f"{shape} of {' and '.join(bounds)} {unit}" if bounds else shape
