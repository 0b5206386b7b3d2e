"""A SimPy model of one node, frame by frame: threads with queues, competing for cores.

One event-loop thread receives for all streams. Each stream has a decoding thread, and one thread per rung
that scales, encodes and muxes. A thread does one frame after the other; to run it needs a core, and cores
are given in the order asked. An arrival is known when the frame was complete, so receiving costs a core but
delays no frame of its own. Not modelled: time slices and the operating system's priorities, Python's global
lock, other processes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import simpy

from sim.calibration.arrivals import Arrivals
from sim.calibration.service import StreamService

Process = Generator[simpy.Event, Any, None]


class FrameRecord(NamedTuple):
    """A frame that left one rung's encoder."""

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


class _Node:
    def __init__(self, env: simpy.Environment, arrivals: Arrivals, services: Sequence[StreamService]) -> None:
        self.frames: list[FrameRecord] = []
        self.segments: list[SegmentRecord] = []
        self._env, self._arrivals, self._services = env, arrivals, services
        self._cores = simpy.Resource(env, capacity=arrivals.cores)
        self._event_loop = simpy.Store(env)
        self._decoders = [simpy.Store(env) for _ in services]
        self._rungs = [{name: simpy.Store(env) for name in service.rungs} for service in services]
        env.process(self._arrive())
        env.process(self._receive())
        for position, service in enumerate(services):
            env.process(self._decode(position, service))
            for name in service.rungs:
                env.process(self._encode(position, service, name))

    def _arrive(self) -> Process:
        for arrival_s, position, index in _in_order(self._arrivals):
            yield self._env.timeout(arrival_s - self._env.now)
            self._event_loop.put(position)
            self._decoders[position].put(index)

    def _receive(self) -> Process:
        while True:
            position = yield self._event_loop.get()
            with self._cores.request() as core:
                yield core
                yield self._env.timeout(self._services[position].receive_s)

    def _decode(self, position: int, service: StreamService) -> Process:
        while True:
            index = yield self._decoders[position].get()
            with self._cores.request() as core:
                yield core
                yield self._env.timeout(float(service.decode_s[index]))
            for name, rung in service.rungs.items():
                if rung.kept[index]:
                    self._rungs[position][name].put(index)

    def _encode(self, position: int, service: StreamService, name: str) -> Process:
        rung, stream = service.rungs[name], self._arrivals.streams[position]
        opened, open_segment = 0, int(service.segments[0])
        while True:
            index = yield self._rungs[position][name].get()
            with self._cores.request() as core:
                yield core
                yield self._env.timeout(float(rung.picture_s[index]))
                encoded_s = self._env.now
                yield self._env.timeout(rung.mux_s)
            arrival_s = float(stream.arrival_s[index])
            self.frames.append(
                FrameRecord(
                    stream.number, name, int(stream.frame[index]), arrival_s, encoded_s, self._env.now
                )
            )
            if service.segments[index] != open_segment:
                first_s = float(stream.arrival_s[opened])
                self.segments.append(
                    SegmentRecord(stream.number, name, open_segment, first_s, arrival_s, self._env.now)
                )
                opened, open_segment = index, int(service.segments[index])


def _in_order(arrivals: Arrivals) -> Iterator[tuple[float, int, int]]:
    moments = np.concatenate([stream.arrival_s for stream in arrivals.streams])
    owners = np.concatenate([np.full(s.arrival_s.size, i) for i, s in enumerate(arrivals.streams)])
    indices = np.concatenate([np.arange(stream.arrival_s.size) for stream in arrivals.streams])
    order = np.argsort(moments, kind="stable")
    for position in order:
        yield float(moments[position]), int(owners[position]), int(indices[position])
