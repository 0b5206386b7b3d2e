"""Which broadcast is encoded by which worker."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pipeline.workers.worker import Worker

StartWorker = Callable[[int], Worker]


class Place:
    """A place for one worker at a time, shared by a few broadcasts; a dead worker is replaced when one asks.

    Attributes:
        number: its name, the smallest that was free.
        broadcasts: how many are here; the pool counts them.
        is_private: whether nobody else may come.
    """

    def __init__(self, number: int, start: StartWorker, *, is_private: bool) -> None:
        self.number, self.is_private = number, is_private
        self.broadcasts = 1
        self._start = start
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    def worker(self) -> Worker:
        """Return the living worker, started if need be; takes as long as starting a process."""
        with self._lock:
            if self.living is None:
                self._worker = self._start(self.number)
            assert self._worker is not None
            return self._worker

    @property
    def living(self) -> Worker | None:
        """The worker, if it lives."""
        worker = self._worker
        return worker if worker is not None and worker.alive else None

    def close(self) -> None:
        """Let the worker go; nobody is here any more."""
        with self._lock:
            if self._worker is not None:
                self._worker.end()


class Pool:
    """Places of `size` broadcasts each, filled one after the other, and given up with their last broadcast."""

    def __init__(self, start: StartWorker, size: int) -> None:
        self._start, self._size = start, size
        self._places: dict[int, Place] = {}
        self._lock = threading.Lock()

    @property
    def workers(self) -> list[Worker]:
        """Those that live."""
        with self._lock:
            return [worker for place in self._places.values() if (worker := place.living) is not None]

    def enter(self) -> Place:
        """Return a place with room; never blocks for long, as no process is started here."""
        with self._lock:
            for place in self._places.values():
                if place.broadcasts < self._size and not place.is_private:
                    place.broadcasts += 1
                    return place
            return self._new(is_private=False)

    def isolate(self, place: Place) -> Place:
        """Return a place that the broadcast has for itself, instead of the one it shares."""
        with self._lock:
            if place.broadcasts == 1:
                place.is_private = True
                return place
            place.broadcasts -= 1
            return self._new(is_private=True)

    def leave(self, place: Place) -> None:
        """Give one broadcast's part of the place back."""
        with self._lock:
            place.broadcasts -= 1
            if place.broadcasts > 0:
                return
            del self._places[place.number]
        place.close()

    def _new(self, *, is_private: bool) -> Place:
        number = next(number for number in range(1, len(self._places) + 2) if number not in self._places)
        place = self._places[number] = Place(number, self._start, is_private=is_private)
        return place
