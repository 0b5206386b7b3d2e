"""Chat fan-out: a room a broadcast, bursty messages, one delivery per message and connected viewer.

In a room of c connections the messages of a tick are Poisson(a c X), with X Gamma of mean 1 and variance V: mean
a c and variance a c + V (a c)². Gamma variables of one scale add up to a Gamma variable, so the rooms of one size
together are drawn as one: m rooms have Poisson(a c Y) messages with Y of mean m and variance m V, exactly. Rooms of
about one size are taken at their mean size, which keeps the mean of the messages exactly and their variance to the
second order in the width of a size; deliveries are scaled to their exact mean, a Σc².
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scenarios.workload import ChatTraffic
from sim.crowds import EXACT_UP_TO, Crowds, crowds
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

    Args:
        spec: rates and burstiness.
        tick_s: length of a tick.
        rng: of the draws.
        exact_up_to: rooms up to which each is drawn alone; beyond, rooms of about one size are drawn together.
    """

    def __init__(
        self, spec: ChatTraffic, tick_s: float, rng: np.random.Generator, *, exact_up_to: int = EXACT_UP_TO
    ) -> None:
        self._spec, self._tick_s, self._rng, self._exact_up_to = spec, tick_s, rng, exact_up_to
        self._variance = tick_variance(spec, tick_s)

    def step(self, viewers: Floats) -> FanOut:
        """Return the chat of one tick for the served viewers of each broadcast, shape (broadcasts,)."""
        rooms = crowds(viewers, exact_up_to=self._exact_up_to)
        connected = rooms.viewers * self._spec.connected_share
        expected = connected * self._spec.messages_per_viewer_s * self._tick_s
        messages = self._rng.poisson(expected * self._intensity(rooms.broadcasts))
        deliveries = float(messages @ connected) * _second_moment(viewers, rooms)
        return FanOut(
            float(viewers.sum()) * self._spec.connected_share,
            float(messages.sum()),
            deliveries,
            deliveries * self._spec.message_bytes,
        )

    def _intensity(self, rooms: Floats) -> Floats:
        """Return the sum of the intensities of so many rooms, for each group of them."""
        if self._variance == 0.0:
            return rooms
        return self._rng.gamma(rooms / self._variance, self._variance)


def _second_moment(viewers: Floats, rooms: Crowds) -> float:
    """Return Σn² ÷ that of the groups; 1 where each room is a group or nobody watches."""
    of_groups = float(rooms.broadcasts @ rooms.viewers**2)
    if rooms.viewers.size == viewers.size or of_groups == 0.0:
        return 1.0
    # Not `viewers @ viewers`: over this many, BLAS keeps all cores spinning for what takes one of them 20 µs.
    return float(np.einsum("i,i", viewers, viewers)) / of_groups
