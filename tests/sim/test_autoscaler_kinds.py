"""A schedule, a prediction and a target: each on loads whose answer is known beforehand."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError
from scripted_fleet import scaled
from test_autoscaler import start_with

from scenarios.autoscaler import PredictiveAutoscaler, ScheduleAutoscaler, Step, UtilisationAutoscaler
from sim.components.autoscaler import Bounds
from sim.components.autoscaler.predictive import HoltTrend

HOUR_S = 3600.0


def day(**changes) -> ScheduleAutoscaler:
    steps = (Step(hour=8.0, nodes=10), Step(hour=18.5, nodes=40))
    return ScheduleAutoscaler(kind="schedule", steps=steps, **changes)


def test_a_schedule_takes_each_step_ahead_of_its_hour_and_the_last_one_over_midnight():
    fleet = scaled(day(ahead_s=300.0), lambda at: 0, nodes=40, until_s=24 * HOUR_S, start_hour=6.0)
    # From 6:00: the 40 of yesterday evening until 7:55, 10 until 18:25, 40 again.
    assert fleet.actions == [(2 * HOUR_S - 300, -30), (12.5 * HOUR_S - 300, 30)]


def test_a_schedule_starts_with_its_table_whoever_is_live():
    assert start_with(day(), live=400, start_hour=6.0) == 40
    assert start_with(day(), live=400, start_hour=8.0) == 10
    assert start_with(day(ahead_s=600.0), live=0, start_hour=7.9) == 10
    assert start_with(day(), live=0, start_hour=20.0, bounds=Bounds(1, 25, 4)) == 25


def test_a_schedule_whose_hours_do_not_rise_is_refused():
    with pytest.raises(ValidationError, match="must rise"):
        ScheduleAutoscaler(kind="schedule", steps=(Step(hour=9.0, nodes=1), Step(hour=8.0, nodes=2)))


def smoothed(level_s: float, trend_s: float, *, slope_per_s: float, samples: int) -> HoltTrend:
    load = HoltTrend(period_s=60.0, level_s=level_s, trend_s=trend_s)
    for number in range(samples):
        load.observe(100.0 + slope_per_s * 60.0 * number)
    return load


def test_holts_trend_of_a_straight_line_is_the_line():
    """Its error on a line dies out whatever the slope; a level alone stays behind by slope × period × (1 - w) ÷ w."""
    slope_per_s, samples, ahead_s = 0.5, 400, 300.0
    true = 100.0 + slope_per_s * (60.0 * (samples - 1) + ahead_s)
    load = smoothed(120.0, 900.0, slope_per_s=slope_per_s, samples=samples)
    assert load.forecast(ahead_s) == pytest.approx(true, abs=1e-6)
    level_alone = smoothed(120.0, 1e12, slope_per_s=slope_per_s, samples=samples)
    weight = 1.0 - math.exp(-60.0 / 120.0)
    behind = slope_per_s * 60.0 * (1.0 - weight) / weight + slope_per_s * ahead_s
    assert level_alone.forecast(ahead_s) == pytest.approx(true - behind, rel=1e-5)
    with pytest.raises(AssertionError):
        assert level_alone.forecast(ahead_s) == pytest.approx(true, abs=1e-6)


def predictive(**changes) -> PredictiveAutoscaler:
    return PredictiveAutoscaler(kind="predictive", target_utilisation=1.0, **changes)


def test_a_prediction_orders_for_what_a_rising_load_will_be():
    """A load of 0.01 broadcasts/s for 2 h: 72 live, 4 on a node. Ahead by 600 s that is 6 more."""
    fleet = scaled(predictive(ahead_s=600.0), lambda at: round(at * 0.01), nodes=1, until_s=7201.0)
    assert fleet.nodes == math.ceil((72 + 6) / 4)
    late = scaled(predictive(ahead_s=0.0), lambda at: round(at * 0.01), nodes=1, until_s=7201.0)
    assert late.nodes == math.ceil(72 / 4)


def test_a_prediction_of_less_takes_no_place_from_who_is_live():
    fleet = scaled(
        predictive(ahead_s=1200.0, scale_in_window_s=0.0),
        lambda at: max(40, 160 - round(at * 0.05)),
        nodes=40,
        until_s=1801.0,
    )
    assert fleet.nodes == math.ceil((160 - 90) / 4)
    assert start_with(predictive(), live=37) == 10


def tracking(**changes) -> UtilisationAutoscaler:
    return UtilisationAutoscaler(kind="utilisation", target_utilisation=0.5, **changes)


def test_a_target_is_reached_at_once_upwards_and_once_a_cooldown_downwards():
    def demand(at_s: float) -> int:
        return 20 if at_s < 100 else (10 if at_s < 700 else 4)

    fleet = scaled(tracking(), demand, nodes=5, until_s=1200.0)
    # 20 ÷ (4 × 0.5) at the first sync; 5 when 300 s have passed since; 2 at once, since the last change is long ago
    assert fleet.actions == [(60.0, 5), (360.0, -5), (720.0, -3)]
    assert start_with(tracking(), live=20) == 10


def test_a_target_does_not_see_who_waits():
    fleet = scaled(tracking(), lambda at: 20, nodes=10, waiting=500)
    assert fleet.actions == []
