"""What common random numbers are worth, on pairs whose variances are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from platforms import scenario
from profiles import profile

from benchmarks.common_numbers import reduction, rows
from sim import compare
from sim.sampling import stream


def test_the_quotient_is_that_of_the_known_variances():
    """A common part of variance 1 and own parts of 0.04: 2 × 1.04 ÷ (2 × 0.04) = 26; independent ones are worth 1."""
    rng = stream(1, 0, "pairs")
    day, one, other = rng.standard_normal((3, 300))
    paired = reduction(day + 0.2 * one, day + 0.2 * other, rng)
    assert paired.low < 26 < paired.high
    assert paired.value == pytest.approx(26, rel=0.25)
    independent = reduction(one, other, rng)
    assert independent.low < 1 < independent.high


def test_what_only_the_days_move_has_no_end_and_what_nothing_moves_has_no_value():
    day = stream(1, 0, "days").standard_normal(30)
    assert reduction(day, day, stream(1, 0, "resamples")) == (math.inf, math.inf, math.inf)
    assert np.isnan(reduction(0 * day, 0 * day, stream(1, 0, "resamples"))).all()


def test_rows_tell_what_is_the_same_every_day():
    before = scenario(**{"horizon.horizon_s": 900.0})
    dearer = scenario(**{"horizon.horizon_s": 900.0, "platform.transcode.node_price_usd_per_hour": 0.17})
    told = rows(compare(before, dearer, profile(), replications=6), seed=1)
    assert told["nodes_peak"]["same_every_day"]
    assert not told["transcode_usd_per_month"]["same_every_day"]
    assert told["transcode_usd_per_month"]["value"] == pytest.approx(5.0)  # 1 + 2² over 1, as twice is always twice
