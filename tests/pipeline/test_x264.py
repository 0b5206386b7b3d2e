"""The x264 ladder: every frame accounted for, keyframes aligned and only where asked, overload declared."""

from __future__ import annotations

import dataclasses
import threading
import time
from itertools import pairwise

import pytest
from clips import clip, ladder
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_run import Run, pictures

from pipeline.ladders import LADDER_BACKENDS, x264
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.pacing import FramePacer, KeyframeSchedule
from pipeline.ladders.session import ThreadedSession
from pipeline.ladders.x264 import X264Backend, X264Encoder
from scenarios.errors import EncoderUnavailable

IDR, SPS, PPS = 5, 7, 8


def opens(*, encoder=lambda rung: X264Encoder(rung, preset="ultrafast"), max_packets: int = 10_000):
    """Return an `open` with another encoder, or with room for a whole clip at once."""

    def open_session(avcc, rungs, emit, **options):
        backlog = Backlog(max_packets=max_packets)
        return ThreadedSession(avcc, ladder=rungs, open_encoder=encoder, emit=emit, backlog=backlog, **options)

    return open_session


def nal_types(annex_b: bytes) -> list[int]:
    return [piece[0] & 0x1F for piece in annex_b.split(b"\0\0\1")[1:]]


THREE_RUNGS = ladder((320, 180, 60), (240, 136, 60), (160, 90, 30))


@pytest.mark.parametrize(("gop", "b_frames"), [(60, 0), (77, 2), (1, 0)], ids=["aligned", "b-frames", "all-intra"])
def test_every_rung_starts_its_segments_at_the_same_frames_whatever_the_publishers_gop(gop, b_frames):
    packets = clip(seconds=5.0, fps=60, gop=gop, b_frames=b_frames).packets()
    run = Run(packets, THREE_RUNGS, open=opens())
    assert run.errors == [None]
    first = min(packet.pts for packet in packets)
    for rung, encoded in run.by_rung.items():
        keyframes = [packet.pts for packet in encoded if packet.is_keyframe]
        assert keyframes == pytest.approx([first, first + 180_000, first + 360_000], abs=90), rung
        assert keyframes == [packet.pts for packet in run.by_rung["180p60"] if packet.is_keyframe]
        assert all(a.dts < b.dts <= b.pts for a, b in pairwise(encoded))


def test_every_frame_comes_out_of_every_rung_once_at_its_own_time_and_size():
    packets = clip(seconds=3.0, fps=60).packets()
    run = Run(packets, THREE_RUNGS, open=opens())
    wanted = sorted(packet.pts for packet in packets)
    assert [packet.pts for packet in run.by_rung["180p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["136p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["90p30"]] == wanted[::2]
    assert {packet.frame_index for packet in run.by_rung["180p60"]} == set(range(len(packets)))
    for rung in THREE_RUNGS.rungs:
        shown = pictures(run.by_rung[rung.name])
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}
        assert len(shown) == len(run.by_rung[rung.name]) == run.counters.encoded[rung.name]
    assert run.counters.fed == run.counters.decoded == len(packets)
    assert run.counters.dropped == run.counters.undecodable == 0


def test_only_keyframes_are_idr_and_each_carries_its_parameter_sets():
    run = Run(clip(gop=1).packets(), ladder((320, 180, 30)), open=opens())
    for packet in run.by_rung["180p30"]:
        types = nal_types(packet.data)
        assert (IDR in types) == (SPS in types) == (PPS in types) == packet.is_keyframe
    assert sum(packet.is_keyframe for packet in run.by_rung["180p30"]) == 3


def test_a_viewer_can_start_at_any_keyframe():
    encoded = Run(clip().packets(), ladder((320, 180, 30)), open=opens()).by_rung["180p30"]
    for at, packet in enumerate(encoded):
        if packet.is_keyframe:
            first = pictures(encoded[at : at + 5])[0]
            assert first.pts == packet.pts
            assert not first.is_corrupt


def test_each_frame_is_marked_on_its_way():
    packets = clip(seconds=3.0).packets()
    run = Run(packets, ladder((320, 180, 30), (160, 90, 15)), open=opens())
    marks = run.marks
    assert sorted(mark.frame for mark in marks.decodes) == list(range(len(packets)))
    encoded = {rung: [m for m in marks.encodes if m.rung == rung] for rung in ("180p30", "90p15")}
    assert [len(found) for found in encoded.values()] == [90, 45]
    for found in encoded.values():
        starts = [mark.frame for mark in found if mark.starts_segment]
        assert starts == [0, 60]
        assert all(mark.encode_cpu_s > 0 for mark in found)
    decoded_s = {mark.frame: mark.at_s for mark in marks.decodes}
    assert all(mark.at_s > decoded_s[mark.frame] for mark in marks.encodes)
    assert sum(mark.scale_cpu_s for mark in encoded["90p15"]) > 0
    assert sum(mark.cpu_s for mark in marks.decodes) > 0


def test_the_rate_is_held_near_the_rungs_bitrate():
    rungs = ladder((320, 180, 30))
    encoded = Run(clip(seconds=8.0).packets(), rungs, open=opens()).by_rung["180p30"]
    bits = 8 * sum(len(packet.data) for packet in encoded)
    assert bits / 8.0 == pytest.approx(rungs.rungs[0].bitrate_bps, rel=0.25)


def test_overload_drops_whole_groups_of_pictures_and_counts_them():
    """A ladder five times too slow: whatever is encoded must decode, and nothing may be lost uncounted."""

    class Slow(X264Encoder):
        def encode(self, picture):
            time.sleep(0.005)
            return super().encode(picture)

    packets = clip(seconds=10.0, gop=15, width=160, height=90).packets()
    run = Run(
        packets,
        ladder((160, 90, 30)),
        open=opens(encoder=lambda rung: Slow(rung, preset="ultrafast"), max_packets=40),
        pause_s=0.001,
    )
    counters, encoded = run.counters, run.by_rung["90p30"]
    assert run.slowest_feed_s < 0.1
    assert counters.dropped > 100
    assert counters.fed == len(packets) == counters.dropped + counters.decoded
    assert {mark.frame for mark in run.marks.drops} == set(range(300)) - {p.frame_index for p in encoded}
    resumed = [b.frame_index for a, b in pairwise(encoded) if b.frame_index > a.frame_index + 1]
    assert resumed
    assert all(packets[index].is_keyframe for index in resumed)
    assert not any(picture.is_corrupt for picture in pictures(encoded))


def test_media_before_the_first_keyframe_is_dropped_and_counted():
    packets = clip().packets()[7:]
    run = Run(packets, ladder((320, 180, 30)), open=opens())
    assert run.counters.dropped == 60 - 7
    assert run.by_rung["180p30"][0].frame_index == 60


def test_a_damaged_frame_is_counted_and_does_not_end_the_stream():
    packets = clip(seconds=3.0, gop=30).packets()
    packets[10] = dataclasses.replace(packets[10], data=b"\xff" * 100)
    run = Run(packets, ladder((320, 180, 30)), open=opens())
    assert run.errors == [None]
    assert run.counters.undecodable == 1
    assert [mark.frame for mark in run.marks.drops] == [10]
    assert len(run.by_rung["180p30"]) == len(packets) - 1


def test_a_change_of_the_publishers_picture_size_leaves_the_rungs_as_they_are():
    before, after = clip(seconds=2.0).packets(), clip(seconds=2.0, width=480, height=270, gop=30).packets()
    later = before[-1].dts + 3000 - after[0].dts
    moved = [
        dataclasses.replace(packet, index=60 + packet.index, pts=packet.pts + later, dts=packet.dts + later)
        for packet in after
    ]
    run = Run(before + moved, ladder((320, 180, 30)), open=opens())
    assert run.errors == [None]
    shown = pictures(run.by_rung["180p30"])
    assert len(shown) == 120
    assert {(picture.width, picture.height) for picture in shown} == {(320, 180)}


def test_a_new_epoch_starts_with_a_keyframe():
    packets = clip(seconds=3.0).packets()
    packets[40:] = [dataclasses.replace(packet, epoch=1) for packet in packets[40:]]
    encoded = Run(packets, ladder((320, 180, 30)), open=opens()).by_rung["180p30"]
    assert [packet.frame_index for packet in encoded if packet.is_keyframe] == [0, 40]
    assert [packet.epoch for packet in encoded] == [0] * 40 + [1] * 50


def test_times_that_stand_still_or_step_back_are_dropped_and_counted_not_fatal():
    packets = clip(seconds=1.0).packets()
    packets[10] = dataclasses.replace(packets[10], pts=packets[9].pts)
    packets[20] = dataclasses.replace(packets[20], pts=packets[5].pts, epoch=1)
    run = Run(packets, ladder((320, 180, 30)), open=opens())
    assert run.errors == [None]
    encoded = run.by_rung["180p30"]
    assert [packet.frame_index for packet in encoded] == [n for n in range(30) if n not in (10, 20)]
    assert [packet.frame_index for packet in encoded if packet.is_keyframe] == [0]
    assert {mark.frame for mark in run.marks.drops} == {10, 20}
    assert run.counters.out_of_order == 2
    assert run.counters.fed == run.counters.decoded + run.counters.out_of_order


def test_a_flood_of_frames_within_an_instant_is_thinned_to_the_rungs_rate():
    packets = [dataclasses.replace(packet, pts=9000 + packet.index) for packet in clip(seconds=1.0).packets()]
    run = Run(packets, ladder((320, 180, 30)), open=opens())
    assert run.errors == [None]
    assert [packet.pts for packet in run.by_rung["180p30"]] == [9000]


def test_an_error_in_one_rung_ends_the_session_and_is_reported_once():
    class Broken(X264Encoder):
        def encode(self, picture):
            raise RuntimeError("planted")

    def encoder(rung):
        return (Broken if rung.name == "90p30" else X264Encoder)(rung, preset="ultrafast")

    run = Run(clip().packets(), ladder((320, 180, 30), (160, 90, 30)), open=opens(encoder=encoder))
    assert [str(error) for error in run.errors] == ["planted"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("test/")]


def test_an_option_that_libx264_does_not_know_is_an_error(monkeypatch):
    known = x264.x264_options

    def with_stranger(rung, *, preset):
        return known(rung, preset=preset) | {"nosuch": "1"}

    monkeypatch.setattr(x264, "x264_options", with_stranger)
    run = Run(clip().packets(), ladder((320, 180, 30)), open=opens())
    assert "nosuch" in str(run.errors[0])


def test_only_h264_rungs_and_known_presets():
    rungs = ladder((320, 180, 30))
    hevc = rungs.model_copy(update={"rungs": (rungs.rungs[0].model_copy(update={"codec": "hevc"}),)})
    with pytest.raises(EncoderUnavailable, match=r"180p30 \(hevc\)"):
        X264Backend().open(b"", hevc, lambda packet: None)
    with pytest.raises(EncoderUnavailable, match="placebo"):
        LADDER_BACKENDS["x264"](preset="placebo")
    assert LADDER_BACKENDS["x264"](preset="veryfast").preset == "veryfast"


@settings(max_examples=200, deadline=None)
@given(
    fps=st.floats(1, 120),
    segment_s=st.floats(0.5, 10),
    jitter=st.lists(st.integers(-90, 90), min_size=1, max_size=7),
)
def test_keyframes_are_the_first_frames_at_or_after_each_boundary(fps, segment_s, jitter):
    schedule, segment = KeyframeSchedule(segment_s), round(segment_s * 90_000)
    times = [round(n * 90_000 / fps) + jitter[n % len(jitter)] * (n > 0) for n in range(400)]
    times = sorted(set(times))
    keyframes = [pts for pts in times if schedule.starts_segment(pts, 0)]
    assert keyframes[0] == times[0]
    for key, following in pairwise(keyframes):
        assert following - key >= segment // 2
        between = [pts for pts in times if key < pts < following]
        boundary = times[0] + round((following - times[0]) / segment) * segment
        late = [pts for pts in between if pts >= boundary]
        assert not late or 90_000 / fps > segment / 2


def test_a_hole_in_the_video_does_not_make_a_short_segment_after_it():
    schedule = KeyframeSchedule(2.0)
    times = [*range(0, 180_000, 3000), *range(350_000, 720_000, 3000)]  # resumes just before a boundary
    keyframes = [pts for pts in times if schedule.starts_segment(pts, 0)]
    assert keyframes == [0, 350_000, 542_000]


@pytest.mark.parametrize(
    ("source", "rung", "kept"), [(60, 30, 120), (30, 30, 120), (25, 30, 100), (50, 25, 100), (60, 24, 96)]
)
def test_a_slower_rung_keeps_evenly_spaced_frames_of_millisecond_timestamps(source, rung, kept):
    pacer = FramePacer(rung)
    times = [90 * round(1000 * n / source) for n in range(4 * source)]
    chosen = [pts for n, pts in enumerate(times) if pacer.keeps(pts, starts_segment=n % (2 * source) == 0)]
    assert len(chosen) == kept
    assert times[2 * source] in chosen
    gaps = [b - a for a, b in pairwise(chosen)]
    assert max(gaps) - min(gaps) <= 90_000 / source + 180


def test_a_slower_rung_falls_in_step_with_each_segment():
    pacer = FramePacer(30)
    kept = [n for n in range(80) if pacer.keeps(1500 * n, starts_segment=n in (0, 61))]
    assert kept == [*range(0, 61, 2), *range(61, 80, 2)]


def test_the_backlog_goes_on_only_at_a_keyframe_and_with_half_its_room():
    backlog = Backlog(max_packets=4)
    keyframe = clip().packets()[0]
    inter = dataclasses.replace(keyframe, is_keyframe=False)
    assert [backlog.offer(inter), backlog.offer(keyframe)] == [False, True]
    assert [backlog.offer(inter) for _ in range(4)] == [True, True, True, False]
    waiting = iter(backlog)
    next(waiting)
    assert not backlog.offer(keyframe), "three of four waiting: no room to go on"
    next(waiting)
    next(waiting)
    assert not backlog.offer(inter), "a group of pictures must start with its keyframe"
    assert backlog.offer(keyframe)
    backlog.close()
    assert len(list(waiting)) == 2


def test_the_backlog_is_bounded_in_bytes_too():
    backlog = Backlog(max_bytes=10_000)
    keyframe = dataclasses.replace(clip().packets()[0], data=bytes(4000))
    assert [backlog.offer(keyframe) for _ in range(3)] == [True, True, False]
