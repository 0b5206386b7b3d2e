"""What a verb shows on a terminal beside its words: tables, and a bar while it works."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable


def print_table(rows: Iterable[tuple[str, ...]], titles: tuple[str, ...]) -> None:
    """Print rows of text under their titles, each column as wide as its widest cell."""
    cells = [titles, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class ProgressBar:
    """A progress bar on a terminal's stderr; nothing elsewhere. Entering returns what to call, or None."""

    def __init__(self, what: str, quiet: bool) -> None:
        self._what, self._quiet = what, quiet or not sys.stderr.isatty()

    def __enter__(self) -> Callable[[int, int], None] | None:
        if self._quiet:
            return None
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        task = self._bar.add_task(self._what)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *exception: object) -> None:
        if not self._quiet:
            self._bar.stop()


class StageBars:
    """Progress bars of stages that follow one another, on a terminal's stderr; nothing elsewhere.

    Entering returns what to call with a stage, how much of it is done, and all of it; or None.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> Callable[[str, int, int], None] | None:
        if self._quiet:
            return None
        from rich.console import Console
        from rich.progress import Progress, TaskID

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        tasks: dict[str, TaskID] = {}

        def tell(stage: str, done: int, whole: int) -> None:
            if stage not in tasks:
                tasks[stage] = self._bar.add_task(stage)
            self._bar.update(tasks[stage], completed=done, total=whole)

        return tell

    def __exit__(self, *exception: object) -> None:
        if not self._quiet:
            self._bar.stop()
