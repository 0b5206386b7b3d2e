"""What to tell the writer of a file about each kind of error: what is wrong, and what to do."""

from __future__ import annotations

import math
from typing import Any, get_args

from pydantic import BaseModel

from scenarios.reading.node import Node, at, dotted, printable
from scenarios.reading.phrases import did_you_mean, echo, in_words, listed
from scenarios.reading.shape import ITEM, Slot, homes
from scenarios.reading.spot import Spot
from scenarios.reading.yaml_events import scalar
from scenarios.units import without_prefix

MOST_HOMES = 3
"""A key that is at home in more places than these does not tell where it was meant."""

OWN_WORDS = {"value_error", "assertion_error"}
"""Errors that a validator of a model worded itself."""
TAGS = {"union_tag_not_found", "union_tag_invalid"}
RANGES = {
    "greater_than",
    "greater_than_equal",
    "less_than",
    "less_than_equal",
    "multiple_of",
    "finite_number",
}
LENGTHS = {"too_short", "too_long", "string_too_short", "string_too_long", "string_pattern_mismatch"}
SCALARS = {"float_type", "int_type", "bool_type", "string_type", "date_type", "literal_error"}
MAPPINGS = {"model_type", "dict_type", "model_attributes_type"}
LISTS = {"tuple_type", "list_type"}


def words(error: Any, spot: Spot, root: Node, model: type[BaseModel]) -> tuple[str, str]:
    """Return message and hint for an error of pydantic.

    Args:
        error: one of `ValidationError.errors()`.
        spot: where it is.
        root: the document.
        model: the model it was validated against.
    """
    kind = error["type"]
    content = spot.node.content if spot.node else None
    if isinstance(content, float) and not math.isfinite(content):
        return "must be finite", ""
    if kind in OWN_WORDS:
        return str(error["ctx"]["error"]), ""
    if kind == "missing":
        return _missing(spot, root)
    if kind == "extra_forbidden":
        return _unknown(spot, root, model)
    if kind in TAGS:
        return _untold(spot, root)
    if kind in RANGES | LENGTHS | SCALARS | MAPPINGS | LISTS:
        if spot.about_key:
            return f"the key must be {in_words(spot.slot)}", _nearest_option(spot.slot, spot.path[-1])
        return f"must be {in_words(spot.slot)}, not {echo(content)}", _remedy(kind, spot.slot, content)
    return str(error["msg"]).replace("Input should", "must", 1), ""


def _missing(spot: Spot, root: Node) -> tuple[str, str]:
    above = dotted(root, spot.path[:-1]) or "the top level"
    description = spot.slot.field.description if spot.slot.field else None
    hint = f"it holds {in_words(spot.slot)}" + (f": {' '.join(description.split())}" if description else "")
    if spot.holder_node and spot.holder_node.place.by_set:
        hint = f"`set` replaced the whole of {above}; one value is set by its own path, '{above}.KEY: ...'"
    return f"missing key {spot.path[-1]!r} under {above}", hint


def _unknown(spot: Spot, root: Node, model: type[BaseModel]) -> tuple[str, str]:
    key = str(spot.path[-1])
    hints = [did_you_mean(key, spot.holder.keys), _belongs(key, spot, model)]
    said = [hint for hint in hints if hint]
    here = f"the keys here are {listed(spot.holder.keys, last='and')}" if spot.holder.keys else ""
    return f"unknown key {printable(key)!r}", "; ".join(said) or here


def _belongs(key: str, spot: Spot, model: type[BaseModel]) -> str:
    found = dict.fromkeys(homes(model, key))
    here = [kind for path, kind in found if _matches(spot.path[:-1], path)]
    if here:
        return f"it is a key of {listed(here)}"
    if not 1 <= len(found) <= MOST_HOMES:
        return ""
    places = [".".join(map(str, path)) + (f" with {kind}" if kind else "") for path, kind in found]
    return f"it belongs under {listed(place or 'the top level' for place in places)}"


def _matches(path: tuple[str | int, ...], pattern: tuple[str | int, ...]) -> bool:
    return len(path) == len(pattern) and all(p in (ITEM, part) for part, p in zip(path, pattern, strict=True))


def _untold(spot: Spot, root: Node) -> tuple[str, str]:
    """Words for a union whose member is not told by its `kind`."""
    tag, options = spot.slot.tag, listed(repr(value) for value in spot.slot.tags)
    given = at(root, (*spot.path, str(tag)))
    if given is None:
        return (
            f"missing key {tag!r} under {dotted(root, spot.path) or 'the top level'}",
            f"it holds {options}",
        )
    hint = did_you_mean(given.content, map(str, spot.slot.tags)) if isinstance(given.content, str) else ""
    return f"must be {options}, not {echo(given.content)}", hint


def _remedy(kind: str, slot: Slot, content: object) -> str:
    if kind == "literal_error":
        return _nearest_option(slot, content)
    if kind in MAPPINGS and content in slot.tags:
        return f"write {{{slot.tag}: {content}}}"
    if kind in ("less_than", "less_than_equal"):
        fewer = without_prefix(content)
        return f"did you mean '{fewer}'?" if fewer else ""
    takes_text = any(form.type is str for form in slot.forms)
    if isinstance(content, str) and not takes_text and not isinstance(scalar(content), str):
        return "delete the quotes"
    if isinstance(content, int | float) and kind == "string_type":
        return "put it in quotes"
    if isinstance(content, float) and content.is_integer() and kind == "int_type":
        return f"write {int(content)}"
    return ""


def _nearest_option(slot: Slot, content: object) -> str:
    options = [option for form in slot.forms for option in get_args(form.type) if isinstance(option, str)]
    return did_you_mean(content, options) if isinstance(content, str) else ""
