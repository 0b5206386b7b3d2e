"""The verbs of the language: what a scenario says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import ScenarioFile

language = typer.Typer()


@language.command()
def validate(files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="scenarios")]) -> None:
    """Show every problem of scenarios, with file, line, column and a hint."""
    from scenarios import load_scenario
    from scenarios.errors import Problem, ScenarioError

    problems: list[Problem] = []
    for file in files:
        try:
            load_scenario(file)
        except ScenarioError as error:
            problems += error.problems
        else:
            print(f"{file}: valid")
    if problems:
        raise ScenarioError(problems)


@language.command()
def resolve(file: ScenarioFile) -> None:
    """Print a scenario as understood: every default and override filled in, and where each value came from."""
    from scenarios.reading.load import resolve_text
    from scenarios.scenario_file import open_scenario

    print(resolve_text(open_scenario(file)), end="")


@language.command()
def hpa(file: ScenarioFile) -> None:
    """Print the autoscaling/v2 manifest that a scenario's autoscaler is, for a cluster to apply."""
    from scenarios.hpa_text import manifest_text
    from scenarios.scenario_file import open_scenario

    print(manifest_text(open_scenario(file)), end="")
