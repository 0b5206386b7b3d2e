"""Chat at its size: rooms drawn together against rooms drawn alone, and against a twin message by message."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import simpy

from benchmarks.per_message import Room
from scenarios.workload import ChatTraffic
from sim.components.chat import Chat, tick_variance
from sim.crowds import crowds
from sim.sampling import stream

SPEC = ChatTraffic(messages_per_viewer_s=0.002)
TICK_S = 30.0


def rooms(count: int) -> np.ndarray:
    """Sizes of rooms from 2 to some 3,000 connections, as popularity makes them."""
    rng = stream(3, 0, "rooms")
    return 200_000.0 * (1 + np.floor(rng.random(count) * 20_000) + 76.3) ** -1.144


def moments(sizes: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return mean and variance of messages and deliveries of a tick, in closed form: each room on its own."""
    rate, burst = SPEC.messages_per_viewer_s * TICK_S, tick_variance(SPEC, TICK_S)
    variance = rate * sizes + burst * (rate * sizes) ** 2
    return {
        "messages": (float(rate * sizes.sum()), float(variance.sum())),
        "deliveries": (float(rate * sizes @ sizes), float(sizes**2 @ variance)),
    }


def drawn(sizes: np.ndarray, ticks: int, exact_up_to: int) -> dict[str, np.ndarray]:
    chat = Chat(SPEC, TICK_S, stream(5, exact_up_to, "chat"), exact_up_to=exact_up_to)
    steps = [chat.step(sizes) for _ in range(ticks)]
    return {name: np.array([getattr(step, name) for step in steps]) for name in ("messages", "deliveries")}


def agrees(values: np.ndarray, mean: float, variance: float) -> bool:
    """Whether a sample's mean and variance lie within 3.5 of their standard errors, plus half a per cent."""
    error = math.sqrt(variance / values.size)
    fourth = float(((values - values.mean()) ** 4).mean())
    error_of_variance = math.sqrt((fourth - values.var() ** 2) / values.size)
    return bool(
        abs(values.mean() - mean) < 3.5 * error + 1e-4 * mean
        and abs(values.var() - variance) < 3.5 * error_of_variance + 0.005 * variance
    )


@pytest.mark.parametrize("exact_up_to", [10**9, 10], ids=["alone", "together"])
def test_rooms_drawn_alone_or_together_have_one_mean_and_variance(exact_up_to):
    sizes = rooms(600)
    found, expected = drawn(sizes, 12_000, exact_up_to), moments(sizes)
    for name, (mean, variance) in expected.items():
        assert agrees(found[name], mean, variance), name
    assert not agrees(found["messages"], expected["messages"][0], expected["messages"][0])  # a Poisson chat
    assert len(crowds(sizes, exact_up_to=10).viewers) < 300


def test_one_intensity_for_a_whole_group_is_caught():
    """The planted mistake: all rooms of a group burst at the same moment."""
    sizes = rooms(600)
    groups, rng = crowds(sizes, exact_up_to=10), stream(6, 0, "mistake")
    burst, rate = tick_variance(SPEC, TICK_S), SPEC.messages_per_viewer_s * TICK_S
    together = rng.gamma(1 / burst, burst, (4000, groups.viewers.size))
    messages = rng.poisson(rate * groups.viewers * groups.broadcasts * together).sum(axis=1)
    assert not agrees(messages, *moments(sizes)["messages"])


def test_mean_deliveries_are_those_of_each_room():
    sizes = rooms(20_000)
    smooth = ChatTraffic(messages_per_viewer_s=50.0, burst_variance=0.0)
    step = Chat(smooth, TICK_S, stream(7, 0, "chat")).step(sizes)
    assert step.connections == pytest.approx(sizes.sum(), rel=1e-12)
    assert step.deliveries == pytest.approx(50 * TICK_S * float(sizes @ sizes), rel=1e-4)


def messages_twin(connections: float, spec: ChatTraffic, horizon_s: float, seed: int) -> np.ndarray:
    """A slow twin, message by message, of a room that does not change; return the moment of each."""
    env, sent = simpy.Environment(), []
    Room(
        env,
        stream(seed, 0, "messages"),
        spec,
        most_connections=connections,
        connections=lambda: connections,
        sent=lambda: sent.append(env.now),
    )
    env.run(until=horizon_s)
    return np.array(sent)


def test_a_twin_message_by_message_has_the_published_burstiness():
    """Fano(w) = 1 + λ w s² g(w/τ): 1.5 at 1 s, 5.7 at 10 s and 18 at 60 s were counted in rooms of 0.86 messages/s."""
    spec, horizon_s = ChatTraffic(messages_per_viewer_s=0.86 / 1000), 120_000.0
    sent = messages_twin(1000.0, spec, horizon_s, 11)
    for window_s, published in ((1.0, 1.5), (10.0, 5.7), (60.0, 18.0)):
        counts = np.bincount((sent / window_s).astype(int), minlength=int(horizon_s / window_s))
        fano = 1 + 0.86 * window_s * tick_variance(spec, window_s)
        assert counts.mean() == pytest.approx(0.86 * window_s, rel=0.06)
        assert counts.var() / counts.mean() == pytest.approx(fano, rel=0.12)
        assert fano == pytest.approx(published, rel=0.06)


def test_ticks_of_the_component_are_those_of_the_twin():
    """Mean and variance of a tick's messages in a room of 2,000, 4,000 ticks of the twin."""
    spec = ChatTraffic(messages_per_viewer_s=0.0002)
    sent = messages_twin(2000.0, spec, 4000 * TICK_S, 12)
    twin = np.bincount((sent / TICK_S).astype(int), minlength=4000)
    chat = Chat(spec, TICK_S, stream(13, 0, "chat"))
    fluid = np.array([chat.step(np.array([2000.0])).messages for _ in range(20_000)])
    assert twin.mean() == pytest.approx(fluid.mean(), rel=0.06)
    assert twin.var() == pytest.approx(fluid.var(), rel=0.15)
    assert twin.var() > 2 * twin.mean()


@pytest.mark.alone
def test_a_tick_of_120_000_rooms_is_quick():
    """About 1 ms; drawing each room alone takes six."""
    sizes, chat = rooms(120_000), Chat(ChatTraffic(), TICK_S, stream(1, 0, "chat"))
    spent_s = []
    for _ in range(5):
        began_s = time.process_time()
        chat.step(sizes)
        spent_s.append(time.process_time() - began_s)
    assert min(spent_s) < 0.01
