"""Whole scenarios made up from the models of the language themselves: right ones, wrong ones, and everything between.

A document starts as the small platform of `platforms` and is changed in a few places drawn from all that the models
have; a value is put there that the models' annotations allow, or one that nobody asked for. Keys and kinds that are
added to the language are found by themselves. Only names that must stand elsewhere as well (an instance type, a price
table) are told here.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

import annotated_types as limits
from hypothesis import strategies as st
from platforms import scenario
from pydantic import BaseModel, ValidationError

from scenarios.catalogue import load_catalogue
from scenarios.errors import ScenarioError
from scenarios.reading.explain import explain
from scenarios.reading.loaded import Loaded
from scenarios.reading.node import Entry, Node, Place, plain
from scenarios.reading.shape import Form, Slot, keys, top
from scenarios.scenario import Scenario

CATALOGUE = load_catalogue()
KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "instance": tuple(CATALOGUE.instances),
    "egress": tuple(CATALOGUE.egress),
    "name": ("720p30", "480p30", "a"),
}
"""Field → names that exist somewhere else."""
ODD_NUMBERS = (0, -1, 1, 0.5, 1e-9, 1e9, 1e30, float("nan"), float("inf"), -float("inf"), 10**30, 721)
ODD_VALUES = (*ODD_NUMBERS, None, True, "", "x", "5", "10 Gbit/s", "3 parsec", "720p30", (), {}, (1, 2), {"kind": "x"})
MOST_ITEMS = 3
"""Beyond the fewest that a list or a mapping of names must have."""
PLAIN_SHARE = 6
"""In so many numbers one that is not moderate."""

Path = tuple[str | int, ...]


class Change(NamedTuple):
    """One difference from the base: a value at a path, or that the key is gone."""

    path: Path
    value: Any
    is_removed: bool = False


def base() -> dict[str, Any]:
    """Return the small platform with all its defaults written out: ten minutes, some twenty broadcasts."""
    small = scenario(**{"horizon.horizon_s": 600.0, "workload.broadcasts.peak_concurrent": 20.0})
    return small.model_dump()


def places(slot: Slot, path: Path = (), above: tuple[type, ...] = ()) -> Iterator[tuple[Path, Slot]]:
    """Yield every path of the language that a scenario may hold, with what may stand there; items of lists as 0."""
    yield path, slot
    for form in slot.forms:
        if form.is_model and form.type not in above:
            for key in keys(form.type):
                inside = Slot((form,)).below(key)
                yield from places(inside, (*path, key), (*above, form.type))
        elif form.origin in (tuple, list):
            yield from places(Slot((form,)).below(0), (*path, 0), above)


PLACES = dict(places(top(Scenario)))
"""Every path, with what may stand there."""


def _reached(path: Path) -> Path:
    """Return as much of a path as the base has: what leads into an empty list or an absent part is made whole."""
    here: Any = base()
    for step, key in enumerate(path):
        if (isinstance(here, dict) and key in here) or (
            isinstance(here, tuple) and isinstance(key, int) and key < len(here)
        ):
            here = here[key]
        else:
            return path[:step]
    return path


REACHED = tuple(_reached(path) for path in PLACES)
"""For every place one that a change can be made at; a part with many places below it stands here as often."""


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Return documents, whole scenarios or nearly so."""
    return st.lists(changes(), max_size=4).map(_changed)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a place and what becomes of it."""
    path = draw(st.sampled_from(REACHED))
    slot = PLACES[path]
    what = draw(st.integers(0, 9))
    if what == 0:
        return Change(path, None, is_removed=True)
    if what == 1:
        return Change((*path, draw(st.sampled_from(["kind", "clusters", "nodes", "zzz"]))), draw(odd()))
    return Change(path, draw(odd() if what == 2 else allowed(slot, str(path[-1]) if path else "")))


def odd() -> st.SearchStrategy[Any]:
    """Return values that fit in few places."""
    return st.sampled_from(ODD_VALUES)


def allowed(slot: Slot, field: str = "") -> st.SearchStrategy[Any]:
    """Return values that the annotations of a place allow; validators across fields may refuse them all the same."""
    if not slot.forms:
        return odd()
    return st.one_of([_of_form(form, slot, field) for form in slot.forms])


def _of_form(form: Form, slot: Slot, field: str) -> st.SearchStrategy[Any]:
    origin = form.origin
    if form.is_model:
        return st.deferred(lambda: _of_model(form))
    if origin is Literal:
        return st.sampled_from(get_args(form.type))
    if origin in (tuple, list):
        return _of_list(form)
    if origin is dict:
        names = allowed(Slot((form,)).names, "name")
        return st.dictionaries(names, allowed(Slot((form,)).below("x")), max_size=MOST_ITEMS)
    return _of_scalar(form, field)


def _of_model(form: Form) -> st.SearchStrategy[dict[str, Any]]:
    model: type[BaseModel] = form.type
    must, may = {}, {}
    for key, field in keys(model).items():
        (must if field.is_required() else may)[key] = allowed(Slot((form,)).below(key), key)
    return st.fixed_dictionaries(must, optional=may)


def _of_list(form: Form) -> st.SearchStrategy[tuple[Any, ...]]:
    fewest = next((limit.min_length for limit in form.limits if isinstance(limit, limits.MinLen)), 0)
    most = next((limit.max_length for limit in form.limits if isinstance(limit, limits.MaxLen)), fewest + MOST_ITEMS)
    item = allowed(Slot((form,)).below(0))
    return st.lists(item, min_size=fewest, max_size=min(most, fewest + MOST_ITEMS)).map(tuple)


def _of_scalar(form: Form, field: str) -> st.SearchStrategy[Any]:
    if form.type is bool:
        return st.booleans()
    if form.type is datetime.date:
        return st.dates().map(str)
    if form.type in (int, float):
        return _numbers(form)
    names = KNOWN_NAMES.get(field, ("a", "720p30", "cloudfront-us"))
    return st.sampled_from(names)


def _numbers(form: Form) -> st.SearchStrategy[float]:
    """Return numbers within the limits: mostly of a moderate size, some at the ends."""
    low, high, step = -1e9, 1e9, None
    for limit in form.limits:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
        step = getattr(limit, "multiple_of", step)
    if form.type is int:
        whole = st.one_of(st.integers(int(low), int(min(high, max(low, 50)))), st.sampled_from((int(low), int(high))))
        return whole if step is None else whole.map(lambda number: number // step * step)
    moderate = st.floats(max(low, 1e-3), max(low, min(high, 1e4)), allow_nan=False)
    ends = st.sampled_from((float(low), float(high), max(low, min(high, 1e-6))))
    return st.integers(1, PLAIN_SHARE).flatmap(lambda one: ends if one == PLAIN_SHARE else moderate)


def _changed(differences: list[Change]) -> dict[str, Any]:
    document: dict[str, Any] = base()
    for change in differences:
        document = _with(document, change)
    return document


def _with(document: Any, change: Change) -> Any:
    """Return the document with one change; as it was where the path leads nowhere."""
    if not change.path:
        return document if change.is_removed or not isinstance(change.value, dict) else change.value
    first, *rest = change.path
    inner = Change(tuple(rest), change.value, change.is_removed)
    if isinstance(document, dict) and isinstance(first, str):
        return _with_key(document, first, inner)
    if isinstance(document, tuple) and isinstance(first, int) and first < len(document):
        items = list(document)
        items[first] = _at(items[first], inner)
        return tuple(items)
    return document


def _with_key(document: dict[str, Any], key: str, inner: Change) -> dict[str, Any]:
    if inner.path:
        return {**document, key: _at(document[key], inner)} if key in document else document
    if inner.is_removed:
        return {name: value for name, value in document.items() if name != key}
    return {**document, key: inner.value}


def _at(value: Any, inner: Change) -> Any:
    return _with(value, inner) if inner.path else copy.deepcopy(inner.value)


def opened(document: dict[str, Any]) -> Scenario:
    """Return the scenario of a document as `open_scenario` would of a file with these values.

    Each value has a line of its own; only the text and its parser, which have tests of their own, are left out.

    Raises:
        ScenarioError: with every problem found.
    """
    root = _node(document, iter(range(1, 1_000_000)))
    try:
        value = Scenario.model_validate(plain(root))
    except ValidationError as error:
        raise ScenarioError(explain(error, root, Scenario)) from None
    loaded = Loaded(value, root, ())
    problems = [loaded.problem(*finding) for finding in value.findings(CATALOGUE)]
    if problems:
        raise ScenarioError(problems)
    return value


def _node(value: Any, lines: Iterator[int]) -> Node:
    place = Place("generated.yaml", next(lines), 1)
    if isinstance(value, dict):
        return Node({key: Entry(place, _node(part, lines)) for key, part in value.items()}, place)
    if isinstance(value, (tuple, list)):
        return Node(tuple(_node(part, lines) for part in value), place)
    return Node(value, place)
