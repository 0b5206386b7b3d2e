"""The number of live broadcasts against the Mt/G/∞ queue."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scenarios.law import Constant, Exponential, Lognormal
from scenarios.scenario import Horizon
from scenarios.workload import Broadcasts, ConstantCurve, HourlyCurve, Popularity
from sim.components.broadcasts import draw_broadcasts, live_rate
from sim.sampling import stream

HOUR_S = 3600.0
LAWS = [
    Exponential(kind="exponential", mean_s=2 * HOUR_S),
    Lognormal(kind="lognormal", mean_s=2 * HOUR_S, cv=1.5),
    Constant(kind="constant", mean_s=2 * HOUR_S),
    Constant(kind="constant", mean_s=45.0),
]


def counts(spec: Broadcasts, at_s: float, replications: int = 200) -> np.ndarray:
    horizon = Horizon(start_hour=0.0, horizon_s=at_s + 60.0)
    return np.array(
        [
            draw_broadcasts(spec, Popularity(), horizon, stream(3, number, "broadcasts")).live(at_s).size
            for number in range(replications)
        ]
    )


@pytest.mark.parametrize("duration", LAWS, ids=lambda spec: f"{spec.kind}-{spec.mean_s:g}")
@pytest.mark.parametrize("at_s", [0.0, 0.5 * HOUR_S, 5.0 * HOUR_S])
def test_live_broadcasts_are_poisson_from_the_first_moment(duration, at_s):
    spec = Broadcasts(peak_concurrent=400.0, duration=duration, start_curve=ConstantCurve())
    live = counts(spec, at_s)
    half = 3.3 * math.sqrt(400 / live.size)
    assert abs(live.mean() - 400) < half
    low, high = stats.chi2.ppf([0.0005, 0.9995], live.size - 1) / (live.size - 1)
    assert low < live.var(ddof=1) / 400 < high


def test_starting_empty_is_caught():
    """The planted mistake: without those already live, an hour in only part of the number is reached (V9)."""
    spec = Broadcasts(peak_concurrent=400.0, duration=LAWS[1], start_curve=ConstantCurve())
    horizon = Horizon(start_hour=0.0, horizon_s=12 * HOUR_S)
    tables = [draw_broadcasts(spec, Popularity(), horizon, stream(3, n, "broadcasts")) for n in range(200)]
    started_empty = [((t.publish_s >= 0) & (t.publish_s <= HOUR_S) & (t.end_s > HOUR_S)).sum() for t in tables]
    assert np.mean(started_empty) == pytest.approx(400 * 0.38779, rel=0.02)
    assert abs(np.mean(started_empty) - 400) > 3.3 * math.sqrt(400 / 200)


def test_sinusoidal_rate_gives_the_amplitude_and_lag_of_theory():
    """Mt/M/∞: amplitude b/√(1+(gτ)²), lag atan(gτ)/g (V10: 0.35436 and 1.8424 h)."""
    g, b, tau_h = 2 * math.pi / 24, 0.4, 2.0
    levels = tuple(1 + b * math.sin(g * hour) for hour in range(24))
    spec = Broadcasts(peak_concurrent=1.0, duration=LAWS[0], start_curve=HourlyCurve(kind="hourly", levels=levels))
    rate = live_rate(spec)
    mean = rate.concurrent.mean()
    amplitude = (rate.concurrent.max() - rate.concurrent.min()) / 2 / mean
    lag_h = np.argmax(rate.concurrent) * rate.cell_s / 3600 - 6.0
    assert amplitude == pytest.approx(b / math.sqrt(1 + (g * tau_h) ** 2), abs=0.01)
    assert lag_h == pytest.approx(math.atan(g * tau_h) / g, abs=0.1)
    assert rate.concurrent.max() == pytest.approx(1.0)


def test_simulated_numbers_follow_the_varying_mean():
    levels = tuple(1 + 0.8 * math.sin(2 * math.pi * hour / 24) for hour in range(24))
    spec = Broadcasts(peak_concurrent=300.0, duration=LAWS[1], start_curve=HourlyCurve(kind="hourly", levels=levels))
    expected = live_rate(spec)
    for hour in (0, 3, 9):
        live = counts(spec, hour * HOUR_S)
        mean = expected.at(hour)
        assert abs(live.mean() - mean) < 3.3 * math.sqrt(mean / live.size)
    assert abs(expected.at(9) - expected.at(3)) > 20
