"""Chat fan-out: a room a broadcast, bursty messages, one delivery per message and connected viewer."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scenarios.workload import ChatTraffic
from sim.sampling import Floats


class FanOut(NamedTuple):
    """Chat of one tick."""

    connections: float
    messages: float
    deliveries: float
    delivered_bytes: float


def tick_variance(spec: ChatTraffic, tick_s: float) -> float:
    """Return the variance of the mean intensity over a tick.

    X(t) has unit mean, variance s² and correlation e^(-t/τ); its mean over a window w has variance
    s² · 2(x - 1 + e^-x)/x² with x = w/τ (the Fano factor of a Cox process; Cox & Isham 1980).
    """
    x = tick_s / spec.burst_correlation_s
    return spec.burst_variance * 2.0 * (x - 1.0 + math.exp(-x)) / x**2


class Chat:
    """Rooms whose intensity is Gamma-distributed from tick to tick.

    Successive ticks are drawn apart: exact in the variance of a tick, without the correlation between ticks
    that are shorter than a few correlation times.
    """

    def __init__(self, spec: ChatTraffic, tick_s: float, rng: np.random.Generator) -> None:
        self._spec, self._tick_s, self._rng = spec, tick_s, rng
        self._variance = tick_variance(spec, tick_s)

    def step(self, viewers: Floats) -> FanOut:
        """Return the chat of one tick for the served viewers of each broadcast, shape (broadcasts,)."""
        connected = viewers * self._spec.connected_share
        expected = connected * self._spec.messages_per_viewer_s * self._tick_s
        messages = self._rng.poisson(expected * self._intensity(viewers.size))
        deliveries = float(messages @ connected)
        return FanOut(
            float(connected.sum()),
            float(messages.sum()),
            deliveries,
            deliveries * self._spec.message_bytes,
        )

    def _intensity(self, rooms: int) -> Floats:
        if self._variance == 0.0:
            return np.ones(rooms)
        return self._rng.gamma(1.0 / self._variance, self._variance, rooms)
