"""A ladder backend whose sessions run in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.backend import Emit, Ended
from pipeline.marks import Marks
from pipeline.workers.link import STALL_S
from pipeline.workers.pool import Pool
from pipeline.workers.restarts import RestartPolicy
from pipeline.workers.session import WorkerSession
from pipeline.workers.worker import Worker
from scenarios.ladder import Ladder

STREAMS_PER_WORKER = 4
"""How many broadcasts die with a worker, at most; a further worker costs some 60 MB."""


class WorkerBackend:
    """Any backend, in worker processes; named after it.

    A worker starts with the first of its broadcasts and ends with the last, so nothing is left to close.
    """

    def __init__(
        self,
        backend: str,
        *,
        streams_per_worker: int = STREAMS_PER_WORKER,
        restarts: RestartPolicy = RestartPolicy(),  # noqa: B008 - immutable
        stall_s: float = STALL_S,
        **options: str,
    ) -> None:
        """Prepare; no process is started yet.

        Args:
            backend: its name in `LADDER_BACKENDS`.
            streams_per_worker: how many broadcasts share a process, at most.
            restarts: how soon and how often a dead worker is replaced.
            stall_s: how long a worker may take packets and give nothing.
            options: of the backend.

        Raises:
            EncoderUnavailable: the backend does not take the options, or cannot run here.
        """
        self._inner = LADDER_BACKENDS[backend](**options)
        self.name = self._inner.name
        self._restarts = restarts
        self._pool = Pool(
            lambda number: Worker(number, backend, options, broadcasts=streams_per_worker, stall_s=stall_s),
            streams_per_worker,
        )

    @property
    def pids(self) -> dict[int, int]:
        """The processes of the workers that live, by number."""
        return {worker.number: worker.pid for worker in self._pool.workers}

    def check(self, ladder: Ladder) -> None:
        """See `LadderBackend.check`."""
        self._inner.check(ladder)

    def open(
        self,
        source_avcc: bytes,
        ladder: Ladder,
        emit: Emit,
        *,
        ended: Ended | None = None,
        stream: str = "",
        marks: Marks | None = None,
    ) -> WorkerSession:
        """See `LadderBackend.open`; the process starts in a thread of the session."""
        self.check(ladder)
        del source_avcc  # a packet brings its own, and after a restart it may be another
        return WorkerSession(
            ladder, pool=self._pool, restarts=self._restarts, emit=emit, ended=ended, stream=stream, marks=marks
        )


def in_workers(streams: int) -> Callable[..., WorkerBackend]:
    """Return what makes a backend, from its name and options, with so many streams to a worker."""
    return partial(WorkerBackend, streams_per_worker=streams)
