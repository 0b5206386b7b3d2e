"""Open a scenario: the file by itself, then what only shows across parts and against the catalogue."""

from __future__ import annotations

from pathlib import Path

from scenarios.catalogue import load_catalogue
from scenarios.errors import ScenarioError
from scenarios.profile import Profile, load_profile
from scenarios.reading.load import Loaded, load
from scenarios.scenario import Scenario


def open_scenario(path: Path | str) -> Loaded[Scenario]:
    """Return a scenario with the place of each of its values.

    Raises:
        ScenarioError: with every problem found.
    """
    loaded = load(path, Scenario)
    problems = [loaded.problem(*finding) for finding in loaded.value.findings(load_catalogue())]
    if problems:
        raise ScenarioError(problems)
    return loaded


def load_scenario(path: Path | str) -> Scenario:
    """Return a scenario.

    Raises:
        ScenarioError: with every problem found.
    """
    return open_scenario(path).value


def own_profile(loaded: Loaded[Scenario]) -> Profile:
    """Return the profile that a scenario names.

    Raises:
        ScenarioError: there is none of this name, said where the scenario names it; or its content is wrong.
    """
    try:
        return load_profile(loaded.value.profile)
    except ScenarioError as error:
        (first, *more) = error.problems
        if first.line is not None or more:
            raise
        raise ScenarioError([loaded.problem(("profile",), f"{first.file!r}: {first.message}", first.hint)]) from None
