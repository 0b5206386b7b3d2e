"""A SimPy model of one node, frame by frame: threads with queues, competing for cores.

One event-loop thread receives for all streams. Each stream has a decoding thread, one thread per rung that
scales and encodes, and a packaging thread that muxes all rungs. A copied rung has no thread: the decoding one
hands each packet to the packager before it decodes it. A thread does one thing after the other, and for each it
needs a core (`sim.calibration.cores`). A rung's queue is short, and the decoder waits when it is full. An arrival
is the moment its frame was complete, so sending and receiving it cost a core but delay no frame of their own. Not
modelled: Python's global lock, other processes than the load generator, and the dropping of frames once seconds of
them wait.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import simpy

from sim.calibration.arrivals import Arrivals, Floats
from sim.calibration.cores import Cores, Scheduling, Thread
from sim.calibration.service import StreamService
from sim.sampling import stream as random_stream

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


def run_node(
    arrivals: Arrivals, services: Sequence[StreamService], *, scheduling: Scheduling, seed: int
) -> NodeRecords:
    """Return what a node does with a load until the last frame is muxed; `seed` is of its scheduler."""
    env = simpy.Environment()
    node = _Node(env, arrivals, services, scheduling, random_stream(seed, 0, "replay cores"))
    env.run()
    return NodeRecords(
        pd.DataFrame(node.frames, columns=list(FrameRecord._fields)),
        pd.DataFrame(node.segments, columns=list(SegmentRecord._fields)),
    )


class _Inbox:
    """A queue without a limit before one thread: a store of SimPy's, event by event, without those nobody waits for.

    As there, the thread that waits is told by an event of its own after the put, so that the order of a moment stays.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._items: deque[Any] = deque()
        self._getter: simpy.Event | None = None
        self._is_told = False

    def put(self, item: object) -> None:
        """Append an item."""
        self._items.append(item)
        if self._getter is not None and not self._is_told:
            self._is_told = True
            told = self._env.event()
            told.callbacks = [self._hand_over]
            told.succeed()

    def get(self) -> simpy.Event:
        """Return the event of the next item being there; a thread asks for one after the other."""
        event = self._env.event()
        if self._items:
            event.succeed(self._items.popleft())
        else:
            self._getter = event
        return event

    def _hand_over(self, _: simpy.Event) -> None:
        assert self._getter is not None
        getter, self._getter, self._is_told = self._getter, None, False
        getter.succeed(self._items.popleft())


class _Node:
    def __init__(
        self,
        env: simpy.Environment,
        arrivals: Arrivals,
        services: Sequence[StreamService],
        scheduling: Scheduling,
        rng: np.random.Generator,
    ) -> None:
        self.frames: list[FrameRecord] = []
        self.segments: list[SegmentRecord] = []
        self._env, self._arrivals, self._services = env, arrivals, services
        self._cores = Cores(env, arrivals.cores, scheduling, rng)
        self._generator = _Inbox(env)
        self._event_loop = _Inbox(env)
        self._decoders = [_Inbox(env) for _ in services]
        self._rungs = [
            {
                name: simpy.Store(env, capacity=RUNG_QUEUE_FRAMES)
                for name, rung in service.rungs.items()
                if rung.picture_s is not None
            }
            for service in services
        ]
        self._packagers = [_Inbox(env) for _ in services]
        env.process(self._arrive())
        env.process(self._work_off(self._generator))
        env.process(self._work_off(self._event_loop))
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
            service = self._services[position]
            self._generator.put(service.send_s)
            self._event_loop.put(service.receive_s)
            self._decoders[position].put(index)

    def _work_off(self, waiting: _Inbox) -> Process:
        """Process: one thread for all streams, whose work delays nothing but by the core it takes."""
        thread = Thread()
        while True:
            service_s = yield waiting.get()
            if service_s > 0.0:
                yield self._cores.run(thread, service_s)

    def _decode(self, position: int, service: StreamService) -> Process:
        thread, decode_s = Thread(), service.decode_s.tolist()  # lists: single numbers of an array are slow
        kept = {name: rung.kept.tolist() for name, rung in service.rungs.items()}
        while True:
            index = yield self._decoders[position].get()
            for name, rung in service.rungs.items():
                if rung.picture_s is None:
                    self._packagers[position].put((name, index, math.nan))
            yield self._cores.run(thread, decode_s[index])
            for name, waiting in self._rungs[position].items():
                if kept[name][index]:
                    yield waiting.put(index)

    def _encode(self, position: int, name: str, picture_s: Floats) -> Process:
        thread, of_frame_s = Thread(), picture_s.tolist()
        while True:
            index = yield self._rungs[position][name].get()
            yield self._cores.run(thread, of_frame_s[index])
            self._packagers[position].put((name, index, self._env.now))

    def _package(self, position: int, service: StreamService) -> Process:
        stream, thread = self._arrivals.streams[position], Thread()
        opened = dict.fromkeys(service.rungs, 0)
        mux_s = {name: rung.mux_s.tolist() for name, rung in service.rungs.items()}
        arrivals_s, frames, segments = stream.arrival_s.tolist(), stream.frame.tolist(), service.segments.tolist()
        while True:
            name, index, encoded_s = yield self._packagers[position].get()
            yield self._cores.run(thread, mux_s[name][index])
            now_s, arrival_s, first = self._env.now, arrivals_s[index], opened[name]
            self.frames.append(FrameRecord(stream.number, name, frames[index], arrival_s, encoded_s, now_s))
            if segments[index] != segments[first]:
                record = SegmentRecord(stream.number, name, segments[first], arrivals_s[first], arrival_s, now_s)
                self.segments.append(record)
                opened[name] = index


def _in_order(arrivals: Arrivals) -> Iterator[tuple[float, int, int]]:
    moments = np.concatenate([stream.arrival_s for stream in arrivals.streams])
    owners = np.concatenate([np.full(s.arrival_s.size, i) for i, s in enumerate(arrivals.streams)])
    indices = np.concatenate([np.arange(stream.arrival_s.size) for stream in arrivals.streams])
    order = np.argsort(moments, kind="stable")
    yield from zip(moments[order].tolist(), owners[order].tolist(), indices[order].tolist(), strict=True)
