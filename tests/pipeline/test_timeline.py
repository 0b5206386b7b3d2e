"""The timeline: whatever a publisher's clock does, ticks only go forward, and jumps are told from holes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.timeline import JUMP_MS, MAX_LAG_S, NOMINAL_FRAME, Timeline, WallClock

HOUR_MS = 3_600_000


def test_a_steady_publisher_keeps_its_own_intervals_from_zero():
    timeline = Timeline()
    placed = [timeline.video(at, at) for at in (5_000, 5_033, 5_067)]
    assert [(frame.pts, frame.dts, frame.epoch) for frame in placed] == [
        (0, 0, 0),
        (33 * 90, 33 * 90, 0),
        (67 * 90, 67 * 90, 0),
    ]


def test_video_and_audio_share_the_timeline():
    timeline = Timeline()
    assert timeline.audio(40).pts == 0
    assert timeline.video(100, 60).pts == 60 * 90
    assert timeline.audio(63).pts == 23 * 90


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS, JUMP_MS + 34, -JUMP_MS - 34, 2**32])
def test_a_jump_begins_an_epoch_right_after_what_was_there(jump_ms):
    timeline = Timeline()
    start = 2 * HOUR_MS
    timeline.video(start, start)
    timeline.audio(start + 20)
    after_video = timeline.video(start + jump_ms + 33, start + jump_ms + 33)
    after_audio = timeline.audio(start + jump_ms + 43)
    assert (after_video.epoch, after_audio.epoch) == (1, 1)
    assert after_video.pts == 20 * 90 + NOMINAL_FRAME
    assert after_audio.pts - after_video.pts == 10 * 90


def test_the_track_that_jumps_first_takes_the_other_along():
    timeline = Timeline()
    timeline.video(0, 0)
    timeline.audio(0)
    jumped = timeline.audio(HOUR_MS)
    straggler = timeline.video(33, 33)
    assert (jumped.epoch, straggler.epoch, straggler.pts) == (1, 0, 33 * 90)
    followed = timeline.video(HOUR_MS + 10, HOUR_MS + 10)
    assert (followed.epoch, followed.pts - jumped.pts) == (1, 10 * 90)


def test_a_hole_in_the_video_while_the_audio_goes_on_is_no_jump():
    timeline = Timeline()
    timeline.video(0, 0)
    for at in range(0, 5_000, 23):
        timeline.audio(at)
    resumed = timeline.video(5_000, 5_000)
    assert (resumed.epoch, resumed.pts) == (0, 5_000 * 90)


def test_small_steps_back_are_repaired():
    timeline = Timeline()
    placed = [timeline.video(at, at).dts for at in (100, 133, 120, 133, 167)]
    assert placed == [0, 33 * 90, 33 * 90 + 1, 33 * 90 + 2, 67 * 90]


@pytest.mark.parametrize(("composition_ms", "ticks"), [(-40, 0), (80, 7200), (8_388_607, JUMP_MS * 90)])
def test_composition_times_are_bounded(composition_ms, ticks):
    placed = Timeline().video(50 + composition_ms, 50)
    assert placed.pts - placed.dts == ticks


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(-(2**33), 2**33) | st.integers(-50, 1500)),
        min_size=2,
        max_size=60,
    )
)
def test_ticks_only_go_forward_whatever_the_publisher_sends(steps):
    timeline, now_ms = Timeline(), 0
    video, audio = [], []
    for is_video, step_ms in steps:
        now_ms += step_ms
        (video if is_video else audio).append(timeline.video(now_ms, now_ms) if is_video else timeline.audio(now_ms))
    for track in (video, audio):
        assert all(a.dts < b.dts for a, b in pairwise(track))
        assert all(a.epoch != b.epoch or b.dts - a.dts <= 90 * 2**35 for a, b in pairwise(track))
        assert all(frame.pts >= frame.dts >= 0 for frame in track)


def test_wall_time_follows_the_timestamps_not_the_jitter_of_arrivals():
    wall = WallClock(unix_offset_s=1000.0)
    assert wall.unix_s(0, 10.0) == 1010.0
    assert wall.unix_s(180_000, 12.3) == 1012.0
    assert wall.unix_s(360_000, 14.1) == 1014.0


def test_wall_time_is_never_in_the_future_nor_far_behind():
    wall = WallClock(unix_offset_s=0.0)
    wall.unix_s(0, 10.0)
    assert wall.unix_s(180_000, 11.5) == 11.5, "the first frame had come late"
    assert wall.unix_s(360_000, 13.6) == 13.5
    assert wall.unix_s(540_000, 15.5 + MAX_LAG_S + 0.1) == 15.5 + MAX_LAG_S + 0.1, "the publisher had paused"


def test_wall_time_starts_anew_where_the_timeline_broke():
    wall = WallClock(unix_offset_s=0.0)
    wall.unix_s(0, 10.0)
    wall.restart()
    assert wall.unix_s(3000, 13.0) == 13.0, "3 s of silence left no ticks behind"
