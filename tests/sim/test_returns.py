"""Players that come back: the fluid against closed forms, against a twin player by player, and its books."""

from __future__ import annotations

import time

import numpy as np
import pytest
import simpy
from pydantic import ValidationError

from scenarios.retry import Retry
from sim.back_off import BackOff
from sim.components.returns import Returns
from sim.sampling import stream

TICK_S = 30.0
EXACT = Retry(first_s=1.0, factor=2.0, cap_s=30.0, jitter=0.0)
ROW = np.array([7])


def returns(retry: Retry = EXACT, **more) -> Returns:
    return Returns(retry, **({"tick_s": TICK_S, "mean_session_s": 1800.0} | more))


def cut_off(players: Returns, service: list[bool], viewers: float = 1000.0):
    """One broadcast is cut off and is in service in some ticks; return what came of each tick."""
    players.interrupted(ROW)
    return [players.step(ROW, np.array([up]), np.array([viewers]), TICK_S) for up in service]


def test_without_jitter_all_come_back_at_one_moment():
    """Tries at 1, 3, 7, 15, 31, 61, 91 s; back in service after 60 s, all return at 61 s."""
    steps = cut_off(returns(), [False, False, True, True])
    assert [step.retries for step in steps] == pytest.approx([4000.0, 1000.0, 1000.0, 0.0])
    assert sum(step.viewer_seconds_lost for step in steps) == pytest.approx(61.0 * 1000)
    assert steps[2].served[0] == pytest.approx(1000 * 29 / 30)
    assert steps[3].served[0] == pytest.approx(1000.0)
    assert sum(step.authorised for step in steps) == pytest.approx(1000.0)


def test_a_gap_within_a_tick_costs_the_first_wait():
    (step,) = cut_off(returns(), [True])
    assert step.viewer_seconds_lost == pytest.approx(1000.0 * 1.0)


def test_after_long_absence_the_wait_left_is_that_of_renewals():
    """Waits spread evenly over 20 s ± 50 %: those left at a late moment have the mean E[W²]/2E[W] = 20 (1 + 1/12)/2."""
    retry = Retry(first_s=20.0, cap_s=20.0, jitter=0.5)
    steps = cut_off(returns(retry), [False] * 40 + [True] * 4)
    lost_s = sum(step.viewer_seconds_lost for step in steps) / 1000 - 40 * TICK_S
    assert lost_s == pytest.approx(10 * (1 + 1 / 12), abs=0.3)  # the half of a step is 0.25 s
    assert lost_s != pytest.approx(20.0, rel=0.3)  # a memoryless wait
    assert steps[30].retries == pytest.approx(1000 * TICK_S / 20, rel=0.02)


def players_twin(retry: Retry, outages: dict[int, float], viewers: int, horizon_s: float, limit=None, burst=0.0):
    """A slow twin, player by player, all cut off at 0; outage in seconds by broadcast.

    Returns the moments of (tries, successes, refusals by the auth service) and each player's time away.
    """
    env, rng = simpy.Environment(), stream(21, 0, "players")
    tokens, since_s = burst, 0.0
    tries, successes, refusals, away_s = [], [], [], []

    def admitted() -> bool:
        nonlocal tokens, since_s
        if limit is None:
            return True
        tokens, since_s = min(burst, tokens + limit * (env.now - since_s)), env.now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    def player(outage_s: float):
        wait_s = retry.first_s
        while True:
            yield env.timeout(wait_s * (1 + retry.jitter * rng.uniform(-1, 1)))
            tries.append(env.now)
            if env.now > outage_s:
                if admitted():
                    successes.append(env.now)
                    away_s.append(env.now)
                    return
                refusals.append(env.now)
            wait_s = min(wait_s * retry.factor, retry.cap_s)

    for outage_s in outages.values():
        for _ in range(viewers):
            env.process(player(outage_s))
    env.run(until=horizon_s)
    away_s += [horizon_s] * (viewers * len(outages) - len(away_s))
    return np.array(tries), np.array(successes), np.array(refusals), np.array(away_s)


def fluid(players: Returns, outages: dict[int, float], viewers: int, ticks: int):
    rows = np.array(sorted(outages))
    players.interrupted(rows)
    steps = []
    for number in range(ticks):
        up = np.array([number * TICK_S >= outages[row] for row in rows.tolist()])
        steps.append(players.step(rows, up, np.full(rows.size, float(viewers)), TICK_S))
    return steps


@pytest.mark.parametrize(
    ("limit", "retry"),
    [
        (None, Retry()),
        (None, Retry(first_s=2.0, factor=1.5, cap_s=8.0, jitter=0.25)),
        (60.0, Retry()),
        (25.0, Retry(first_s=2.0, factor=1.5, cap_s=20.0, jitter=1.0)),
    ],
    ids=["free", "free short", "limited", "limited long"],
)
def test_a_twin_player_by_player_agrees(limit, retry):
    """Three broadcasts of 2,000 players, out for 0, 60 and 120 s: within 2 % of the players and 4 % of the tries."""
    outages, viewers, ticks = {3: 0.0, 8: 60.0, 11: 120.0}, 2000, 12
    tries, successes, refusals, away_s = players_twin(retry, outages, viewers, ticks * TICK_S, limit, burst=50.0)
    steps = fluid(returns(retry, auth_limit_per_s=limit, auth_burst=50.0), outages, viewers, ticks)
    edges, all_players = np.arange(ticks + 1) * TICK_S, 3 * viewers
    back = np.cumsum([step.authorised for step in steps]) / all_players
    np.testing.assert_allclose(back, np.cumsum(np.histogram(successes, edges)[0]) / all_players, atol=0.02)
    assert sum(step.viewer_seconds_lost for step in steps) == pytest.approx(away_s.sum(), rel=0.02)
    assert sum(step.retries for step in steps) == pytest.approx(tries.size, rel=0.04)
    assert sum(step.turned_away for step in steps) == pytest.approx(refusals.size, rel=0.06, abs=20)
    for step, high, low in zip(steps, edges[1:], edges[:-1], strict=True):
        mean_away = np.clip(away_s - low, 0, high - low).mean() / TICK_S
        assert step.viewers_away / all_players == pytest.approx(mean_away, abs=0.02)


def test_a_limit_forgotten_is_caught():
    outages = {3: 0.0, 8: 60.0}
    limited, free = (fluid(returns(Retry(), auth_limit_per_s=limit), outages, 4000, 8) for limit in (40.0, None))
    lost = [sum(step.viewer_seconds_lost for step in steps) for steps in (limited, free)]
    assert lost[0] > 1.3 * lost[1]
    assert max(step.authorised for step in limited) == pytest.approx(40.0 * TICK_S, rel=0.05)
    assert sum(step.turned_away for step in free) == 0


def test_joiners_take_the_room_of_those_who_come_back():
    players = returns(Retry(cap_s=1.0), auth_limit_per_s=40.0)
    players.interrupted(ROW)
    step = players.step(ROW, np.array([True]), np.array([5000.0]), TICK_S, joins_per_s=30.0)
    assert step.authorised == pytest.approx(10.0 * TICK_S)


@pytest.mark.parametrize("limit", [None, 100.0])
@pytest.mark.parametrize("attempts", [None, 5])
def test_wanted_is_served_away_and_unserved_whatever_happens(limit, attempts):
    """Broadcasts come, go, are cut off again while some are still away, in part or whole: leaping and step by step."""
    many, both = 60, []
    for leaps in (True, False):
        rng = stream(31, 0, "whatever")
        players = returns(Retry(attempts=attempts), auth_limit_per_s=limit, auth_burst=200.0, leaps=leaps)
        steps = []
        for _ in range(25):
            live = np.sort(rng.choice(many, 40, replace=False))
            players.interrupted(rng.choice(live, 8, replace=False), share=float(rng.choice([0.3, 1.0])))
            players.interrupted(rng.choice(live, 3, replace=False))
            players.interrupted(live[:4], rng.random(4))
            wanted, up = rng.exponential(100.0, 40), rng.random(40) < 0.7
            step = players.step(live, up, wanted, TICK_S)
            assert wanted.sum() == pytest.approx(
                step.served.sum() + step.viewers_away + step.viewers_unserved, rel=1e-9
            )
            assert step.served.min() >= 0.0
            assert np.all(step.served[~up] == 0.0)
            assert 0 <= players.away_share(live).min() <= players.away_share(live).max() <= 1 + 1e-12
            steps.append(step)
        both.append(steps)
    for leapt, stepped in zip(*both, strict=True):
        np.testing.assert_allclose(leapt.served, stepped.served, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(leapt[1:], stepped[1:], rtol=1e-9, atol=1e-6)


def test_who_gives_up_is_replaced_by_others():
    """Five tries end after 31 s; the broadcast is back after 60 s, and new viewers come in a session's time."""
    players = returns(Retry(attempts=5, jitter=0.0), mean_session_s=300.0)
    steps = cut_off(players, [False, False] + [True] * 20)
    assert sum(step.retries for step in steps[:2]) == pytest.approx(5000.0, rel=0.2)
    away = np.array([step.viewers_away for step in steps])
    assert away[2] > 850
    assert away[12] / away[2] == pytest.approx(np.exp(-10 * TICK_S / 300), rel=0.05)
    assert steps[0].viewers_away == pytest.approx(1000)


def test_all_are_back_and_forgotten():
    players = returns(Retry())
    steps = cut_off(players, [True] * 12)
    assert steps[-1].viewers_away < 1e-3
    assert players.broadcasts_away == 0
    assert sum(step.authorised for step in steps) == pytest.approx(1000.0)


def test_the_waits_of_cells_keep_their_mean():
    for wait_s, jitter in ((1.0, 0.5), (7.3, 0.5), (30.0, 0.2), (3.2, 0.0)):
        back_off = BackOff(Retry(first_s=wait_s, cap_s=wait_s, jitter=jitter), step_s=0.5, mean_session_s=1e9)
        assert back_off.start.sum() == pytest.approx(1.0)
        assert back_off.start @ (0.5 * np.arange(1, back_off.cells + 1)) == pytest.approx(wait_s)


def test_waits_grow_to_their_cap():
    assert Retry().waits_s == (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    assert Retry(attempts=3).waits_s == (1.0, 2.0, 4.0)
    assert Retry(cap_s=3.0, attempts=4).waits_s == (1.0, 2.0, 3.0, 3.0)
    assert Retry(first_s=5.0, cap_s=5.0).waits_s == (5.0,)
    with pytest.raises(ValidationError, match="below first_s"):
        Retry(first_s=5.0, cap_s=2.0)


def test_a_tick_of_another_length_is_refused():
    with pytest.raises(ValueError, match="announced"):
        returns().step(ROW, np.array([True]), np.array([1.0]), 10.0)


@pytest.mark.alone
def test_the_cost_is_that_of_broadcasts_away():
    """A storm that cuts off 120,000 broadcasts, and a hundred of them: both of 120,000 live ones."""
    live, up, wanted = np.arange(120_000), np.ones(120_000, bool), np.full(120_000, 50.0)
    spent_s = {}
    for away in (120_000, 100):
        players = returns(Retry())
        players.interrupted(live[:1])
        players.step(live, up, wanted, TICK_S)
        players.interrupted(live[:away])
        began_s = time.process_time()
        for _ in range(3):
            players.step(live, up, wanted, TICK_S)
        spent_s[away] = (time.process_time() - began_s) / 3
    assert spent_s[100] < 0.01
    assert spent_s[120_000] < 0.3
