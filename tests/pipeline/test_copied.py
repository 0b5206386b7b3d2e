"""The copied source rung: the publisher's own bytes, and every rung's segments cut at its keyframes."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from clips import clip, ladder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_ffmpeg_backend import BACKENDS, Run, pictures

from pipeline.ladders.backend import RungPacket, SourcePacket
from pipeline.ladders.copied import SourceCopy, SourceRefused
from pipeline.ladders.nal_units import NAL_AUD, NAL_IDR, NAL_SPS, nal_type, nal_units, parameter_sets
from pipeline.ladders.pacing import GopSchedule
from scenarios.ladder import Ladder
from sim.calibration.arrivals import StreamArrivals

both = pytest.mark.parametrize("backend", BACKENDS)
SOURCE = "180p30"


def with_copied(*rungs: tuple[int, int, float], fps: float = 30, segment_s: float = 2.0) -> Ladder:
    """Return a ladder whose first rung, 320x180, is copied."""
    first, *others = ladder((320, 180, fps), *rungs, segment_s=segment_s).rungs
    return Ladder(segment_s=segment_s, rungs=(first.model_copy(update={"copied": True}), *others))


def units_of(annex_b: bytes) -> list[bytes]:
    return [unit for unit in annex_b.split(b"\0\0\0\1") if unit]


def starts(packets: list[RungPacket]) -> list[int]:
    return [packet.frame_index for packet in packets if packet.is_keyframe]


def shifted(packets: list[SourcePacket], *, frames: int, ticks: int, **changed) -> list[SourcePacket]:
    """Return the packets as a later part of a stream."""
    return [
        dataclasses.replace(
            packet, index=packet.index + frames, pts=packet.pts + ticks, dts=packet.dts + ticks, **changed
        )
        for packet in packets
    ]


@both
@pytest.mark.parametrize("b_frames", [0, 2], ids=["", "b-frames"])
def test_the_publishers_bytes_go_out_and_every_rung_starts_segments_at_its_keyframes(backend, b_frames):
    packets = clip(seconds=5.0, gop=30, b_frames=b_frames).packets()
    run = Run(backend, packets, with_copied((160, 90, 30), (128, 72, 15)))
    assert run.errors == [None]
    copied = run.by_rung[SOURCE]
    assert [packet.frame_index for packet in copied] == list(range(150))
    assert [(p.pts, p.dts, p.arrival_s) for p in copied] == [(p.pts, p.dts, p.arrival_s) for p in packets]
    for ours, sent in zip(copied, packets, strict=True):
        sets = parameter_sets(sent.avcc) if sent.is_keyframe else []
        assert units_of(ours.data) == sets + nal_units(sent.data)
    for rung in (SOURCE, "90p30", "72p15"):
        assert starts(run.by_rung[rung]) == [0, 60, 120]
    for rung, frames in (("90p30", 150), ("72p15", 75)):
        assert len(run.by_rung[rung]) == run.counters.encoded[rung] == frames
    assert len(pictures(copied)) == run.counters.encoded[SOURCE] == 150
    assert run.counters.fed == run.counters.decoded == 150
    assert {mark.rung for mark in run.marks.encodes} <= {"90p30", "72p15"}


@both
def test_a_ladder_of_the_copied_rung_alone_decodes_nothing(backend):
    packets = clip(seconds=3.0, gop=60, b_frames=2).packets()
    run = Run(backend, packets, with_copied())
    assert run.errors == [None]
    assert starts(run.by_rung[SOURCE]) == [0, 60]
    assert run.counters.fed == run.counters.decoded == run.counters.encoded[SOURCE] == 90
    assert run.marks.decodes == run.marks.encodes == []


@pytest.mark.requires_ffmpeg
def test_with_irregular_times_and_losses_both_backends_decide_alike():
    generator = np.random.default_rng(3)
    packets = clip(seconds=5.0, fps=60, gop=17).packets()
    steps = 1500 + generator.integers(-700, 700, len(packets))
    steps[generator.integers(1, len(packets), 6)] += generator.integers(90_000, 500_000, 6)
    epochs = np.searchsorted(np.sort(generator.integers(1, len(packets), 3)), np.arange(len(packets)), "right")
    moved = [
        dataclasses.replace(packet, pts=int(at), dts=int(at), epoch=int(epoch))
        for packet, at, epoch in zip(packets, 12_345 + np.cumsum(steps), epochs, strict=True)
    ]
    moved[100] = dataclasses.replace(moved[100], data=b"\0\0\0\7short")
    rungs = with_copied((160, 90, 60), (128, 72, 30), (96, 54, 24), fps=60, segment_s=1.5)
    ours, reference = Run("ffmpeg", moved, rungs), Run("x264", moved, rungs)
    assert ours.errors == reference.errors == [None]
    assert len(starts(reference.by_rung["180p60"])) > 6
    assert ours.decisions == reference.decisions
    assert dataclasses.asdict(ours.counters) == dataclasses.asdict(reference.counters)
    for rung in ("90p60", "72p30", "54p24"):
        assert starts(ours.by_rung[rung]) == starts(ours.by_rung["180p60"])


@both
def test_damage_costs_every_rung_the_same_frames_up_to_the_next_keyframe(backend):
    packets = clip(seconds=4.0, gop=30).packets()
    packets[40] = dataclasses.replace(packets[40], data=b"\xff" * 100)
    packets[90] = dataclasses.replace(packets[90], data=b"")
    run = Run(backend, packets, with_copied((160, 90, 30)))
    assert run.errors == [None]
    lost = set(range(40, 60)) | set(range(90, 120))
    kept = [index for index in range(120) if index not in lost]
    for rung in (SOURCE, "90p30"):
        assert [packet.frame_index for packet in run.by_rung[rung]] == kept
        assert starts(run.by_rung[rung]) == [0, 60]
    assert run.counters.undecodable == len(lost)
    assert run.counters.fed == run.counters.decoded + run.counters.undecodable
    assert {mark.frame for mark in run.marks.drops} == lost


@both
def test_a_keyframe_that_the_encoders_must_pass_over_moves_the_start_of_their_segment_by_a_frame(backend):
    packets = clip(seconds=4.0, gop=60).packets()
    packets[60] = dataclasses.replace(packets[60], pts=packets[59].pts)
    run = Run(backend, packets, with_copied((160, 90, 30)))
    assert run.errors == [None]
    assert run.counters.out_of_order == 1
    assert starts(run.by_rung[SOURCE]) == [0, 60]
    assert starts(run.by_rung["90p30"]) == [0, 61]


@both
def test_a_jump_of_the_publishers_clock_waits_for_its_next_keyframe_in_every_rung(backend):
    packets = clip(seconds=4.0, gop=30).packets()
    packets[40:] = [dataclasses.replace(packet, epoch=1) for packet in packets[40:]]
    run = Run(backend, packets, with_copied((160, 90, 30)))
    for rung in (SOURCE, "90p30"):
        assert starts(run.by_rung[rung]) == [0, 60]
        assert [packet.epoch for packet in run.by_rung[rung]] == [0] * 40 + [1] * 80


@both
@pytest.mark.parametrize("alone", [False, True], ids=["", "copied rung alone"])
def test_a_publisher_without_keyframes_is_refused_in_a_sentence(backend, alone):
    packets = clip(seconds=10.0, gop=300).packets()
    run = Run(backend, packets, with_copied(*([] if alone else [(160, 90, 30)])))
    (error,) = run.errors
    assert isinstance(error, SourceRefused)
    assert str(error) == (
        "the source rung '180p30' is copied and needs a keyframe every 2 s; the publisher sent none for 4 s; set its "
        "keyframe interval to 2 s (OBS: Output, Keyframe Interval; ffmpeg: -g 60), with closed groups of pictures"
    )
    assert 115 <= len(run.by_rung[SOURCE]) <= 122


@both
def test_a_picture_of_another_size_is_refused_at_once_and_in_the_middle(backend):
    small = with_copied((160, 90, 30))
    packets = clip(seconds=2.0, width=480, height=270).packets()
    run = Run(backend, packets, small)
    (error,) = run.errors
    assert isinstance(error, SourceRefused)
    assert "declared as 320x180; the publisher sends 480x270; set its output" in str(error)
    assert run.by_rung == {}
    first = clip(seconds=2.0).packets()
    run = Run(backend, first + shifted(packets, frames=60, ticks=180_000), small)
    assert "480x270" in str(run.errors[0])
    assert [packet.frame_index for packet in run.by_rung[SOURCE]] == list(range(60))


@both
def test_another_configuration_of_the_same_size_starts_a_segment_with_its_own_parameter_sets(backend):
    before, after = clip(seconds=1.0).packets(), clip(seconds=2.0, b_frames=2).packets()
    assert before[0].avcc != after[0].avcc
    run = Run(backend, before + shifted(after, frames=30, ticks=90_000), with_copied((160, 90, 30)))
    assert run.errors == [None]
    for rung in (SOURCE, "90p30"):
        assert starts(run.by_rung[rung]) == [0, 30]
        epochs = [packet.epoch for packet in run.by_rung[rung]]
        assert epochs == [0] * 30 + [1] * (len(epochs) - 30), "a discontinuity of one rung is one of all"
    assert units_of(run.by_rung[SOURCE][30].data)[:2] == parameter_sets(after[0].avcc)


def copy_of(packets: list[SourcePacket]) -> list[RungPacket]:
    emitted: list[RungPacket] = []
    copy = SourceCopy(with_copied().rungs[0], 2.0, emitted.append)
    for packet in packets:
        copy.take(packet)
    return emitted


def test_after_a_drop_only_an_idr_will_do():
    packets = clip(seconds=2.0, gop=15).packets()
    kept = copy_of([packet for packet in packets if packet.index != 20])
    assert [packet.frame_index for packet in kept] == [*range(20), *range(30, 60)]


def test_a_keyframe_that_is_marked_as_one_but_is_no_idr_starts_nothing():
    packets = [dataclasses.replace(packet, is_keyframe=True) for packet in clip(seconds=3.0, gop=75).packets()]
    assert starts(copy_of(packets[1:])) == [75]
    assert starts(copy_of(packets)) == [0, 75]


def test_parameter_sets_stand_after_a_delimiter_and_not_beside_the_publishers_own():
    first = clip().packets()[0]
    delimiter, sps = b"\0\0\0\2\x09\x10", parameter_sets(first.avcc)[0]
    (packet,) = copy_of([dataclasses.replace(first, data=delimiter + first.data)])
    kinds = [nal_type(unit) for unit in units_of(packet.data)]
    assert kinds[:2] == [NAL_AUD, NAL_SPS]
    own = b"".join(len(unit).to_bytes(4, "big") + unit for unit in parameter_sets(first.avcc))
    (packet,) = copy_of([dataclasses.replace(first, data=own + first.data)])
    assert units_of(packet.data).count(sps) == 1
    assert nal_type(units_of(packet.data)[-1]) == NAL_IDR


def test_a_hole_in_the_video_is_no_keyframe_interval():
    packets = clip(seconds=3.0, gop=60).packets()
    late = [dataclasses.replace(p, pts=p.pts + 900_000, dts=p.dts + 900_000) for p in packets[30:]]
    assert len(copy_of(packets[:30] + late)) == 90


@settings(max_examples=200, deadline=None)
@given(
    gop_s=st.floats(0.1, 2.9),
    segment_s=st.floats(0.5, 6),
    jitter=st.lists(st.integers(-90, 90), min_size=1, max_size=7),
)
@example(gop_s=2.0, segment_s=2.0, jitter=[0, -90, 90])
@example(gop_s=1.0, segment_s=2.0, jitter=[0, 90, -90])
def test_segments_of_a_steady_publisher_are_the_nearest_whole_number_of_gops(gop_s, segment_s, jitter):
    """Times that FLV rounds to a millisecond must not make a segment of twice the length."""
    schedule, gop = GopSchedule(segment_s), round(gop_s * 90_000)
    times = [n * gop + jitter[n % len(jitter)] for n in range(200)]
    chosen = [n for n, pts in enumerate(times) if schedule.starts_segment(pts)]
    assert chosen[0] == 0
    for first, second in pairwise(chosen):
        length_s = (times[second] - times[first]) / 90_000
        assert abs(length_s - segment_s) <= max(gop_s / 2, gop_s - segment_s) + 0.005


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(st.integers(1500, 360_000), min_size=1, max_size=100))
def test_segments_of_an_unsteady_publisher_are_neither_short_nor_longer_than_they_must_be(steps):
    """And a replay cuts them at the same keyframes."""
    schedule, segment = GopSchedule(2.0), 180_000
    times = [sum(steps[:n]) for n in range(len(steps) + 1)]
    chosen = [pts for pts in times if schedule.starts_segment(pts)]
    pts_s, frames = np.array(times) / 90_000, np.arange(len(times))
    replayed = StreamArrivals(
        0, pts_s, pts_s, np.ones(len(times), dtype=bool), frames, np.ones(len(times))
    ).gop_segments(2.0)
    assert [times[n] for n in np.flatnonzero(np.diff(replayed, prepend=-1))] == chosen
    for start, end in pairwise(chosen):
        assert end - start >= 2 * segment / 3
        assert all(pts - start < segment for pts in times if start < pts < end)
