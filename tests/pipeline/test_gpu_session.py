"""The session whose rungs decode for themselves: its logic on real video, with the CPU's codecs in the GPU's place."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from itertools import accumulate, pairwise

import av
import pytest
from av.video.reformatter import VideoReformatter
from clips import clip, ladder
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_run import Run, pictures

from pipeline.ladders.backend import LadderCounters
from pipeline.ladders.backlog import Backlog
from pipeline.ladders.decode import PacketDecoder, open_h264
from pipeline.ladders.gpu_session import GpuSession
from pipeline.ladders.session import ThreadedSession
from pipeline.ladders.verdicts import SharedVerdicts
from pipeline.ladders.x264 import X264Encoder
from pipeline.marks import RecordingMarks
from scenarios.ladder import Rung

THREE_RUNGS = ladder((320, 180, 60), (240, 136, 60), (160, 90, 30))
ONE_RUNG = ladder((320, 180, 30))


class ScalingDecoder:
    """A decoder whose pictures have the rung's size, as NVDEC's have."""

    def __init__(self, rung: Rung, avcc: bytes) -> None:
        self.rung, self.decoder, self.scaler = rung, open_h264(avcc), VideoReformatter()

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        size = self.rung.width, self.rung.height
        return [self.scaler.reformat(picture, *size, "yuv420p", threads=1) for picture in self.decoder.decode(packet)]


def opens(
    *,
    decoder: Callable[[Rung, bytes], PacketDecoder] = ScalingDecoder,
    encoder=lambda rung: X264Encoder(rung, preset="ultrafast"),
    max_packets: int = 10_000,
):
    def open_session(avcc, rungs, emit, **options):
        backlog = Backlog(max_packets=max_packets)
        return GpuSession(
            avcc, ladder=rungs, open_decoder=decoder, open_encoder=encoder, emit=emit, backlog=backlog, **options
        )

    return open_session


def opens_threaded(*, encoder):
    def open_session(avcc, rungs, emit, **options):
        return ThreadedSession(avcc, ladder=rungs, open_encoder=encoder, emit=emit, **options)

    return open_session


def threads_left() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("test/")]


@pytest.mark.parametrize(("gop", "b_frames"), [(60, 0), (77, 2), (1, 0)], ids=["aligned", "b-frames", "all-intra"])
def test_rungs_that_decode_for_themselves_start_their_segments_at_the_same_frames(gop, b_frames):
    packets = clip(seconds=5.0, fps=60, gop=gop, b_frames=b_frames).packets()
    run = Run(packets, THREE_RUNGS, open=opens())
    assert run.errors == [None]
    first = min(packet.pts for packet in packets)
    for rung, encoded in run.by_rung.items():
        keyframes = [packet.pts for packet in encoded if packet.is_keyframe]
        assert keyframes == pytest.approx([first, first + 180_000, first + 360_000], abs=90), rung
        assert keyframes == [packet.pts for packet in run.by_rung["180p60"] if packet.is_keyframe]
        assert all(a.dts < b.dts <= b.pts for a, b in pairwise(encoded))


def test_every_rung_encodes_each_of_its_frames_once_at_its_own_time_and_size():
    packets = clip(seconds=3.0, fps=60, b_frames=2).packets()
    run = Run(packets, THREE_RUNGS, open=opens())
    wanted = sorted(packet.pts for packet in packets)
    by_pts = {packet.pts: packet for packet in packets}
    assert [packet.pts for packet in run.by_rung["180p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["136p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["90p30"]] == wanted[::2]
    for rung in THREE_RUNGS.rungs:
        encoded = run.by_rung[rung.name]
        assert all(packet.frame_index == by_pts[packet.pts].index for packet in encoded)
        shown = pictures(encoded)
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}
        assert len(shown) == len(encoded) == run.counters.encoded[rung.name]
    assert run.counters == LadderCounters(fed=180, decoded=180, encoded={"180p60": 180, "136p60": 180, "90p30": 90})


def test_each_frame_is_marked_once_and_the_decoding_of_every_rung_is_paid_for():
    class Busy(ScalingDecoder):
        def decode(self, packet):
            until_s = time.thread_time() + 0.001
            while time.thread_time() < until_s:
                pass
            return super().decode(packet)

    packets = clip(seconds=3.0).packets()
    run = Run(packets, ladder((320, 180, 30), (160, 90, 15)), open=opens(decoder=Busy))
    marks = run.marks
    assert sorted(mark.frame for mark in marks.decodes) == list(range(len(packets)))
    encoded = {rung: [mark for mark in marks.encodes if mark.rung == rung] for rung in ("180p30", "90p15")}
    assert [len(found) for found in encoded.values()] == [90, 45]
    decoded_s = {mark.frame: mark.at_s for mark in marks.decodes}
    for found in encoded.values():
        assert [mark.frame for mark in found if mark.starts_segment] == [0, 60]
        assert all(mark.at_s > decoded_s[mark.frame] for mark in found)
        assert all(mark.encode_cpu_s > 0 < mark.scale_cpu_s for mark in found)
        # Each rung decodes all 90 frames, whether it keeps them or not; the last may be one that it does not.
        assert sum(mark.scale_cpu_s for mark in found) > 89 * 0.001
    assert 0 < sum(mark.cpu_s for mark in marks.decodes) < 90 * 0.001, "handing out is not decoding"


def test_overload_drops_whole_groups_of_pictures_from_all_rungs_alike_and_counts_them():
    class Slow(X264Encoder):
        def encode(self, picture):
            time.sleep(0.02)
            return super().encode(picture)

    def encoder(rung):
        return (Slow if rung.name == "90p30" else X264Encoder)(rung, preset="ultrafast")

    packets = clip(seconds=10.0, gop=15, width=160, height=90).packets()
    rungs = ladder((160, 90, 30), (80, 46, 30))
    run = Run(packets, rungs, open=opens(encoder=encoder, max_packets=40), pause_s=0.005)
    counters, encoded = run.counters, run.by_rung["90p30"]
    assert run.slowest_feed_s < 0.5
    assert counters.dropped > 100
    assert counters.fed == len(packets) == counters.dropped + counters.decoded
    kept = [packet.frame_index for packet in encoded]
    assert kept == [packet.frame_index for packet in run.by_rung["46p30"]]
    assert {mark.frame for mark in run.marks.drops} == set(range(300)) - set(kept)
    resumed = [after for before, after in pairwise(kept) if after > before + 1]
    assert resumed
    assert all(packets[index].is_keyframe for index in resumed)
    assert not any(picture.is_corrupt for picture in pictures(encoded))


def test_a_damaged_frame_is_counted_once_however_many_rungs_decode():
    packets = clip(seconds=3.0, gop=30).packets()
    packets[10] = dataclasses.replace(packets[10], data=b"\xff" * 100)
    run = Run(packets, ladder((320, 180, 30), (160, 90, 30)), open=opens())
    assert run.errors == [None]
    assert run.counters.undecodable == 1
    assert [mark.frame for mark in run.marks.drops] == [10]
    assert [len(encoded) for encoded in run.by_rung.values()] == [89, 89]


def test_a_change_of_the_publishers_size_starts_new_decoders_and_keeps_the_rungs():
    before, after = clip(seconds=2.0, b_frames=2).packets(), clip(seconds=2.0, width=480, height=270, gop=30).packets()
    later = max(packet.pts for packet in before) + 3000 - after[0].dts
    moved = [
        dataclasses.replace(packet, index=60 + packet.index, pts=packet.pts + later, dts=packet.dts + later)
        for packet in after
    ]
    opened: list[tuple[str, bytes]] = []

    def decoder(rung, avcc):
        opened.append((rung.name, avcc))
        return ScalingDecoder(rung, avcc)

    rungs = ladder((320, 180, 30), (160, 90, 30))
    run = Run(before + moved, rungs, open=opens(decoder=decoder))
    assert run.errors == [None]
    assert sorted(opened) == sorted((r.name, p.avcc) for r in rungs.rungs for p in (before[0], after[0]))
    for rung in rungs.rungs:
        shown = pictures(run.by_rung[rung.name])
        assert len(shown) == 120
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}


def test_epochs_and_times_that_step_back_are_judged_once_for_all_rungs():
    packets = clip(seconds=3.0).packets()
    packets[10] = dataclasses.replace(packets[10], pts=packets[9].pts)
    packets[20] = dataclasses.replace(packets[20], pts=packets[5].pts)
    packets[40:] = [dataclasses.replace(packet, epoch=1) for packet in packets[40:]]
    run = Run(packets, ladder((320, 180, 30), (160, 90, 30)), open=opens())
    assert run.errors == [None]
    for encoded in run.by_rung.values():
        assert [packet.frame_index for packet in encoded] == [n for n in range(90) if n not in (10, 20)]
        assert [packet.frame_index for packet in encoded if packet.is_keyframe] == [0, 40]
        assert [packet.epoch for packet in encoded] == [0] * 38 + [1] * 50
    assert {mark.frame for mark in run.marks.drops} == {10, 20}
    assert (run.counters.out_of_order, run.counters.decoded) == (2, 88)


@pytest.mark.parametrize("where", ["decoder", "encoder", "flush"])
def test_one_rung_that_fails_ends_the_session_and_is_reported_once(where):
    class Broken(ScalingDecoder):
        def decode(self, packet):
            if where == "decoder" or (where == "flush" and packet is None):
                raise RuntimeError("planted")
            return super().decode(packet)

    class BrokenEncoder(X264Encoder):
        def encode(self, picture):
            raise RuntimeError("planted")

    def decoder(rung, avcc):
        return (Broken if rung.name == "90p30" else ScalingDecoder)(rung, avcc)

    def encoder(rung):
        broken = where == "encoder" and rung.name == "90p30"
        return (BrokenEncoder if broken else X264Encoder)(rung, preset="ultrafast")

    rungs = ladder((320, 180, 30), (160, 90, 30))
    run = Run(clip().packets(), rungs, open=opens(decoder=decoder, encoder=encoder))
    assert [str(error) for error in run.errors] == ["planted"]
    assert threads_left() == []


class Losing(ScalingDecoder):
    """Loses one frame, and stands still before or after it for another rung."""

    def __init__(self, rung: Rung, avcc: bytes, *, lost: int, before: threading.Event, after: threading.Event) -> None:
        super().__init__(rung, avcc)
        self.lost, self.before, self.after = lost, before, after

    def decode(self, packet):
        found = super().decode(packet)
        if [picture.pts for picture in found] == [self.lost]:
            assert self.before.wait(10.0)
            return []
        if [picture.pts for picture in found] == [self.lost + 2]:
            self.after.set()
        return found


def run_with_a_loss(lost: int, *, last: str) -> Run:
    """Return a run in which one rung loses a frame before, or after, the other has decoded it."""
    loser_may, other_may = threading.Event(), threading.Event()
    (loser_may if last == "other" else other_may).set()

    class Other(ScalingDecoder):
        def decode(self, packet):
            if packet is not None and packet.pts == lost:
                assert other_may.wait(10.0)
            if packet is not None and packet.pts == lost + 2:
                loser_may.set()
            return super().decode(packet)

    def decoder(rung, avcc):
        if rung.name == "180p30":
            return Other(rung, avcc)
        return Losing(rung, avcc, lost=lost, before=loser_may, after=other_may)

    return Run(clip(gop=30).packets(), ladder((320, 180, 30), (160, 90, 30)), open=opens(decoder=decoder))


def test_a_frame_that_a_rung_loses_after_another_has_it_is_missing_in_that_rung_alone():
    run = run_with_a_loss(7, last="loser")
    assert run.errors == [None]
    assert (run.counters.decoded, run.counters.undecodable, run.counters.out_of_order) == (150, 0, 0)
    assert [len(run.by_rung[rung]) for rung in ("180p30", "90p30")] == [150, 149]


def test_rungs_part_at_no_segment_but_fail():
    (error,) = run_with_a_loss(60, last="loser").errors
    assert "rung '90p30': the frame that starts segment 2 did not leave its decoder" in str(error)


def test_a_frame_that_a_rung_loses_before_another_has_it_is_missing_in_both():
    run = run_with_a_loss(60, last="other")
    assert run.errors == [None]
    for encoded in run.by_rung.values():
        assert [packet.frame_index for packet in encoded if packet.is_keyframe] == [0, 61, 120]
        assert len(encoded) == 149
    assert (run.counters.decoded, run.counters.out_of_order) == (149, 1)


@pytest.mark.parametrize("open_session", [opens, opens_threaded], ids=["a decoder per rung", "one decoder"])
def test_a_rung_that_fails_ends_the_session_while_the_publisher_still_sends(open_session):
    class Broken(X264Encoder):
        def encode(self, picture):
            raise RuntimeError("planted")

    def encoder(rung):
        return (Broken if rung.name == "90p30" else X264Encoder)(rung, preset="ultrafast")

    ended, errors = threading.Event(), []

    def note(error):
        errors.append(error)
        ended.set()

    packets = clip().packets()
    rungs = ladder((320, 180, 30), (160, 90, 30))
    session = open_session(encoder=encoder)(packets[0].avcc, rungs, lambda packet: None, ended=note)
    for packet in packets:
        session.feed(packet)
    assert ended.wait(30.0), "nobody closed the session, but it must end"
    assert [str(error) for error in errors] == ["planted"]
    assert session.join(10.0)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), rungs=st.integers(1, 4), frames=st.integers(1, 40))
def test_whatever_the_rungs_paces_and_losses_all_find_the_same_verdicts_and_the_books_balance(data, rungs, frames):
    counters, marks = LadderCounters(), RecordingMarks()
    undecodable: list[int] = []
    verdicts = SharedVerdicts(
        0.2, rungs=rungs, stream="test", counters=counters, marks=marks, undecodable=undecodable.append
    )
    steps = data.draw(st.lists(st.integers(-3000, 9000), min_size=frames, max_size=frames))
    first = clip().packets()[0]
    packets = [dataclasses.replace(first, index=n, pts=90_000 + pts) for n, pts in enumerate(accumulate(steps))]
    lost = [data.draw(st.sets(st.integers(0, frames - 1))) for _ in range(rungs)]
    for packet in packets:
        verdicts.expect(packet.index, hand_out_cpu_s=0.0)
    found = [{} for _ in range(rungs)]
    turns = data.draw(st.permutations([rung for rung in range(rungs) for _ in range(frames)]))
    at = [0] * rungs
    for rung in turns:
        packet, at[rung] = packets[at[rung]], at[rung] + 1
        if packet.index in lost[rung]:
            verdicts.lost(packet.index)
        else:
            found[rung][packet.index] = verdicts.shown(packet)
    for index in range(frames):
        assert len({told[index] for told in found if index in told}) <= 1
    assert sorted(undecodable) == sorted(set.intersection(*lost))
    assert (len(marks.decodes), len(marks.drops)) == (counters.decoded, counters.out_of_order)
    assert sorted([mark.frame for mark in marks.decodes + marks.drops] + undecodable) == list(range(frames))
    assert len(verdicts) == 0


def test_rungs_at_very_different_paces_remember_no_more_than_they_are_apart():
    """A minute of frames whose verdicts are asked for by rungs up to 30 frames apart, every tenth undecodable."""
    marks, counters = RecordingMarks(), LadderCounters()
    undecodable: list[int] = []
    verdicts = SharedVerdicts(
        2.0, rungs=2, stream="test", counters=counters, marks=marks, undecodable=undecodable.append
    )
    first, most = clip().packets()[0], 0
    packets = [dataclasses.replace(first, index=index, pts=3000 * index) for index in range(1800)]
    starts = []

    def tell(index: int) -> None:
        if index % 10 == 9:
            verdicts.lost(index)
        elif verdicts.shown(packets[index]).starts_segment:
            starts.append(index)

    for index in range(1800 + 30):
        if index < 1800:
            verdicts.expect(index, hand_out_cpu_s=0.0)
            tell(index)
        if index >= 30:
            tell(index - 30)
        most = max(most, len(verdicts))
    assert most <= 31
    assert len(verdicts) == 0
    assert sorted(starts) == sorted(2 * list(range(0, 1800, 60)))
    assert counters.decoded == 1620
    assert undecodable == list(range(9, 1800, 10))
