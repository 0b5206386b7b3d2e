import numpy as np
import pytest

from sim.scale_events import Shortfall, flaps, shortfall


@pytest.mark.parametrize(
    ("at_s", "change", "count"),
    [
        ([], [], 0),
        ([10], [5], 0),
        ([10, 20, 30], [5, 3, 1], 0),
        ([10, 20, 30], [5, -3, 1], 2),
        ([10, 20, 630], [5, -3, 1], 1),  # the second turn came 610 s later
        ([10, 20, 30, 40], [5, 0, 0, -1], 1),  # what did nothing is no event
        ([10, 610], [5, -1], 1),  # exactly a window later still is one
    ],
)
def test_flaps_are_turns_within_a_window(at_s, change, count):
    assert flaps(np.array(at_s, float), np.array(change, int), window_s=600.0) == count


def test_the_shortfall_is_the_area_above_what_is_held():
    # 10 wanted and 6 held for 30 s, 8 and 8 for 20 s, 12 and 11 for 50 s
    found = shortfall(np.array([0.0, 30.0, 50.0]), np.array([10, 8, 12]), np.array([6, 8, 11]), until_s=100.0)
    assert found == Shortfall(duration_s=80.0, integral=4 * 30 + 1 * 50)


def test_a_deficit_that_grows_and_is_served_back_is_a_triangle():
    """Demand rises by r a second for a boot time b, then all of it is there: b²r/2 (the surge deficit)."""
    rate, boot_s = 0.5, 240
    at_s = np.arange(boot_s, dtype=float)
    found = shortfall(at_s, rate * (at_s + 0.5), np.zeros(boot_s), until_s=float(boot_s))
    assert found.integral == pytest.approx(rate * boot_s**2 / 2)
