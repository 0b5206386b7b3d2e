"""The one definition of a growing backlog, against SciPy and on synthetic lags."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from scenarios.backlog import backlog_slope, grows, lag_by_segment, student_t_975
from scenarios.errors import CalibrationError

MOMENTS_S = [2.0 * i for i in range(10)]
WINDOW_S = 20.0
FRAME_S = 1 / 30


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 8, 30, 500])
def test_students_t_agrees_with_scipy(degrees):
    assert student_t_975(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=2e-3)


def test_slope_and_interval_agree_with_scipy():
    rng = np.random.default_rng(3)
    lags = 0.02 + 0.004 * np.array(MOMENTS_S) + rng.normal(0, 0.01, 10)
    expected = stats.linregress(MOMENTS_S, lags)
    half_width = stats.t.ppf(0.975, 8) * expected.stderr
    slope = backlog_slope(MOMENTS_S, lags.tolist())
    assert slope.middle == pytest.approx(expected.slope, rel=1e-9)
    assert slope.high - slope.middle == pytest.approx(half_width, rel=2e-3)
    assert slope.middle - slope.low == pytest.approx(half_width, rel=2e-3)


def verdict(lags_s: list[float]) -> bool:
    return grows(backlog_slope(MOMENTS_S, lags_s), window_s=WINDOW_S, frame_interval_s=FRAME_S)


def test_a_backlog_of_two_percent_overload_grows():
    assert verdict([0.02 + 0.02 * moment for moment in MOMENTS_S])


def test_a_flat_lag_does_not_grow_however_large_it_is():
    assert not verdict([3.0] * 10)


def test_noise_without_a_trend_grows_in_few_of_many_runs():
    rng = np.random.default_rng(5)
    found = sum(verdict((0.1 + rng.normal(0, 0.05, 10)).tolist()) for _ in range(400))
    # One side of a 95 % interval: 2.5 % of 400, so 10 expected; 25 is nearly five standard deviations above.
    assert found < 25


def test_steady_growth_below_one_frame_interval_is_beyond_the_resolution():
    rate = 0.9 * FRAME_S / WINDOW_S
    assert not verdict([0.02 + rate * moment for moment in MOMENTS_S])
    assert verdict([0.02 + 1.2 * rate * moment for moment in MOMENTS_S])


def test_a_draining_backlog_does_not_grow():
    assert not verdict([1.0 - 0.04 * moment for moment in MOMENTS_S])


def test_two_points_are_refused_with_the_remedy():
    with pytest.raises(CalibrationError, match=r"at least 3 segments .* there are 2; measure longer"):
        backlog_slope([0.0, 2.0], [0.1, 0.2])


def test_only_whole_segment_lengths_of_the_window_count():
    moments, lags = lag_by_segment(
        [0.5, 1.0, 2.0, 3.9, 5.0, 6.9], [9.0, 1.0, 3.0, 5.0, 7.0, 9.0], start_s=1.0, end_s=6.5, segment_s=2.0
    )
    assert moments == [2.0, 4.0]  # [1, 3) and [3, 5); nothing else is whole
    assert lags == [2.0, 5.0]
