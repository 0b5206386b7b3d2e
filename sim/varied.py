"""A scenario with values replaced, by paths as `set` writes them: what a what-if and a search over an input are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError

from scenarios.catalogue import load_catalogue
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.explain import explain
from scenarios.reading.node import Entry, Node, Place, plain, unplaced
from scenarios.reading.set_path import NoSuchPlace, replaced, value_at
from scenarios.reading.shape import top
from scenarios.scenario import Scenario

Value = float | str
"""A number, or a text with a unit as the language has it."""
FLAG = "--flip"
_RANGE = re.compile(r"(?P<path>[^=]+)=(?P<low>.+?)\.\.(?P<high>.+)")
_UNITS = {"_usd_per_hour": "USD/h", "_per_s": "1/s", "_s": "s", "_bps": "bit/s", "_bytes": "B"}


class Span(NamedTuple):
    """A path, and the ends between which its value is varied."""

    path: str
    low: Value
    high: Value


def parse_span(text: str) -> Span:
    """Return what `PATH=LOW..HIGH` says, such as `platform.transcode.image_pull.mean_s=0..30 min`.

    Raises:
        ScenarioError: it is not of this form.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise refusal("", f"{text!r} is no PATH=LOW..HIGH", "such as 'platform.transcode.pools.spot.discount=0..0.9'")
    return Span(found["path"].strip(), _scalar(found["low"].strip()), _scalar(found["high"].strip()))


def _scalar(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def refusal(field: str, message: str, hint: str = "") -> ScenarioError:
    """Return the error of a path or a value that a flag names."""
    return ScenarioError([_problem(FLAG, field, message, hint)])


class NotThereError(ScenarioError):
    """A scenario has no such place: no item of that name, or no such key."""


def with_values(scenario: Scenario, changes: Mapping[str, object]) -> Scenario:
    """Return the scenario with several values replaced, as the `set` of a file replaces them.

    Args:
        scenario: what is changed; it stays as it is.
        changes: path → value: a number, a text with a unit as the language has it, or lists and mappings of those.

    Raises:
        ScenarioError: a path leads nowhere, or a value may not stand there.
    """
    changed = _changed(scenario, changes, "set")
    found = changed.findings(load_catalogue())
    if problems := [_problem("set", ".".join(map(str, path)), message, hint) for path, message, hint in found]:
        raise ScenarioError(problems)
    return changed


def with_value(scenario: Scenario, path: str, value: Value) -> Scenario:
    """Return the scenario with the value at the path of a flag replaced.

    Raises:
        NotThereError: it has no such place: no item of that name, or no such key.
        ScenarioError: the value may not stand there.
    """
    changed = _changed(scenario, {path: value}, FLAG)
    for finding in changed.findings(load_catalogue()):
        raise refusal(path, f"with {value}: {finding.message}", finding.hint)
    return changed


def _problem(shown_as: str, field: str, message: str, hint: str = "") -> Problem:
    return Problem(shown_as, None, None, field, message, hint)


def _changed(scenario: Scenario, changes: Mapping[str, object], shown_as: str) -> Scenario:
    """Return the scenario with the values replaced, before its parts are held against each other."""
    data = unplaced(scenario.model_dump(by_alias=True, round_trip=True))
    assert isinstance(data.content, dict)
    here = Place(shown_as, 1, 1)
    root, done = Node(data.content, here), list[str]()
    for path, value in changes.items():
        try:
            root = replaced(root, top(Scenario), path, Entry(here, unplaced(value)), before=done)
        except NoSuchPlace as error:
            raise NotThereError([_problem(shown_as, path, error.message, error.hint)]) from None
        done.append(path)
    try:
        return Scenario.model_validate(plain(root))
    except ValidationError as error:
        told = explain(error, root, Scenario)
        problems = [_problem(shown_as, one.field, one.message, one.hint) for one in told]
        unknown_key = {one["type"] for one in error.errors()} == {"extra_forbidden"}
        raise (NotThereError if unknown_key else ScenarioError)(problems) from None


def number_at(scenario: Scenario, path: str) -> float:
    """Return the number at a path, in the unit its key carries.

    Raises:
        ScenarioError: no number stands there.
    """
    found = value_at(unplaced(scenario.model_dump(by_alias=True, round_trip=True)), path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise refusal(path, "no number stands there", "a value can be varied between two numbers alone")
    return found


def number_text(path: str, value: float) -> str:
    """Return a number with the unit that its key carries."""
    unit = next((unit for suffix, unit in _UNITS.items() if path.endswith(suffix)), "")
    return f"{value:.4g} {unit}".rstrip()
