"""Many runs of the node model, on one process or several, with the same result."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with runs done and runs in all."""


def results_of(
    jobs: Mapping[Key, Callable[[], Result]],
    *,
    workers: int,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> dict[Key, Result]:
    """Return the result of each job, by its key.

    Args:
        jobs: what is to be done; can be pickled unless it stays in this process.
        workers: processes; 1 stays in this one.
        executor: used instead of own processes.
        progress: told after each.
    """
    found: dict[Key, Result] = {}
    with _pool(workers, executor, len(jobs)) as pool:
        for done, (key, result) in enumerate(_finished(jobs, pool), start=1):
            found[key] = result
            if progress:
                progress(done, len(jobs))
    return found


def part_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return what a part of the work is told, where so many runs of a total lie before it."""
    return None if progress is None else lambda done, _: progress(before + done, total)


def _finished(jobs: Mapping[Key, Callable[[], Result]], pool: Executor | None) -> Iterator[tuple[Key, Result]]:
    if pool is None:
        yield from ((key, job()) for key, job in jobs.items())
        return
    waiting = {pool.submit(job): key for key, job in jobs.items()}
    for future in as_completed(waiting):
        yield waiting[future], future.result()


@contextmanager
def _pool(workers: int, executor: Executor | None, jobs: int) -> Iterator[Executor | None]:
    if executor is not None or workers == 1:
        yield executor
        return
    # spawn: a fork would copy the threads of whoever calls, such as a notebook.
    with ProcessPoolExecutor(min(workers, max(jobs, 1)), mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool
