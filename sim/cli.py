"""The verbs of the simulator: each parses, calls one function, prints. Heavy imports wait until a verb runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.terminal import ProgressBar, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenarios.profile import Profile
    from scenarios.reading.loaded import Loaded
    from scenarios.scenario import Scenario
    from sim.bracket import TippingPoint
    from sim.results import RunResult
    from sim.varied import Span

language = typer.Typer()
simulation = typer.Typer()
calibration = typer.Typer()

ScenarioFile = Annotated[Path, typer.Argument(metavar="FILE", help="a scenario")]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="P", help="a profile by name or file, instead of the scenario's"),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="no progress")]
Extrapolate = Annotated[
    bool, typer.Option("--extrapolate", help="go on beyond what the profile was measured for; the output says so")
]
Force = Annotated[bool, typer.Option("--force", help="run even what is estimated to be very large")]
Seed = Annotated[int, typer.Option(min=0, help="the only seed")]
Flip = Annotated[
    str | None,
    typer.Option(metavar="PATH=LOW..HIGH", help="also tell at which value of this input, as under set, it flips"),
]
By = Annotated[str, typer.Option(metavar="METRIC", help="what --flip looks at, by its name in --json")]
Below = Annotated[
    float | None, typer.Option(metavar="VALUE", help="of --by, up to which the scenario holds; goes with --flip")
]
BY = "transcode_usd_per_month"


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


@simulation.command()
def run(
    file: ScenarioFile,
    profile: ProfileOption = None,
    seed: Seed = 1,
    replications: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="independent runs, instead of the scenario's")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes; no digit depends on it")] = 1,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="write a result folder")] = None,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the first replication as a trace for ui.perfetto.dev")
    ] = None,
    flip: Flip = None,
    by: By = BY,
    below: Below = None,
    extrapolate: Extrapolate = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a scenario: nodes, waits, hit ratios, dollars, each with a 95 % interval."""
    span = _span(flip, by, lacks_below=below is None)
    loaded, chosen, overridden = _scenario_and_profile(file, profile)
    scenario = loaded.value
    _require_budget(loaded, replications or scenario.replications, force)
    from sim.replication import run as simulate

    if timeline:
        from sim.whole_file import require_writable

        require_writable(timeline)
    with ProgressBar("replications", quiet) as progress:
        result = simulate(
            scenario,
            chosen,
            seed=seed,
            replications=replications,
            workers=workers,
            progress=progress,
            extrapolate=extrapolate,
            force=True,  # or the budget has been asked above, where the file is known
        )
    if out:
        result.write(out)
    if timeline:
        result.write_timeline(timeline)
    how = {"seed": seed, "replications": result.replications, "workers": workers, "extrapolate": extrapolate}
    flips = _flip(below, scenario, chosen, span, quiet, metric=by, **how)
    if json:
        from sim.results import to_json

        print(to_json(result.document() | _flip_document(flips)), end="")
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
    _print_grounds(choice, result.rests_on())
    table = result.table()
    print_table(table.itertuples(index=False), tuple(table.columns))
    if hit := list(failure_rows(result)):
        print()
        print_table(hit, FAILURE_TITLES)
    if result.unstable:
        print(f"\n{result.unstable}.")
    print(f"\n{binding_text(result)}. The transcode nodes' dollars are at {node_price_text(scenario)}.")
    print(f"{result.replications} replications of {scenario.horizon.horizon_s / 3600:g} h, seed {result.seed}.")


@simulation.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="a scenario")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="what it is changed to")],
    profile: Annotated[
        str | None, typer.Option("--profile", metavar="P", help="a profile for both, instead of the scenarios' own")
    ] = None,
    seed: Seed = 1,
    replications: Annotated[
        int | None, typer.Option(min=2, max=10_000, help="of each, instead of the larger of both scenarios' own")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes; no digit depends on it")] = 1,
    flip: Flip = None,
    by: By = BY,
    extrapolate: Extrapolate = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate two scenarios on the same days: what changes, each difference with a 95 % interval."""
    span = _span(flip, by)
    loaded, own, overridden = _scenario_and_profile(first, profile)
    changed, other, _ = _scenario_and_profile(second, profile)
    before, after = loaded.value, changed.value
    for one in (loaded, changed):
        _require_budget(one, replications or max(before.replications, after.replications), force)
    from sim.comparison import compare as compare_scenarios

    with ProgressBar("replications", quiet) as progress:
        found = compare_scenarios(
            before,
            after,
            own,
            second_profile=other,
            seed=seed,
            replications=replications,
            workers=workers,
            progress=progress,
            extrapolate=extrapolate,
            force=True,  # as above
        )
    how = {"seed": seed, "replications": replications, "workers": workers, "extrapolate": extrapolate}
    flips = _flip(before, after, other, span, quiet, metric=by, first_profile=own, **how)
    if json:
        from sim.results import to_json

        print(to_json(found.document() | _flip_document(flips)), end="")
        return
    print(f"first: {before.title}", f"second: {after.title}", "", after.question, "", sep="\n")
    choice = "the profile given by --profile" if overridden else "the profile named by each scenario"
    _print_grounds(choice, dict.fromkeys([*found.first.rests_on(), *found.second.rests_on()]))
    table = found.table()
    print_table(table.itertuples(index=False), tuple(table.columns))
    print()
    for note in found.notes():
        print(f"  - {note}")
    print(f"{found.first.replications} replications of each, seed {seed}.")
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


@calibration.command()
def fit(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="measurement bundles of one machine")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="the profile to write")],
    name: Annotated[str | None, typer.Option(help="name of the profile, instead of the file's")] = None,
    preset: Annotated[str | None, typer.Option(help="whose encoding to fit, instead of the first run's")] = None,
    plots: Annotated[Path | None, typer.Option(metavar="DIR", help="draw what the laws miss, one SVG a stage")] = None,
    quiet: Quiet = False,
) -> None:
    """Fit a calibration profile to measurement bundles."""
    from os import cpu_count

    from sim.calibration.fit import fit as fit_profile
    from sim.calibration.fit import write_profile
    from sim.whole_file import require_writable

    require_writable(out)
    with ProgressBar("node model", quiet) as progress:
        fitted = fit_profile(bundles, name=name or out.stem, preset=preset, workers=cpu_count() or 1, progress=progress)
    write_profile(fitted, out)
    rows = ((c.key, f"{c.middle:.4g}", f"{c.low:.4g} … {c.high:.4g}", c.unit) for c in fitted.coefficients)
    print_table(rows, ("coefficient", "", "95 % interval", ""))
    print(f"\n{out}")
    if plots:
        from sim.calibration.residual_plots import plot_residuals

        print(*plot_residuals(bundles, fitted, plots), sep="\n")


@calibration.command()
def replay(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="measurement bundles of one machine")],
    profile: Annotated[str, typer.Option("--profile", metavar="P", help="a profile by name or file")],
    seed: Seed = 1,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="processes, one per core if not given; no digit depends on it")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the profile with the errors on held-out loads in it")
    ] = None,
    extrapolate: Extrapolate = False,
    at_speed: Annotated[
        bool, typer.Option("--at-speed", help="CPU times × how slow the machine was then, by the job before each run")
    ] = False,
    details: Annotated[bool, typer.Option("--details", help="every load beside the errors over all")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Simulate measured loads from their arrivals alone; predicted against measured, beside null models."""
    from os import cpu_count

    from scenarios.profile import load_profile
    from sim.calibration.replay import replay as replay_bundles

    chosen = load_profile(profile)
    with ProgressBar("predictions", quiet) as progress:
        result = replay_bundles(
            bundles,
            chosen,
            seed=seed,
            at_speed=at_speed,
            extrapolate=extrapolate,
            workers=workers or cpu_count() or 1,
            progress=progress,
        )
    if out:
        from sim.calibration.held_out import with_held_out
        from sim.calibration.profile_file import write_profile

        write_profile(with_held_out(chosen, result), out)
    if json:
        from sim.results import to_json

        print(to_json(result.document()), end="")
        return
    print(result.table_text(details=details))
    if out:
        print(f"\n{out}")


@calibration.command()
def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a CSV: times, then viewers or streams")],
    column: Annotated[
        str | None, typer.Option(metavar="C", help="which column; not given, the only one or the sum of all")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(metavar="FROM/TO", help="a time that was no ordinary one; may be given again")
    ] = None,
    train_days: Annotated[int, typer.Option(min=2, max=366, help="days from the first sample on that are fitted")] = 3,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="draw trace, fit and band as SVG")] = None,
) -> None:
    """Fit a day's curve and noise to a trace, and judge them on its later days; prints keys for a scenario."""
    from scenarios.reading.trace_file import read_trace
    from sim.trace_report import report_trace

    samples = read_trace(file, column, sum_several=True)
    found = report_trace(samples, train_days=train_days, events=event or ())
    print(*found.lines(), sep="\n")
    if plot:
        from sim.plots import svg
        from sim.trace_plot import trace_figure
        from sim.whole_file import write_whole

        print(f"\n{write_whole(plot, svg(trace_figure(found), salt='trace'))}")


def _span(flip: str | None, by: str, *, lacks_below: bool = False) -> Span | None:
    """Return what --flip asks to vary, before anything runs; None where it was not given."""
    if flip is None:
        return None
    from sim.tipping import require_metric
    from sim.varied import parse_span, refusal

    if lacks_below:
        raise refusal("", "needs --below VALUE, up to which the scenario holds", "or compare two scenarios")
    require_metric(by)
    return parse_span(flip)


def _flip(
    first: Scenario | float | None, second: Scenario, profile: Profile, span: Span | None, quiet: bool, **how: Any
) -> TippingPoint | None:
    """Return at which value of the span the decision flips; None without a span."""
    if span is None or first is None:
        return None
    from sim.tipping import tipping_point

    with ProgressBar("values", quiet) as progress:  # the budget has been asked for a run like each of these
        return tipping_point(first, second, profile, span, progress=progress, force=True, **how)


def _flip_document(flips: TippingPoint | None) -> dict[str, object]:
    return {"flip": flips.document()} if flips else {}


def _scenario_and_profile(file: Path, profile: str | None) -> tuple[Loaded[Scenario], Profile, bool]:
    from scenarios import load_profile
    from scenarios.scenario_file import open_scenario, own_profile

    loaded = open_scenario(file)
    return loaded, own_profile(loaded) if profile is None else load_profile(profile), profile is not None


def _require_budget(loaded: Loaded[Scenario], replications: int, force: bool) -> None:
    """Refuse what is beyond the budget of events, at the place in the file that rules it."""
    from scenarios.errors import ScenarioError
    from sim.event_budget import beyond_budget

    finding = None if force else beyond_budget(loaded.value, replications)
    if finding is not None:
        raise ScenarioError([loaded.problem(*finding)])


def _print_grounds(choice: str, lines: Iterable[str]) -> None:
    print(f"Rests on {choice}:")
    for line in lines:
        print(f"  - {line}")
    print()
