"""What lies over a curve: events, and the noise of the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import signal

from scenarios.events import DayNoise, Event
from sim.sampling import Floats, normal


def uplift(events: Sequence[Event], at_s: Floats, on: Literal["viewers", "broadcasts"]) -> Floats:
    """Return by how much the events multiply viewers or the rate of going live at moments of the run."""
    logarithm = np.zeros_like(at_s)
    for event in events:
        if event.on in (on, "both"):
            logarithm = logarithm + np.log(event.uplift) * trapezoid(event, at_s)
    return np.exp(logarithm)


def trapezoid(event: Event, at_s: Floats) -> Floats:
    """Return how far an event is felt: 0 before and after it, 1 while it holds, straight lines between."""
    over_s = event.at_s + event.ramp_s + event.hold_s
    return _slope(at_s - event.at_s, event.ramp_s) - _slope(at_s - over_s, event.decay_s)


def day_noise(spec: DayNoise, steps: int, step_s: float, rng: np.random.Generator) -> Floats:
    """Return the factor of the day's noise at 0, one step, two steps …, shape (steps + 1,); its mean is 1.

    Exactly discretised: x(t + dt) = x(t) φ + sd √(1 - φ²) z with φ = e^(-dt/correlation), from the stationary law on.
    """
    shocks = spec.sd * normal(rng.random(steps + 1))
    decay = np.exp(-step_s / spec.correlation_s)
    shocks[1:] *= np.sqrt(1.0 - decay**2)
    logarithm = signal.lfilter([1.0], [1.0, -decay], shocks)
    factor: Floats = np.exp(logarithm - spec.sd**2 / 2)
    return factor


def _slope(since_s: Floats, over_s: float) -> Floats:
    if over_s == 0.0:
        over_s = 1e-9
    share: Floats = np.clip(since_s / over_s, 0.0, 1.0)
    return share
