"""When a load holds, when it does not, and when a run says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.measure.generator import generator_health
from pipeline.measure.host import CpuTimes, cpu_shares, cpu_times, machine_facts
from pipeline.measure.verdict import judge

MOMENTS_S = [2.0 * i for i in range(9)]
NOISE_S = np.random.default_rng(4).normal(0, 0.004, 9)


def verdict(growth: float, *, lost_frames: int = 0, void_reason: str | None = None, points: int = 9):
    lags = [0.03 + growth * moment + noise for moment, noise in zip(MOMENTS_S, NOISE_S, strict=True)]
    return judge(
        MOMENTS_S[:points],
        lags[:points],
        window_s=18.0,
        frame_interval_s=1 / 30,
        lost_frames=lost_frames,
        void_reason=void_reason,
    )


def test_a_steady_lag_holds_and_a_growing_one_does_not():
    assert verdict(0.0).verdict == "holds"
    assert verdict(0.02).verdict == "overloaded"
    assert verdict(0.02).slope.middle == pytest.approx(0.02, rel=0.1)


def test_growth_below_one_frame_over_the_window_holds():
    assert verdict(0.5 / 30 / 18).verdict == "holds"


def test_lost_frames_are_overload_however_level_the_lag_of_the_rest():
    assert verdict(0.0, lost_frames=1).verdict == "overloaded"


def test_a_void_run_keeps_its_reason_and_its_slope():
    found = verdict(0.0, void_reason="the generator was late")
    assert (found.verdict, found.void_reason) == ("void", "the generator was late")
    assert found.slope is not None


def test_too_few_points_are_void_unless_frames_were_lost():
    assert verdict(0.0, points=2).verdict == "void"
    assert verdict(0.0, points=2, lost_frames=5).verdict == "overloaded"
    assert verdict(0.0, points=2).slope is None


@pytest.mark.parametrize(("late", "void"), [(0, False), (5, False), (6, True)])
def test_more_than_five_percent_late_frames_void_a_run(late, void):
    delays = [0.06] * late + [0.001] * (100 - late)
    health = generator_health(delays, cpu_s=0.2, wall_s=20.0, errors=[])
    assert (health.void_reason is not None) == void
    assert health.late_fraction == late / 100


def test_a_busy_generator_and_a_cut_off_stream_void_a_run():
    assert "95%" in generator_health([0.0], cpu_s=19.0, wall_s=20.0, errors=[]).void_reason
    assert "refused" in generator_health([0.0], cpu_s=1.0, wall_s=20.0, errors=["refused"]).void_reason
    assert "none of the frames were sent" in generator_health([], cpu_s=0.0, wall_s=20.0, errors=[]).void_reason


def test_cpu_that_neither_server_nor_generator_took_is_contention():
    before, after = CpuTimes(100.0, 1.0, 1000.0), CpuTimes(130.0, 3.0, 1040.0)
    shares = cpu_shares(before, after, ours_s=22.0)
    assert shares.steal == pytest.approx(2 / 40)
    assert shares.contention == pytest.approx(8 / 40)
    assert cpu_shares(before, after, ours_s=31.0).contention == 0.0


def test_the_kernels_counters_are_read_by_their_places(tmp_path):
    stat = tmp_path / "stat"
    fields = "100 0 50 800 20 0 10 20 30 5"  # user nice system idle iowait irq softirq steal guest guest_nice
    stat.write_text(f"cpu 1 1 1 1 1 1 1 1 1 1\ncpu0 {fields}\nintr 5\n")
    times = cpu_times(stat)
    assert (times.busy_s, times.steal_s, times.total_s) == pytest.approx((1.6, 0.2, 10.0))


def test_this_machine_tells_its_facts():
    facts = machine_facts()
    assert facts.cores >= 1
    assert facts.memory_bytes > 1e8
    assert facts.cpu_model
