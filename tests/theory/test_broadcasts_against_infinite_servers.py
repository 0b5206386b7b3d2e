"""The number of live broadcasts against the Mt/G/∞ queue."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from scenarios.curves import HarmonicCurve
from scenarios.errors import CalibrationError
from scenarios.events import Event
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


G, B = 2 * math.pi / 24, 0.4
WAVE = HarmonicCurve.model_validate(
    {"kind": "harmonic", "harmonics": ({"order": 1, "amplitude": B, "peak_hour": 12.0},)}
)
FINAL = Event(name="final", at_s=HOUR_S, on="broadcasts")
"""Ramp 60 min to 1.7, hold 60 min, decay 45 min."""


def test_simulated_numbers_have_the_amplitude_and_lag_of_theory():
    """V10 through the draws: Mt/M/∞ of mean 2 h swings by 0.35436 and peaks 1.8424 h after its rate."""
    amplitude, lag_h, mean = 0.35436, 1.8424, 3000.0
    spec = Broadcasts(peak_concurrent=mean * (1 + amplitude), duration=LAWS[0], start_curve=WAVE)
    hours = np.arange(0.0, 24.0, 2.0)
    horizon = Horizon(start_hour=0.0, horizon_s=24 * HOUR_S)
    tables = [draw_broadcasts(spec, Popularity(), horizon, stream(3, n, "broadcasts")) for n in range(12)]
    live = np.array([[table.live(hour * HOUR_S).size for hour in hours] for table in tables]).mean(axis=0)
    phase = 2 / hours.size * (live @ np.exp(1j * G * hours)) / live.mean()
    # A day holds about 6 independent times: two means of durations apart.
    half = 3.3 * math.sqrt(2 / (6 * len(tables) * mean))  # of an amplitude; of the phase, half ÷ amplitude
    assert abs(live.mean() - mean) < 3.3 * math.sqrt(mean / (6 * len(tables)))
    seen_lag_h = (np.angle(phase) / G - 12) % 24
    assert abs(abs(phase) - amplitude) < half
    assert abs(seen_lag_h - lag_h) < half / amplitude / G
    planted = B, 0.0  # the mistake: numbers that follow the rate at once
    assert abs(abs(phase) - planted[0]) > half
    assert abs(seen_lag_h - planted[1]) > half / amplitude / G


def test_as_many_go_live_around_the_peak_as_the_rate_integrates_to():
    """NHPP: Poisson with mean L w (1 + b sin(g w/2)/(g w/2)) in a window w centred on the peak (theory.md 1.6)."""
    rate_h, window_h = 20_000.0, 6.0
    peak = rate_h * 2 * (1 + B / math.sqrt(1 + (G * 2) ** 2))
    spec = Broadcasts(peak_concurrent=peak, duration=LAWS[0], start_curve=WAVE)
    horizon = Horizon(start_hour=12 - window_h / 2, horizon_s=window_h * HOUR_S)
    gone_live = (draw_broadcasts(spec, Popularity(), horizon, stream(3, 0, "broadcasts")).publish_s > 0).sum()
    half = G * window_h / 2
    mean = rate_h * window_h * (1 + B * math.sin(half) / half)
    assert abs(gone_live - mean) < 3.3 * math.sqrt(mean)
    assert abs(gone_live - rate_h * window_h * (1 + B)) > 3.3 * math.sqrt(mean)  # the mistake: the peak's rate


def test_an_event_brings_the_broadcasts_its_trapezoid_integrates_to():
    """In the logarithm straight: a ramp of length r to u brings λ r (u - 1)/ln u, not λ r (1 + u)/2."""
    spec = Broadcasts(peak_concurrent=40_000.0, duration=LAWS[0], start_curve=ConstantCurve())
    horizon = Horizon(start_hour=0.0, horizon_s=5 * HOUR_S)
    tables = [
        draw_broadcasts(spec, Popularity(), horizon, stream(3, n, "broadcasts"), events=(FINAL,)) for n in range(10)
    ]
    edges = np.array([0.0, 1.0, 2.0, 3.0, 3.75, 5.0]) * HOUR_S
    seen = sum(np.histogram(table.publish_s, edges)[0] for table in tables)
    ramp = 0.7 / math.log(1.7)
    expected = 10 * 20_000 * np.array([1.0, ramp, 1.7, 0.75 * ramp, 1.25])
    assert np.all(np.abs(seen - expected) < 3.5 * np.sqrt(expected))
    assert abs(seen[1] - 10 * 20_000 * (1 + 1.7) / 2) > 3.5 * math.sqrt(expected[1])  # the mistake: a straight ramp


def numbers_with_event(at_h: np.ndarray, uplift: float = 1.7, mean_h: float = 2.0) -> np.ndarray:
    """Return m(t)/m(0) of Mt/M/∞ under the event, from m' = λ - m/mean on its pieces."""
    growth = math.log(uplift)
    pieces = [(1.0, 0.0, 1.0), (1.0, growth, 1.0), (uplift, 0.0, 1.0), (uplift, -growth / 0.75, 0.75), (1.0, 0.0, 99.0)]
    out, start, level = np.ones_like(at_h), 0.0, 1.0
    for rate, slope, length in pieces:
        inside = (at_h >= start) & (at_h <= start + length)
        since = np.append(at_h[inside] - start, length)
        fading = np.exp(-since / mean_h)
        value = level * fading + rate * (np.exp(slope * since) - fading) / (slope * mean_h + 1)
        out[inside], level, start = value[:-1], value[-1], start + length
    return out


def test_the_number_live_follows_an_event_with_the_delay_of_its_durations():
    spec = Broadcasts(peak_concurrent=1000.0, duration=LAWS[0], start_curve=ConstantCurve())
    rate = live_rate(spec, events=(FINAL,))
    assert rate.concurrent == pytest.approx(live_rate(spec).concurrent)  # no rescaling of the ordinary day
    hours = np.array([0.0, 1.0, 1.5, 2.0, 3.0, 3.5, 4.0, 6.0])
    theory = 1000 * numbers_with_event(hours)
    assert [rate.expected(0.0, hour * HOUR_S) for hour in hours] == pytest.approx(theory, rel=0.002)
    horizon = Horizon(start_hour=0.0, horizon_s=3.1 * HOUR_S)
    live = np.array(
        [
            draw_broadcasts(spec, Popularity(), horizon, stream(3, n, "broadcasts"), events=(FINAL,))
            .live(3 * HOUR_S)
            .size
            for n in range(100)
        ]
    )
    half = 3.3 * math.sqrt(theory[4] / live.size)
    assert abs(live.mean() - theory[4]) < half
    assert abs(live.mean() - 1000 * 1.7) > half  # the mistake: the number multiplied instead of the rate


def test_an_event_before_the_start_is_felt_from_the_first_moment():
    spec = Broadcasts(peak_concurrent=1000.0, duration=LAWS[0], start_curve=ConstantCurve())
    begun = FINAL.model_copy(update={"at_s": -2 * HOUR_S})
    horizon = Horizon(start_hour=0.0, horizon_s=60.0)
    live = np.array(
        [
            draw_broadcasts(spec, Popularity(), horizon, stream(3, n, "broadcasts"), events=(begun,)).live(0.0).size
            for n in range(100)
        ]
    )
    expected = 1000 * numbers_with_event(np.array([3.0]))[0]
    assert abs(live.mean() - expected) < 3.3 * math.sqrt(expected / live.size)
    assert abs(live.mean() - 1000) > 3.3 * math.sqrt(expected / live.size)


def test_a_curve_of_the_number_live_gives_the_rate_that_leads_to_it():
    """V10 backwards: a number live that swings by 0.35436 and peaks at 13.8424 h is of a rate that swings by 0.4."""
    amplitude, lag_h = 0.35436, 1.8424
    seen = HarmonicCurve.model_validate(
        {"kind": "harmonic", "harmonics": ({"order": 1, "amplitude": amplitude, "peak_hour": 12 + lag_h},)}
    )
    spec = Broadcasts(peak_concurrent=1.0, duration=LAWS[0], start_curve=seen, start_curve_is="concurrent")
    rate = live_rate(spec)
    hours = (np.arange(rate.per_s.size) + 0.5) * rate.cell_s / 3600
    phase = 2 * np.mean(rate.per_s * np.exp(1j * G * hours)) / rate.per_s.mean()
    assert abs(phase) == pytest.approx(B, abs=0.01)
    assert np.angle(phase) / G % 24 == pytest.approx(12.0, abs=0.1)
    assert rate.at(12 + lag_h) == pytest.approx(1.0, abs=0.005)
    as_rate = live_rate(spec.model_copy(update={"start_curve_is": "rate"}))  # the mistake: taken for the rate itself
    swing = (as_rate.concurrent.max() - as_rate.concurrent.min()) / 2 / as_rate.concurrent.mean()
    assert swing < amplitude - 0.03


def test_numbers_that_no_rate_leads_to_are_refused():
    """Nobody ends faster than their duration: two hours of exponential durations cannot vanish in one."""
    levels = tuple(1.0 if hour < 12 else 0.05 for hour in range(24))
    curve = HourlyCurve(kind="hourly", levels=levels)
    spec = Broadcasts(peak_concurrent=1.0, duration=LAWS[0], start_curve=curve, start_curve_is="concurrent")
    with pytest.raises(CalibrationError, match=r"no rate of going live leads to .* misses them by \d+ % of the peak"):
        live_rate(spec)
