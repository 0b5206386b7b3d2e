"""Turn what pydantic found wrong into problems, each with its place in the text."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from scenarios.errors import Problem
from scenarios.node import KeyPath, Node, Place, dotted, first_set, trail
from scenarios.remedies import LISTS, MAPPINGS, SCALARS, TAGS, words
from scenarios.spot import Spot, locate

MOST_PROBLEMS = 200


def explain(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """Return a problem for everything pydantic found, in its order; after `MOST_PROBLEMS`, how many more.

    Args:
        error: as `model.model_validate(plain(root))` raised it.
        root: the validated document; its places say where each problem stands.
        model: the model.
    """
    problems: dict[Problem, None] = {}  # members of a union often say the same
    missing: dict[KeyPath, Problem] = {}
    meant: set[KeyPath] = set()
    errors = error.errors(include_url=False, include_input=False)
    for found in errors[:MOST_PROBLEMS]:
        kind, spot = found["type"], locate(found["loc"], root, model)
        if _of_other_member(kind, spot):
            continue
        message, hint = words(found, spot, root, model)
        about_key = spot.about_key or kind == "extra_forbidden"
        path = (*spot.path, spot.slot.tag) if kind in TAGS and spot.slot.tag else spot.path
        problem = problem_at(root, path, message, hint, about_key=about_key)
        problems[problem] = None
        if kind == "missing":
            missing[spot.path] = problem
        elif kind == "extra_forbidden":
            meant.update((*spot.path[:-1], key) for key in spot.holder.keys if f"mean {key!r}" in hint)
    # A misspelt key is one mistake, although pydantic also misses the right one.
    twice = {missing[path] for path in meant & missing.keys()}
    shown = [problem for problem in problems if problem not in twice]
    if len(errors) > MOST_PROBLEMS:
        more = f"{len(errors) - MOST_PROBLEMS} more problems are not shown"
        shown.append(Problem(root.place.file, None, None, "", more, "mend these first"))
    return shown


def problem_at(
    root: Node, path: KeyPath, message: str, hint: str = "", *, about_key: bool = False
) -> Problem:
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


def _of_other_member(kind: str, spot: Spot) -> bool:
    """True where another member of the union, made for the shape of the value, says better what is wrong."""
    content = spot.node.content if spot.node else None
    if isinstance(content, dict):
        return kind in SCALARS | LISTS and any(form.is_mapping for form in spot.slot.forms)
    if isinstance(content, tuple):
        return kind in SCALARS | MAPPINGS and any(form.origin in (tuple, list) for form in spot.slot.forms)
    return False
