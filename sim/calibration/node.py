"""A SimPy model of one node, frame by frame: threads with queues, competing for cores.

One event-loop thread receives for all streams. Each stream has a decoding thread, one thread per rung that
scales and encodes, and a packaging thread that muxes all rungs. A copied rung has no thread: the decoding one
hands each packet to the packager before it decodes it. A thread does one thing after the other, and
for each it needs a core (`_Cores`). A rung's queue is short, and the decoder waits when it is full. An arrival
is the moment its frame was complete, so receiving costs a core but delays no frame of its own. Not modelled:
preemption within a job, Python's global lock, other processes, and the dropping of frames once seconds of them
wait.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import simpy

from sim.calibration.arrivals import Arrivals, Floats
from sim.calibration.service import StreamService

RUNG_QUEUE_FRAMES = 4
"""Decoded frames that may wait for a rung before the decoder waits: as the pipeline is built."""
Process = Generator[simpy.Event, Any, None]


class FrameRecord(NamedTuple):
    """A frame that left one rung's encoder, or was passed on: `encoded_s` is NaN then."""

    stream: int
    rung: str
    frame: int
    arrival_s: float
    encoded_s: float
    muxed_s: float


class SegmentRecord(NamedTuple):
    """A segment that can be fetched."""

    stream: int
    rung: str
    segment: int
    first_arrival_s: float
    closing_arrival_s: float
    closed_s: float


@dataclass(frozen=True)
class NodeRecords:
    """What a node did.

    Attributes:
        frames: one row per frame and rung, columns of `FrameRecord`.
        segments: one row per published segment and rung, columns of `SegmentRecord`.
    """

    frames: pd.DataFrame
    segments: pd.DataFrame


def run_node(arrivals: Arrivals, services: Sequence[StreamService]) -> NodeRecords:
    """Return what a node does with a load until the last frame is muxed."""
    env = simpy.Environment()
    node = _Node(env, arrivals, services)
    env.run()
    return NodeRecords(
        pd.DataFrame(node.frames, columns=list(FrameRecord._fields)),
        pd.DataFrame(node.segments, columns=list(SegmentRecord._fields)),
    )


class _Thread:
    """What a scheduler knows of a thread: the CPU it has had, in virtual time."""

    def __init__(self) -> None:
        self.served_s = 0.0


class _Cores:
    """Cores given by start-time fair queueing (Goyal, Vin & Cheng 1996), as an operating system's scheduler does.

    A thread that has had less CPU comes first; one that slept starts level with the others. In plain arrival
    order a thread of many short jobs, such as the packager, would get one turn for each turn of an encoder and
    become the bottleneck of a busy node, which no real scheduler makes it.
    """

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self._env, self._cores, self._now_served_s = env, simpy.PriorityResource(env, capacity=count), 0.0

    def run(self, thread: _Thread, service_s: float) -> Process:
        """Process: wait for a core and hold it for one job of the thread."""
        start_s = max(thread.served_s, self._now_served_s)
        with self._cores.request(priority=round(start_s * 1e9)) as core:
            yield core
            self._now_served_s = max(self._now_served_s, start_s)
            thread.served_s = start_s + service_s
            yield self._env.timeout(service_s)


class _Node:
    def __init__(self, env: simpy.Environment, arrivals: Arrivals, services: Sequence[StreamService]) -> None:
        self.frames: list[FrameRecord] = []
        self.segments: list[SegmentRecord] = []
        self._env, self._arrivals, self._services = env, arrivals, services
        self._cores = _Cores(env, arrivals.cores)
        self._event_loop = simpy.Store(env)
        self._decoders = [simpy.Store(env) for _ in services]
        self._rungs = [
            {
                name: simpy.Store(env, capacity=RUNG_QUEUE_FRAMES)
                for name, rung in service.rungs.items()
                if rung.picture_s is not None
            }
            for service in services
        ]
        self._packagers = [simpy.Store(env) for _ in services]
        env.process(self._arrive())
        env.process(self._receive())
        for position, service in enumerate(services):
            env.process(self._decode(position, service))
            env.process(self._package(position, service))
            for name, rung in service.rungs.items():
                if rung.picture_s is not None:
                    env.process(self._encode(position, name, rung.picture_s))

    def _arrive(self) -> Process:
        for arrival_s, position, index in _in_order(self._arrivals):
            # now + (arrival - now) may round to just after the arrival, and another frame may come at the same moment.
            yield self._env.timeout(max(arrival_s - self._env.now, 0.0))
            self._event_loop.put(position)
            self._decoders[position].put(index)

    def _receive(self) -> Process:
        thread = _Thread()
        while True:
            position = yield self._event_loop.get()
            yield from self._cores.run(thread, self._services[position].receive_s)

    def _decode(self, position: int, service: StreamService) -> Process:
        thread = _Thread()
        while True:
            index = yield self._decoders[position].get()
            for name, rung in service.rungs.items():
                if rung.picture_s is None:
                    self._packagers[position].put((name, index, math.nan))
            yield from self._cores.run(thread, float(service.decode_s[index]))
            for name, waiting in self._rungs[position].items():
                if service.rungs[name].kept[index]:
                    yield waiting.put(index)

    def _encode(self, position: int, name: str, picture_s: Floats) -> Process:
        thread = _Thread()
        while True:
            index = yield self._rungs[position][name].get()
            yield from self._cores.run(thread, float(picture_s[index]))
            self._packagers[position].put((name, index, self._env.now))

    def _package(self, position: int, service: StreamService) -> Process:
        stream, thread = self._arrivals.streams[position], _Thread()
        opened = dict.fromkeys(service.rungs, 0)
        while True:
            name, index, encoded_s = yield self._packagers[position].get()
            yield from self._cores.run(thread, service.rungs[name].mux_s)
            now_s, arrival_s = self._env.now, float(stream.arrival_s[index])
            frame = int(stream.frame[index])
            self.frames.append(FrameRecord(stream.number, name, frame, arrival_s, encoded_s, now_s))
            segment, first = int(service.segments[opened[name]]), opened[name]
            if service.segments[index] != segment:
                first_s = float(stream.arrival_s[first])
                self.segments.append(SegmentRecord(stream.number, name, segment, first_s, arrival_s, now_s))
                opened[name] = index


def _in_order(arrivals: Arrivals) -> Iterator[tuple[float, int, int]]:
    moments = np.concatenate([stream.arrival_s for stream in arrivals.streams])
    owners = np.concatenate([np.full(s.arrival_s.size, i) for i, s in enumerate(arrivals.streams)])
    indices = np.concatenate([np.arange(stream.arrival_s.size) for stream in arrivals.streams])
    order = np.argsort(moments, kind="stable")
    for position in order:
        yield float(moments[position]), int(owners[position]), int(indices[position])
