"""Noise and ignorance against models whose variances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim.sampling import stream
from sim.statistics.split import _deviation, split

NOISE, IGNORANCE = 3.0, 4.0


def worlds_and_days(replications: int, number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = stream(1, number, "worlds and days")
    return IGNORANCE * rng.standard_normal(replications), NOISE * rng.standard_normal(replications)


def split_of(joint, middle):
    """Return the split with intervals of 99.9 %, so that one seed does not decide about a test."""
    return split(joint, middle, stream(1, 0, "split"), confidence=0.999)


def test_an_additive_model_is_taken_apart():
    world, day = worlds_and_days(2000)
    found = split_of(100 + world + day, 100 + day)
    assert found.noise.value == pytest.approx(NOISE, rel=0.05)
    assert found.ignorance.value == pytest.approx(IGNORANCE, rel=0.05)
    assert found.ignorance_share.value == pytest.approx(16 / 25, rel=0.05)
    for interval, exact in ((found.noise, 3.0), (found.ignorance, 4.0), (found.ignorance_share, 16 / 25)):
        assert interval.low < exact < interval.high


def test_common_days_take_the_noise_out():
    """Planted mistake: days of their own in the middle world leave their noise in the difference, √(16 + 9 + 9)."""
    world, day = worlds_and_days(2000)
    _, others = worlds_and_days(2000, number=1)
    assert split_of(world + day, others).ignorance.value == pytest.approx(math.sqrt(34), rel=0.05)


def test_what_world_and_day_do_together_is_ignorance():
    """Y = w + d + w·d ÷ 5: the difference of a day is w (1 + d ÷ 5), of variance 16 (1 + 9 ÷ 25)."""
    world, day = worlds_and_days(2000)
    found = split_of(world + day + world * day / 5, day)
    assert found.noise.value == pytest.approx(NOISE, rel=0.05)
    assert found.ignorance.value == pytest.approx(math.sqrt(16 * (1 + 9 / 25)), rel=0.05)


def test_each_part_alone():
    world, day = worlds_and_days(10)
    only_days = split_of(day, day)
    assert only_days.ignorance == (0.0, 0.0, 0.0)
    assert only_days.ignorance_share == (0.0, 0.0, 0.0)
    only_worlds = split_of(world, np.zeros(10))
    assert only_worlds.ignorance_share == (1.0, 1.0, 1.0)
    nothing = split_of(np.ones(10), np.ones(10))
    assert math.isnan(nothing.ignorance_share.value)


def test_the_intervals_of_the_deviations_cover():
    """Chi-square, so exact for these normal values: 95 % of 1,000, to three standard errors of that count."""
    covered = np.zeros(2)
    for number in range(1000):
        world, day = worlds_and_days(10, number)
        for index, (values, exact) in enumerate(((day, NOISE), (world, IGNORANCE))):
            interval = _deviation(values, 0.95)
            covered[index] += interval.low <= exact <= interval.high
    assert covered / 1000 == pytest.approx([0.95, 0.95], abs=0.021)


@pytest.mark.parametrize("pairs", [([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([1.0, math.nan], [1.0, 2.0])])
def test_what_cannot_be_split_is_refused(pairs):
    with pytest.raises(ValueError, match="two or more pairs"):
        split_of(*map(np.array, pairs))
