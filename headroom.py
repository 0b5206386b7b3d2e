"""The `headroom` command: mounts the verbs of both halves and turns errors meant for the reader into exit codes."""

from __future__ import annotations

import sys

import typer

import pipeline.cli
import sim.cli
from scenarios.errors import HeadroomError


def application() -> typer.Typer:
    """Return the command with every verb, in the order of work."""
    app = typer.Typer(
        name="headroom",
        help="Capacity planning for live-streaming platforms, calibrated on a real pipeline.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.add_typer(sim.cli.language)
    app.add_typer(sim.cli.simulation)
    app.add_typer(sim.cli.reviewing)
    app.add_typer(pipeline.cli.app)
    app.add_typer(sim.cli.calibration)
    return app


def main() -> None:
    """Run the command; exit 0 done, 1 the machine is not ready, 2 a file or flag is wrong, 3 some runs are void."""
    try:
        application()()
    except HeadroomError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
