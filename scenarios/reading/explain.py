"""Turn what pydantic found wrong into problems, each with its place in the text."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from scenarios.errors import Problem
from scenarios.reading.node import UNREADABLE, KeyPath, Node, Place, dotted, first_set, trail
from scenarios.reading.phrases import nearest
from scenarios.reading.remedies import LISTS, MAPPINGS, SCALARS, TAGS, words
from scenarios.reading.spot import Spot, locate

MOST_PROBLEMS = 200


def explain(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """Return a problem for everything pydantic found, in its order; after `MOST_PROBLEMS`, how many more.

    Args:
        error: as `model.model_validate(plain(root))` raised it.
        root: the validated document; its places say where each problem stands.
        model: the model.
    """
    errors = error.errors(include_url=False, include_input=False)
    spots = [(found, locate(found["loc"], root, model)) for found in errors[:MOST_PROBLEMS]]
    # A misspelt key is one mistake, although pydantic also misses the right one.
    meant = {
        (*spot.path[:-1], nearest(str(spot.path[-1]), spot.holder.keys))
        for found, spot in spots
        if found["type"] == "extra_forbidden"
    }
    problems = [
        _problem(found, spot, root, model)
        for found, spot in spots
        if not (_is_said_elsewhere(found["type"], spot) or (found["type"] == "missing" and spot.path in meant))
    ]
    if len(errors) > MOST_PROBLEMS:
        more = f"{len(errors) - MOST_PROBLEMS} more problems are not shown"
        problems.append(Problem(root.place.file, None, None, "", more, "mend these first"))
    return list(dict.fromkeys(problems))  # the members of a union often say the same


def problem_at(root: Node, path: KeyPath, message: str, hint: str = "", *, about_key: bool = False) -> Problem:
    """Return a problem of the value at `path`, placed where a reader would mend it.

    A mapping or list is placed at its key, or at what `set` changed inside it; what is missing, at the
    mapping that lacks it; what stands in no file, at the nearest thing above that does.
    """
    steps = trail(root, path)
    places: list[Place | None] = [step.shown for step in steps]
    if len(steps) > len(path) and about_key:
        places.append(steps[-1].key)
    elif len(steps) > len(path) and isinstance(steps[-1].node.content, dict | tuple):
        places.append(first_set(steps[-1].node, steps[-1].key))
    place = next(place for place in reversed(places) if place is not None and place.line is not None)
    return Problem(place.file, place.line, place.column, dotted(root, path), message, hint)


def _problem(found: Any, spot: Spot, root: Node, model: type[BaseModel]) -> Problem:
    message, hint = words(found, spot, root, model)
    path = (*spot.path, spot.slot.tag) if found["type"] in TAGS and spot.slot.tag else spot.path
    about_key = spot.about_key or found["type"] == "extra_forbidden"
    return problem_at(root, path, message, hint, about_key=about_key)


def _is_said_elsewhere(kind: str, spot: Spot) -> bool:
    """True for what the reader has refused, and where the member of a union made for this shape says more."""
    content = spot.node.content if spot.node else None
    if isinstance(content, dict):
        return kind in SCALARS | LISTS and any(form.is_mapping for form in spot.slot.forms)
    if isinstance(content, tuple):
        return kind in SCALARS | MAPPINGS and any(form.origin in (tuple, list) for form in spot.slot.forms)
    return content is UNREADABLE
