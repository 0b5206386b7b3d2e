"""Chat message by message: the slow twin of `sim.components.chat`."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from scenarios.workload import ChatTraffic


class Room:
    """A chat room whose messages come one by one, as a Cox process.

    The intensity is the Gamma process of Ornstein-Uhlenbeck type: it decays with the correlation time and jumps by
    exponential amounts at Poisson moments, which makes it Gamma of mean 1 and variance s², with correlation
    e^(-t/τ) (Barndorff-Nielsen & Shephard 2001). Between two jumps it only falls, so its last value bounds it.

    Args:
        env: the clock.
        rng: of all draws.
        spec: rate of a viewer and burstiness; its `burst_variance` is positive.
        most_connections: never exceeded by `connections`.
        connections: returns how many are connected now.
        sent: told of each message.
    """

    def __init__(
        self,
        env: simpy.Environment,
        rng: np.random.Generator,
        spec: ChatTraffic,
        *,
        most_connections: float,
        connections: Callable[[], float],
        sent: Callable[[], None],
    ) -> None:
        self._env, self._rng, self._spec = env, rng, spec
        self._most, self._connections, self._sent = most_connections, connections, sent
        self._shape = 1.0 / spec.burst_variance
        self._level, self._since_s = rng.gamma(self._shape, 1.0 / self._shape), env.now
        self._writing = env.process(self._write())
        env.process(self._jump())

    def _intensity(self) -> float:
        return self._level * math.exp(-(self._env.now - self._since_s) / self._spec.burst_correlation_s)

    def _jump(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self._env.timeout(self._rng.exponential(self._spec.burst_correlation_s / self._shape))
            self._level = self._intensity() + self._rng.exponential(1.0 / self._shape)
            self._since_s = self._env.now
            self._writing.interrupt()

    def _write(self) -> Generator[simpy.Event, Any, None]:
        while True:
            bound = self._intensity()
            fastest_per_s = self._most * self._spec.messages_per_viewer_s * bound
            try:
                yield self._env.timeout(self._rng.exponential(1.0 / fastest_per_s))
            except simpy.Interrupt:
                continue
            if self._rng.random() * bound * self._most < self._intensity() * self._connections():
                self._sent()
