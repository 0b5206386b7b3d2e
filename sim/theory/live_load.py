"""How many are live: infinite-server queues, from empty and under a rate that moves over the day."""

from __future__ import annotations

import cmath
import math

import numpy as np

from sim.sampling import Floats, Law

CELLS = 200_000
"""Of a quadrature over ages."""


def live_from_empty(rate_per_s: float, duration: Law, at_s: float) -> float:
    """Return the expected number live `at_s` after a start from nothing: λ ∫_0^t P(S > u) du (M/G/∞)."""
    age_s = (np.arange(CELLS) + 0.5) * at_s / CELLS
    return rate_per_s * float(duration.survival(age_s).mean()) * at_s


def periodic_response(duration: Law, amplitude: float, period_s: float, longest_s: float) -> tuple[float, float]:
    """Return amplitude and lag in seconds of the number live ÷ λ E[S], under λ(t) = λ (1 + b sin(2πt / period)).

    b |E[e^(-i g S_e)]| and -arg / g with the stationary excess S_e of density P(S > u) / E[S] (Eick, Massey & Whitt
    1993). Unlike the mean, both depend on the whole law.

    Args:
        duration: of a broadcast.
        amplitude: b.
        period_s: of the rate.
        longest_s: age beyond which nothing is live any more.
    """
    frequency = 2 * math.pi / period_s
    age_s: Floats = (np.arange(CELLS) + 0.5) * longest_s / CELLS
    excess = duration.survival(age_s) / duration.mean_s * (longest_s / CELLS)
    response = complex(np.sum(excess * np.cos(frequency * age_s)), -np.sum(excess * np.sin(frequency * age_s)))
    return amplitude * abs(response), -cmath.phase(response) / frequency
