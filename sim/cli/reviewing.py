"""The verb that compares instance types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.cli.options import Extrapolate, Force, Json, ProfileOption, Quiet, ScenarioFile, Seed
from sim.cli.shared import print_grounds, scenario_and_profile
from sim.terminal import StageBars, print_table

if TYPE_CHECKING:
    from scenarios.errors import Problem, ScenarioError
    from scenarios.reading.loaded import Loaded
    from scenarios.scenario import Scenario
    from sim.capacity_review.result import Review

reviewing = typer.Typer()


@reviewing.command()
def review(
    file: ScenarioFile,
    instances: Annotated[str, typer.Option(metavar="A,B,...", help="instance types of the catalogue, two or more")],
    profile: ProfileOption = None,
    seed: Seed = 1,
    replications: Annotated[
        int, typer.Option(min=10, max=10_000, help="full days of each finalist, at most; it stops when enough is told")
    ] = 40,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes; no digit depends on it")] = 2,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write the report and its tables")] = None,
    extrapolate: Extrapolate = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare instance types for a scenario: cost, promise, risk, and how sure the choice is."""
    from scenarios.errors import ScenarioError

    loaded, chosen, overridden = scenario_and_profile(file, profile)
    from sim.capacity_review.stages import review as review_types

    if out:
        from sim.capacity_review.folder import MARKER
        from sim.whole_folder import require_place

        require_place(out, MARKER, "review")
    names = [name.strip() for name in instances.split(",") if name.strip()]
    try:
        with StageBars(quiet) as bars:
            found = review_types(
                loaded.value,
                chosen,
                names,
                seed=seed,
                replications=replications,
                workers=workers,
                progress=bars,
                extrapolate=extrapolate,
                force=force,
            )
    except ScenarioError as error:
        raise _placed(error, loaded) from None
    if out:
        found.write(out)
    if json:
        from sim.results import to_json

        print(to_json(found.document()), end="")
        return
    print_review(found, "the profile given by --profile" if overridden else "the profile named by the scenario")
    if out:
        print(f"Report: {out / 'report.html'}")


def print_review(found: Review, choice: str) -> None:
    """Print a review: the question, what it rests on, the tables, how it went, and last the answer."""
    from sim.capacity_review.text import BEST_TO_SHOW, OF_NODE, notes

    print(found.scenario.title, "", found.scenario.question, "", sep="\n")
    print_grounds(choice, found.rests_on())
    types = found.table()
    of_node = types[["type", *OF_NODE]]
    for table in (
        types.drop(columns=OF_NODE),
        of_node,
        found.purchase_table(),
        found.measure_next().head(BEST_TO_SHOW),
    ):
        print_table(table.itertuples(index=False), tuple(table.columns))
        print()
    for line in notes(found):
        print(f"  - {line}")
    print()
    print(*found.answer(), sep=" ")


def _placed(error: ScenarioError, loaded: Loaded[Scenario]) -> ScenarioError:
    """Return the error with the place in the file of what the scenario says, where it is about that."""
    from scenarios.errors import ScenarioError

    def placed(problem: Problem) -> Problem:
        if problem.file != loaded.value.title:
            return problem
        path = tuple(int(step) if step.isdigit() else step for step in problem.field.split("."))
        return loaded.problem(path, problem.message, problem.hint)

    return ScenarioError([placed(problem) for problem in error.problems])
