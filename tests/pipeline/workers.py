"""Broadcasts in worker processes for the tests: fed at a pace, watched, and their processes ill-treated."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from clips import clip, ladder

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.backend import RungPacket, SourcePacket
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.workers import worker
from pipeline.workers.backend import WorkerBackend

TIMEOUT_S = 60.0
GOP_S = 1.0
WARM_PACKETS = 10
RUNGS = ladder((160, 90, 30), (80, 46, 15), segment_s=GOP_S)
TOP, LOW = (rung.name for rung in RUNGS.rungs)


def source(seconds: float) -> list[SourcePacket]:
    """Return a tiny broadcast of so many seconds with a keyframe every second."""
    once = clip(seconds=10.0, width=160, height=90, gop=30).packets()
    period = once[-1].dts + 3000 - once[0].dts
    return [
        dataclasses.replace(packet, index=index, pts=packet.pts + turn * period, dts=packet.dts + turn * period)
        for index in range(round(30 * seconds))
        for turn, packet in [(index // len(once), once[index % len(once)])]
    ]


class Broadcasting:
    """One session, what came out of it, and a thread that feeds it."""

    def __init__(
        self,
        backend: WorkerBackend,
        packets: list[SourcePacket],
        *,
        speed: float = 4.0,
        name: str = "test",
        warm: bool = True,
    ):
        self.packets, self.speed, self.name, self.warm = packets, speed, name, warm
        self.by_rung: dict[str, list[RungPacket]] = {TOP: [], LOW: []}
        self.errors: list[BaseException | None] = []
        self.marks = RecordingMarks()
        self.go_on, self.take = threading.Event(), threading.Event()
        self.go_on.set()
        self.take.set()
        self.session = backend.open(
            packets[0].avcc, RUNGS, self._take, ended=self.errors.append, stream=name, marks=self.marks
        )
        self._feeder = threading.Thread(target=self._feed)
        self._feeder.start()

    def _take(self, packet: RungPacket) -> None:
        self.take.wait()
        self.by_rung[packet.rung].append(packet)

    def _feed(self) -> None:
        for number, packet in enumerate(self.packets):
            self.go_on.wait()
            if self.warm and number == WARM_PACKETS:  # a machine that is slow in starting a process must drop nothing
                until(lambda: any(self.by_rung.values()) or self.errors)
            if self.errors:
                return
            self.session.feed(packet)
            time.sleep(1 / 30 / self.speed)

    def end(self) -> Broadcasting:
        """Feed the rest, and wait until everything is out."""
        self.go_on.set()
        self._feeder.join()
        self.session.close()
        assert self.session.join(TIMEOUT_S), "the session did not end"
        return self

    def wait_for(self, frames: int, *, epoch: int = 0) -> None:
        """Wait until so many frames of the lowest rung came out in that epoch."""
        until(lambda: sum(packet.epoch >= epoch for packet in self.by_rung[LOW]) >= frames)

    def check(self, *, restarts: int) -> None:
        """Assert what holds after any number of deaths: order, epochs, keyframes, counts."""
        assert self.errors == [None], self.errors
        counters = self.session.counters
        accounted = counters.decoded + counters.dropped + counters.undecodable + counters.out_of_order
        assert counters.fed == len(self.packets) == accounted + counters.lost, counters
        starts = {}
        for rung, packets in self.by_rung.items():
            assert all(a.dts < b.dts for a, b in pairwise(packets))
            epochs = [packet.epoch for packet in packets]
            assert epochs == sorted(epochs)
            assert len(set(epochs)) == restarts + 1, (rung, set(epochs))
            first = [b for a, b in pairwise([None, *packets]) if a is None or a.epoch != b.epoch]
            assert all(packet.is_keyframe and self.packets[packet.frame_index].is_keyframe for packet in first)
            starts[rung] = [packet.frame_index for packet in packets if packet.is_keyframe]
            assert counters.encoded[rung] == len(packets)
        assert starts[TOP] == starts[LOW], "segments that are in one rung and not in the other"
        assert len(self.marks.restarts) == restarts, self.marks.restarts


def until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail("it did not happen in time")
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Return whether the process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def start_s() -> float:
    """Return how long this machine takes, now, to start what a worker starts with."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import pipeline.workers.child, pipeline.ladders.x264"], check=True)
    return time.monotonic() - began_s


@pytest.fixture
def planted(monkeypatch) -> None:
    """Let workers run `planted_worker`, and the server believe in its backends."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setattr(worker, "MODULE", "planted_worker")
    for name in ("killer", "sticking", "stillborn", "capped", "broken", "gone"):
        monkeypatch.setitem(LADDER_BACKENDS, name, X264Backend)
