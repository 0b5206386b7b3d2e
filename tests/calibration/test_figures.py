"""Figures of pooled runs, their noise floor, and verdicts at their edges."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pandas as pd
import pytest

from scenarios.backlog import Slope
from sim.calibration.figures import FEWEST_FOR_P99, FIGURES, MOST_HALVINGS, halvings, noise_floor
from sim.calibration.outcome import Outcome
from sim.calibration.verdicts import n_max_verdict, overall, verdict


def outcome(cpu: float = 0.3, *, publish_s: tuple[float, ...] = (0.02,), frames_s: tuple[float, ...] = ()) -> Outcome:
    return Outcome(
        np.array(frames_s), pd.Series(publish_s, dtype=float), cpu, Slope(0.0, -0.1, 0.1), True, np.array([2.1])
    )


def test_six_repeats_have_exactly_ten_halvings():
    ways = list(halvings(6))
    assert len(ways) == len(set(ways)) == 10
    assert {frozenset({frozenset(half), frozenset(rest)}) for half, rest in ways} == {
        frozenset({frozenset(half), frozenset(range(6)) - frozenset(half)})
        for half in itertools.combinations(range(6), 3)
    }


def test_the_noise_floor_is_the_median_over_ten_halvings():
    """Worked by hand: 1 … 6 sum to 21, and the halves with 1 to 6 7 8 8 9 9 10 10 11 12.

    Their means differ by 9 7 5 5 3 3 1 1 1 3 thirds, of which the median is 1; the mean of both halves is 3.5.
    """
    assert noise_floor(FIGURES["cpu"], [outcome(float(cpu)) for cpu in (1, 2, 3, 4, 5, 6)]) == pytest.approx(1 / 3.5)


def test_an_odd_repeat_is_left_out_of_the_floor_so_that_halves_are_equal():
    asked = []
    counting = dataclasses.replace(FIGURES["cpu"], of_pool=lambda pool: asked.append(pool.tolist()) or 1.0)
    noise_floor(counting, [outcome(float(cpu)) for cpu in range(7)])
    assert asked[0] == [0, 1, 2, 3, 4, 5, 6]  # the figure itself pools every run
    assert len(asked[1:]) == 20
    assert all(len(half) == 3 and 0 not in half for half in asked[1:])


def test_one_repeat_has_no_floor_and_many_have_a_bounded_number_of_halvings():
    assert math.isnan(noise_floor(FIGURES["cpu"], [outcome()]))
    assert len(list(halvings(2))) == 1
    assert len(list(halvings(10))) == MOST_HALVINGS
    assert 0.5 * MOST_HALVINGS < len(list(halvings(16))) <= MOST_HALVINGS


def test_p99_needs_a_thousand_pooled_segments_each_rung_counted():
    p99 = FIGURES["segment_publish_p99"]
    almost = [
        outcome(publish_s=(0.01,) * (FEWEST_FOR_P99 // 2)),
        outcome(publish_s=(0.03,) * (FEWEST_FOR_P99 // 2 - 1)),
    ]
    assert math.isnan(p99.of(almost))
    assert math.isnan(noise_floor(p99, almost))
    enough = [*almost, outcome(publish_s=(0.03,))]
    assert p99.of(enough) == pytest.approx(0.03)
    assert noise_floor(p99, enough) >= 0  # halves are smaller and still tell of the noise


def test_an_error_is_a_fraction_of_what_was_measured():
    assert FIGURES["cpu"].error(predicted=0.33, measured=0.3) == pytest.approx(0.1)
    assert FIGURES["backlog_slope"].error(predicted=0.01, measured=-0.01) == pytest.approx(0.02)
    assert math.isnan(FIGURES["cpu"].error(predicted=0.33, measured=0.0))


@pytest.mark.parametrize(
    ("error", "floor", "judged"),
    [
        (0.05, 0.0, "met"),  # at the target
        (0.0501, 0.0, "missed"),
        (-0.05, 0.0, "met"),  # either way
        (0.1, 0.08, "met"),  # at 1.25 floors
        (0.1001, 0.08, "missed"),
        (0.3125, 0.25, "met"),  # the highest floor that still says something
        (0.0, 0.2501, "UNRESOLVED"),
        (9.0, 0.2501, "UNRESOLVED"),
        (0.0, math.nan, "UNRESOLVED"),  # without a floor nothing is shown
        (math.nan, 0.1, None),
    ],
)
def test_met_means_within_the_target_or_within_what_noise_explains(error, floor, judged):
    assert verdict(error, floor=floor, target=0.05) == judged


def test_a_figure_without_a_target_has_no_verdict():
    assert verdict(0.01, floor=0.01, target=None) is None


@pytest.mark.parametrize(
    ("predicted", "measured", "floor", "judged"),
    [
        (4, 5, 0.0, "met"),  # one stream is always allowed
        (3, 5, 0.0, "missed"),
        (107, 100, 0.0, "met"),  # and 7 %
        (108, 100, 0.0, "missed"),
        (15, 16, 0.25, "met"),
        (16, 16, 0.26, "UNRESOLVED"),  # the search stopped before it knew
    ],
)
def test_n_max_may_be_wrong_by_one_stream_or_seven_percent(predicted, measured, floor, judged):
    assert n_max_verdict(predicted=predicted, measured=measured, floor=floor) == judged


def test_one_verdict_of_several_is_the_worst():
    assert overall(["met", "missed", "UNRESOLVED"]) == "missed"
    assert overall(["met", "UNRESOLVED"]) == "UNRESOLVED"
    assert overall(["met", "met"]) == "met"
    assert overall([]) is None
