import numpy as np
import pytest

from scenarios.scenario import Horizon
from scenarios.workload import Audience as AudienceSpec
from scenarios.workload import ChatTraffic, ConstantCurve, HourlyCurve, Popularity
from sim.components.audience import Audience
from sim.components.broadcasts import BroadcastTable
from sim.components.chat import Chat, tick_variance
from sim.curves import level
from sim.sampling import stream

HORIZON = Horizon(start_hour=0.0, horizon_s=3600.0, tick_s=30.0)


def audience(weights, ends_s=None, *, viewers=10_000.0, curve=None):
    spec = AudienceSpec(
        peak_viewers=viewers,
        curve=curve or ConstantCurve(),
        mean_session_s=1800.0,
        popularity=Popularity(),
        rung_shares={"720p30": 1.0},
    )
    weight = np.array(weights, dtype=float)
    end_s = np.full(weight.size, 1e9) if ends_s is None else np.array(ends_s, dtype=float)
    table = BroadcastTable(np.full(weight.size, -1e6), end_s, weight)
    return Audience(spec, HORIZON, table, lambda name: stream(1, 0, name))


def test_the_total_follows_the_curve_and_the_split_follows_popularity():
    crowd = audience([1.0, 2.0, 7.0])
    seen = np.array([crowd.step(30.0 * n)[1] for n in range(1, 400)])
    assert seen.sum(axis=1).mean() == pytest.approx(10_000, rel=0.01)
    assert seen.mean(axis=0) / seen.mean(axis=0).sum() == pytest.approx([0.1, 0.2, 0.7], abs=0.01)


def test_the_noise_is_that_of_leaving_and_joining_viewers():
    """Given v before, a step has the variance v k (1 - k) + joins of binomial survivors and Poisson joins."""
    crowd = audience([1.0] * 2000, viewers=200_000.0)
    before = crowd.step(30.0)[1]
    after = crowd.step(60.0)[1]
    leaving = -np.expm1(-30 / 1800)
    joining = (200_000 - before.sum() * (1 - leaving)) / 2000
    step = after - before * (1 - leaving) - joining
    expected = before.mean() * (1 - leaving) * leaving + joining
    assert step.var() == pytest.approx(expected, rel=0.15)
    assert step.var() != pytest.approx(2 * expected, rel=0.15)


def test_the_viewers_of_an_ended_broadcast_go_elsewhere():
    crowd = audience([5.0, 5.0], [45.0, 1e9])
    live, viewers = crowd.step(30.0)
    assert live.tolist() == [0, 1]
    live, viewers = crowd.step(60.0)
    assert live.tolist() == [1]
    assert viewers.sum() == pytest.approx(10_000, rel=0.05)


def test_hourly_curves_join_their_levels_and_wrap():
    curve = HourlyCurve(kind="hourly", levels=tuple(float(hour) for hour in range(24)))
    assert level(curve, np.array([0.0, 11.5, 23.0, 23.5, 24.0])) * 23 == pytest.approx([0, 11.5, 23, 11.5, 0])


def test_nobody_live_is_nobody_watching():
    live, viewers = audience([1.0], [10.0]).step(30.0)
    assert live.size == viewers.size == 0


def test_chat_counts_have_the_published_burstiness():
    """Fano(w) = 1 + λ w s² g(w/τ): for one room the variance of a tick's count over its mean."""
    spec, tick_s, viewers = ChatTraffic(), 30.0, 5000.0
    chat = Chat(spec, tick_s, stream(1, 0, "chat"))
    counts = np.array([chat.step(np.array([viewers])).messages for _ in range(20_000)])
    mean = viewers * spec.messages_per_viewer_s * tick_s
    assert counts.mean() == pytest.approx(mean, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(1 + mean * tick_variance(spec, tick_s), rel=0.05)
    assert counts.var() / counts.mean() > 10  # a Poisson chat would have 1


def test_short_ticks_see_the_full_variance_and_long_ones_less():
    spec = ChatTraffic()
    assert tick_variance(spec, 0.01) == pytest.approx(0.62, rel=0.001)
    assert tick_variance(spec, 3000.0) == pytest.approx(0.62 * 2 * 29 / 3000, rel=0.02)


def test_every_message_reaches_every_connection_of_its_room():
    spec = ChatTraffic(burst_variance=0.0, connected_share=0.5)
    out = Chat(spec, 30.0, stream(1, 0, "chat")).step(np.array([1e6, 0.0]))
    assert out.deliveries == pytest.approx(out.messages * 5e5)
    assert out.delivered_bytes == pytest.approx(out.deliveries * 300)
