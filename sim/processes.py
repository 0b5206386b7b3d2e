"""One function over many cells, on this process or several, in the order of the cells and with the same result."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Cell = TypeVar("Cell")
Outcome = TypeVar("Outcome")


@contextmanager
def processes(workers: int, executor: Executor | None = None) -> Iterator[Executor | None]:
    """Yield what runs cells: the executor given, own processes, or None for this one alone.

    Args:
        workers: processes; 1 stays in this one.
        executor: takes the place of own processes.
    """
    if executor is not None or workers == 1:
        yield executor
        return
    # spawn: a fork would copy the threads of whoever calls, such as a notebook.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def in_order(
    function: Callable[[Cell], Outcome], cells: Sequence[Cell], executor: Executor | None
) -> Iterator[Outcome]:
    """Yield what a function returns of each cell, in their order.

    Args:
        function: of a module, so that another process finds it.
        cells: what it is called with.
        executor: of `processes`; None calls it here.
    """
    yield from map(function, cells) if executor is None else executor.map(function, cells)
