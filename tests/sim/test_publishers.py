import pytest
import simpy

from scenarios.retry import Retry
from sim.components.publishers import Publishers, delay_before


def coming_back(succeed_at=(), **retry):
    env = simpy.Environment()
    asked, gone = [], []

    def ask(broadcast):
        asked.append((env.now, broadcast))
        if len(asked) in succeed_at:
            publishers.back(broadcast)
        else:
            publishers.refused(broadcast)

    publishers = Publishers(
        env, Retry(**retry), ask=ask, gave_up=lambda b: gone.append((env.now, b)), position=lambda b, made: 0.5
    )
    return env, publishers, asked, gone


def test_attempts_back_off_to_their_cap_and_end():
    env, publishers, asked, gone = coming_back(first_s=2.0, factor=2.0, cap_s=5.0, attempts=4)
    publishers.interrupted(7)
    env.run()
    assert [at for at, _ in asked] == [2.0, 6.0, 11.0, 16.0]
    assert gone == [(16.0, 7)]
    assert 7 not in publishers
    assert publishers.attempts == 4


def test_who_is_back_begins_anew_when_interrupted_again():
    env, publishers, asked, _ = coming_back(succeed_at=(2, 3), first_s=2.0, factor=2.0)
    publishers.interrupted(7)
    env.run()
    assert 7 not in publishers
    publishers.interrupted(7)
    env.run()
    assert [at for at, _ in asked] == [2.0, 6.0, 8.0]


def test_who_stops_while_away_asks_no_more():
    env, publishers, asked, gone = coming_back()
    publishers.interrupted(7)
    publishers.back(7)
    env.run()
    assert asked == gone == []


@pytest.mark.parametrize(("position", "delay_s"), [(0.0, 4.0), (0.5, 8.0), (0.75, 10.0)])
def test_jitter_spreads_evenly(position, delay_s):
    assert delay_before(Retry(first_s=2.0, jitter=0.5), 2, position) == delay_s


def test_an_absence_has_its_own_attempts():
    """Back before its first attempt, and cut off again: what was planned before is not made."""
    env, publishers, asked, _ = coming_back(succeed_at=(1,), first_s=4.0, factor=2.0)
    publishers.interrupted(7)
    env.run(until=3.0)
    publishers.back(7)
    publishers.interrupted(7)
    env.run()
    assert [at for at, _ in asked] == [7.0]
