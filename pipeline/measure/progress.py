"""How a measurement shows that it is at work: lines for results, and a bar on a terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Say = Callable[[str], None]
Progress = Callable[[float, str], None]


@contextmanager
def budget_bar(budget_s: float) -> Iterator[tuple[Say, Progress]]:
    """Yield what to call with a line of text, and with the seconds gone by and what is being done.

    Everything goes to standard error; the bar, of the budget that is spent, only where that is a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda line: print(line, file=sys.stderr, flush=True), lambda elapsed_s, doing: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=budget_s)

        def progress(elapsed_s: float, doing: str) -> None:
            bar.update(task, completed=min(elapsed_s, budget_s), description=doing)

        yield lambda line: console.print(line, markup=False, highlight=False), progress


@contextmanager
def ended_gently() -> Iterator[None]:
    """Within it, SIGTERM interrupts as Ctrl-C does: what was measured is still written."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
