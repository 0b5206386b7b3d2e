"""The verbs that simulate: each parses, calls one function, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.cli.options import (
    BY,
    Below,
    By,
    EngineOption,
    Extrapolate,
    Flip,
    Force,
    Json,
    PrecisionFlag,
    ProfileOption,
    Quiet,
    ReplicationsFlag,
    ScenarioFile,
    Seed,
)
from sim.cli.shared import (
    ask_budget,
    asked_replications,
    asked_span,
    flip_document,
    print_grounds,
    scenario_and_profile,
    search_flip,
)
from sim.terminal import ProgressBar, print_table

if TYPE_CHECKING:
    from sim.results import RunResult

simulation = typer.Typer()


@simulation.command()
def run(
    file: ScenarioFile,
    profile: ProfileOption = None,
    seed: Seed = 1,
    replications: ReplicationsFlag = None,
    precision: PrecisionFlag = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes; no digit depends on it")] = 1,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write a result folder")] = None,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the first replication as a trace for ui.perfetto.dev")
    ] = None,
    flip: Flip = None,
    by: By = BY,
    below: Below = None,
    engine: EngineOption = "whole",
    extrapolate: Extrapolate = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scenario: nodes, waits, hit ratios, dollars, each with a 95 % interval."""
    span = asked_span(flip, by, lacks_below=below is None)
    loaded, chosen, overridden = scenario_and_profile(file, profile)
    scenario = loaded.value
    fewest, counted = asked_replications([scenario], replications, precision, by, least=1)
    ask_budget(loaded, fewest, force)
    from sim.replication import run as simulate
    from sim.results import MARKER
    from sim.whole_file import require_writable
    from sim.whole_folder import require_place

    if out:
        require_place(out, MARKER, "result")
    if timeline:
        require_writable(timeline)
    how: dict[str, Any] = {"seed": seed, "workers": workers, "extrapolate": extrapolate}
    with ProgressBar("replications", quiet) as progress:  # the budget has been asked above, where the file is known
        result = simulate(scenario, chosen, **counted, **how, engine=engine, progress=progress, force=True)
    if out:
        result.write(out)
    if timeline:
        result.write_timeline(timeline)
    flips = search_flip(below, scenario, chosen, span, quiet, metric=by, replications=fewest, **how)
    if json:
        from sim.results import to_json

        print(to_json(result.document() | flip_document(flips)), end="")
        return
    _print_run(result, "the profile given by --profile" if overridden else "the profile named by the scenario")
    if flips:
        print(f"{flips.text()}.")
    if out:
        print(f"Result: {out}")
    if timeline:
        print(f"Timeline: {timeline}")


def _print_run(result: RunResult, choice: str) -> None:
    """Print the answer of a run: the question, what it rests on, the table, failures, what binds."""
    from sim.answer import FAILURE_TITLES, binding_text, failure_rows
    from sim.assumed_grounds import node_price_text

    scenario = result.scenario
    print(scenario.title, "", scenario.question, "", sep="\n")
    print_grounds(choice, result.rests_on())
    table = result.table()
    print_table(table.itertuples(index=False), tuple(table.columns))
    if hit := list(failure_rows(result)):
        print()
        print_table(hit, FAILURE_TITLES)
    if result.unstable:
        print(f"\n{result.unstable}.")
    if result.promise:
        print(f"\n{result.promise.sentence}.")
    if result.split_sentence:
        print(f"\n{result.split_sentence}.")
    print(f"\n{binding_text(result)}. The transcode nodes' dollars are at {node_price_text(scenario)}.")
    span = f"{scenario.horizon.horizon_s / 3600:g} h"
    print(_last_line(f"{result.replications} replications of {span}, seed {result.seed}", result.precision_text))


def _last_line(counted: str, precision: str) -> str:
    """Return how many replications there were, and how precise they made what `auto` was asked for."""
    return f"{counted}: {precision}." if precision else f"{counted}."


@simulation.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="a scenario")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="what it is changed to")],
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="a profile for both, instead of the scenarios' own")
    ] = None,
    seed: Seed = 1,
    replications: ReplicationsFlag = None,
    precision: PrecisionFlag = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes; no digit depends on it")] = 1,
    flip: Flip = None,
    by: By = BY,
    engine: EngineOption = "whole",
    extrapolate: Extrapolate = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate two scenarios on the same days: what changes, each difference with a 95 % interval."""
    span = asked_span(flip, by)
    loaded, own, overridden = scenario_and_profile(first, profile)
    changed, other, _ = scenario_and_profile(second, profile)
    before, after = loaded.value, changed.value
    fewest, counted = asked_replications([before, after], replications, precision, by, least=2)
    for one in (loaded, changed):
        ask_budget(one, fewest, force)
    from sim.comparison import compare as compare_scenarios

    how: dict[str, Any] = {"seed": seed, "workers": workers, "extrapolate": extrapolate}
    with ProgressBar("replications", quiet) as progress:  # as above
        found = compare_scenarios(
            before, after, own, second_profile=other, **counted, **how, engine=engine, progress=progress, force=True
        )
    searched = {"metric": by, "first_profile": own, "replications": fewest}
    flips = search_flip(before, after, other, span, quiet, **searched, **how)
    if json:
        from sim.results import to_json

        print(to_json(found.document() | flip_document(flips)), end="")
        return
    print(f"first: {before.title}", f"second: {after.title}", "", after.question, "", sep="\n")
    choice = "the profile given by --profile" if overridden else "the profile named by each scenario"
    print_grounds(choice, dict.fromkeys([*found.first.rests_on(), *found.second.rests_on()]))
    table = found.table()
    print_table(table.itertuples(index=False), tuple(table.columns))
    print()
    for note in found.notes():
        print(f"  - {note}")
    print(_last_line(f"{found.first.replications} replications of each, seed {seed}", found.precision_text))
    if flips:
        print(f"{flips.text()}.")


@simulation.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a result folder")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="instead of DIR/report.html")] = None,
) -> None:
    """Write one self-contained HTML page about a result."""
    from sim.html_report import report as write_report
    from sim.results import read_result

    print(write_report(read_result(folder), out or folder / "report.html"))
