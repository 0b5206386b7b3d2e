"""The verbs of calibration: from bundles to a profile, and back again to see its errors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.cli.options import Extrapolate, Json, Quiet, Seed
from sim.terminal import ProgressBar, print_table

calibration = typer.Typer()


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
