"""The clocks of a viewer that plays nothing, against hand-made moments and closed forms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pipeline.hls.parser import MediaPlaylist, Playlist
from pipeline.load.http_requests import FaultyAnswer
from pipeline.load.playback import Due, Playback, PollSchedule, reload_interval_s, start_sequence
from pipeline.load.rung_choice import ByShares, ByThroughput, Variant, read_variants
from pipeline.load.sessions import SESSION_LAWS, sessions

HIGH, LOW = Variant("high", "high/index.m3u8", 2_500_000.0), Variant("low", "low/index.m3u8", 1_200_000.0)


def playlist(first: int, *durations_s: float, target_s: int = 2) -> MediaPlaylist:
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{target_s}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [f"#EXTINF:{duration_s:.3f},\n{first + at}.ts" for at, duration_s in enumerate(durations_s)]
    return MediaPlaylist.of(Playlist.read("p", "\n".join(lines).encode()), 0.0)


def test_a_buffer_that_runs_dry_is_a_stall_until_the_next_segment():
    playback = Playback()
    playback.add(2.0, now_s=10.0)
    playback.add(2.0, now_s=10.5)
    assert playback.first_s == 10.0
    assert playback.buffered_s(11.0) == 3.0
    playback.add(2.0, now_s=14.0)  # just in time
    assert (playback.stalls, playback.stalled_s) == (0, 0.0)
    playback.add(2.0, now_s=17.5)
    assert (playback.stalls, playback.stalled_s) == (1, 1.5)
    playback.leave(20.0)
    assert (playback.stalls, playback.stalled_s) == (2, 2.0)
    assert playback.buffered_s(20.0) == 0.0


def test_who_never_got_a_segment_does_not_stall():
    playback = Playback()
    playback.leave(100.0)
    assert (playback.first_s, playback.stalls, playback.stalled_s) == (None, 0, 0.0)


def test_polls_form_a_chain_of_times_that_answers_do_not_move():
    schedule = PollSchedule(100.0)
    assert schedule.after(2.0, answered_s=100.3) == Due(102.0, 102.0)
    assert schedule.after(1.0, answered_s=102.9) == Due(103.0, 103.0)
    assert schedule.after(1.0, answered_s=103.1) == Due(104.0, 104.0)


def test_a_poll_that_a_frozen_server_held_up_counts_from_when_it_was_due():
    schedule = PollSchedule(100.0)
    assert schedule.after(2.0, answered_s=105.0) == Due(102.0, 105.0)
    assert schedule.after(2.0, answered_s=105.1) == Due(107.0, 107.0)  # no volley to catch up, as in hls.js


def test_the_reload_interval_is_that_of_rfc_8216():
    first, same, longer = playlist(0, 2.0, 2.0), playlist(0, 2.0, 2.0), playlist(0, 2.0, 2.0, 1.4)
    assert reload_interval_s(first, None) == 2.0
    assert reload_interval_s(same, first) == 1.0
    assert reload_interval_s(longer, first) == 1.4
    assert reload_interval_s(playlist(1, 2.0, 2.0), first) == 2.0


def test_playing_starts_three_target_durations_before_the_end():
    assert start_sequence(playlist(10, *[2.0] * 6)) == 13
    assert start_sequence(playlist(10, *[1.9] * 6)) == 12
    assert start_sequence(playlist(10, 2.0, 2.0)) == 10


def test_a_steady_throughput_is_estimated_exactly_and_decides_the_rung():
    for throughput_bps, first, then in [(4e6, HIGH, HIGH), (3e6, LOW, HIGH), (1.3e6, LOW, LOW), (1e5, LOW, LOW)]:
        choice = ByThroughput()
        assert choice.choose((HIGH, LOW), None) == LOW  # half a megabit is assumed at first
        for _ in range(3):
            choice.observe(round(throughput_bps / 8), 1.0)
        assert choice.estimate_bps == pytest.approx(throughput_bps)
        assert choice.choose((HIGH, LOW), LOW) == first
        assert choice.choose((HIGH, LOW), HIGH) == then


def test_the_estimate_falls_quickly_and_rises_slowly():
    falling, rising = ByThroughput(), ByThroughput()
    for choice, levels in ((falling, (8e6, 1e6)), (rising, (1e6, 8e6))):
        for level in levels:
            for _ in range(10):
                choice.observe(round(level / 8), 1.0)
    weight = {half_life_s: 0.5 ** (10 / half_life_s) for half_life_s in (3.0, 9.0)}

    def average(half_life_s: float, before: float, after: float) -> float:
        kept = weight[half_life_s]
        return (before * (1 - kept) * kept + after * (1 - kept)) / (1 - kept**2)

    assert falling.estimate_bps == pytest.approx(average(3.0, 8e6, 1e6))
    assert rising.estimate_bps == pytest.approx(average(9.0, 1e6, 8e6))


def test_shares_of_rungs_are_met_and_a_rung_that_is_not_offered_is_an_error():
    drawn = [
        ByShares({"high": 0.25, "low": 0.75}, np.random.default_rng([1, seat])).choose((HIGH, LOW), None)
        for seat in range(2000)
    ]
    assert drawn.count(HIGH) == pytest.approx(500, abs=4 * np.sqrt(2000 * 0.25 * 0.75))
    with pytest.raises(FaultyAnswer):
        ByShares({"other": 1.0}, np.random.default_rng(1)).choose((HIGH, LOW), None)


def test_variants_are_read_by_bandwidth_and_named_by_their_folder():
    lines = [
        "#EXTM3U",
        '#EXT-X-STREAM-INF:BANDWIDTH=5,CODECS="a,b"',
        "low%20one/index.m3u8",
        "#EXT-X-STREAM-INF:BANDWIDTH=9",
        "high/index.m3u8",
    ]
    text = "\n".join(lines)
    assert [(variant.rung, variant.bandwidth_bps) for variant in read_variants(text.encode())] == [
        ("high", 9.0),
        ("low one", 5.0),
    ]


@pytest.mark.parametrize("law", ["exponential", "lognormal"])
def test_sessions_have_the_mean_that_was_asked_for(law):
    rng = np.random.default_rng(7)
    drawn = [SESSION_LAWS[law](rng, 60.0) for _ in range(20_000)]
    assert np.mean(drawn) == pytest.approx(60.0, abs=4 * np.std(drawn) / np.sqrt(len(drawn)))


def test_a_seat_is_never_empty_and_its_sessions_are_the_same_again():
    def planned(law: str):
        rng = np.random.default_rng([1, 2])
        return list(sessions(rng, law=law, mean_s=5.0, first_s=100.0, ramp_s=10.0, end_s=200.0))

    for law in SESSION_LAWS:
        plan = planned(law)
        assert 100.0 <= plan[0].join_s < 110.0
        assert plan[-1].leave_s == 200.0
        assert all(one.leave_s == after.join_s for one, after in pairwise(plan))
        assert planned(law) == plan
    assert len(planned("stay")) == 1
    assert 5 < len(planned("exponential")) < 50


def test_arrivals_after_the_ramp_are_a_poisson_process():
    """Under exponential sessions the superposition of 200 seats: counts per second have their mean as variance."""
    joins = [
        plan.join_s
        for seat in range(200)
        for plan in sessions(
            np.random.default_rng([5, seat]), law="exponential", mean_s=20.0, first_s=0.0, ramp_s=1.0, end_s=200.0
        )
    ]
    counts = np.histogram(joins, bins=np.arange(1.0, 201.0))[0]
    assert counts.mean() == pytest.approx(10.0, abs=4 * np.sqrt(10 / 199))
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 199))
