import pytest
import simpy

from sim.components.lag import Lag, seconds_above


def meter(loads, **changes):
    env = simpy.Environment()
    lag = Lag(
        env, share=lambda broadcast, node: loads[broadcast], **{"late_after_s": 2.0, "drop_after_s": 8.0} | changes
    )
    return env, lag


def test_a_node_falls_behind_and_catches_up():
    env, lag = meter([0.9, 0.5])
    lag.placed(0, 3)
    lag.placed(1, 3)
    env.run(until=10)  # load 1.4: 4 s behind, of which 5 s were later than 2 s
    lag.left(1, 3)
    assert lag.late_s == pytest.approx(2 * 5.0)
    assert lag.lag_area_s2 == pytest.approx(2 * 4.0 * 10 / 2)
    env.run(until=110)  # load 0.9: catches up in 40 s, of which 20 s are later than 2 s
    lag.finish()
    assert lag.late_s == pytest.approx(2 * 5.0 + 20.0)
    assert lag.lag_area_s2 == pytest.approx(40.0 + 4.0 * 40 / 2)
    assert lag.dropped_s == 0.0


def test_beyond_the_limit_pictures_are_dropped():
    env, lag = meter([1.5], drop_after_s=3.0)
    lag.placed(0, 0)
    env.run(until=20)  # 3 s behind after 6 s; for 14 s a third is dropped of what comes
    lag.finish()
    assert lag.dropped_s == pytest.approx(14.0 / 3)
    assert lag.lag_area_s2 == pytest.approx(3.0 * 6 / 2 + 3.0 * 14)


def test_within_its_capacity_a_node_is_never_behind():
    env, lag = meter([0.5, 0.5])
    lag.placed(0, 0)
    lag.placed(1, 0)
    env.run(until=100)
    lag.finish()
    assert (lag.late_s, lag.dropped_s, lag.lag_area_s2) == (0.0, 0.0, 0.0)


def test_each_node_has_its_own():
    env, lag = meter([1.2, 0.1])
    lag.placed(0, 0)
    lag.placed(1, 1)
    env.run(until=100)
    lag.finish()
    assert lag.late_s == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("start_s", "slope", "above_s"), [(0, 0.5, 6), (3, 0.5, 10), (5, -0.5, 6), (1, -0.1, 0), (3, 0, 10), (2, 0, 0)]
)
def test_seconds_above_a_threshold(start_s, slope, above_s):
    assert seconds_above(2.0, start_s, slope, 10.0) == pytest.approx(above_s)
