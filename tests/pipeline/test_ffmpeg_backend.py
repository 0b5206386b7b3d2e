"""The ffmpeg ladder keeps the promises of the x264 one, frame for frame; its process never outlives its session."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import threading
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from clips import clip, ladder

from pipeline.ladders import LADDER_BACKENDS, choice, ffmpeg_process
from pipeline.ladders.backend import RungPacket, SourcePacket
from pipeline.ladders.choice import choose_backend
from pipeline.ladders.ffmpeg import NOT_INSTALLED, Ledger
from pipeline.ladders.ffmpeg_command import stamp
from pipeline.ladders.ffmpeg_process import KEPT_BYTES, KEPT_LINES, FfmpegFailed, explain_ffmpeg
from pipeline.ladders.nal_units import annex_b, nal_units
from pipeline.ladders.probe import EncoderProbe, probe_nvenc
from pipeline.marks import RecordingMarks
from scenarios.errors import EncoderUnavailable
from scenarios.ladder import Ladder

TIMEOUT_S = 20.0
IDR, SPS, PPS = 5, 7, 8
THREE_RUNGS = ladder((320, 180, 60), (240, 136, 60), (160, 90, 30))
BACKENDS = ["x264", pytest.param("ffmpeg", marks=pytest.mark.requires_ffmpeg)]
both = pytest.mark.parametrize("backend", BACKENDS)


class Run:
    """One session fed with everything as fast as it takes it, and what came out of it."""

    def __init__(self, backend: str, packets: list[SourcePacket], rungs: Ladder, **options) -> None:
        self.by_rung: dict[str, list[RungPacket]] = defaultdict(list)
        self.errors: list[BaseException | None] = []
        self.marks = RecordingMarks()
        self._emit_hook = options.pop("emit", lambda packet: None)
        pause_s, at = options.pop("pause_s", None), options.pop("at", {})
        made = LADDER_BACKENDS[backend](**options)
        self.session = made.open(
            packets[0].avcc, rungs, self._emit, ended=self.errors.append, stream="test", marks=self.marks
        )
        for number, packet in enumerate(packets):
            self.session.feed(packet)
            time.sleep(pause_s) if pause_s is not None else self._wait_for_room()
            if number in at:
                at[number]()
        self.session.close()
        assert self.session.join(TIMEOUT_S), "the session did not end"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("test/")]

    def _emit(self, packet: RungPacket) -> None:
        self._emit_hook(packet)
        self.by_rung[packet.rung].append(packet)

    def _wait_for_room(self) -> None:
        until_s = time.monotonic() + TIMEOUT_S
        while self.counters.fed - self.counters.decoded - self.counters.dropped > 100 and not self.errors:
            assert time.monotonic() < until_s, "the session stands still"
            time.sleep(0.002)

    @property
    def counters(self):
        return self.session.counters

    @property
    def decisions(self) -> dict[str, list[tuple[int, int, bool, int]]]:
        """What every rung's frames are, but for their coded data."""
        return {
            rung: [(packet.pts, packet.frame_index, packet.is_keyframe, packet.epoch) for packet in packets]
            for rung, packets in self.by_rung.items()
        }


def pictures(packets: list[RungPacket]) -> list[av.VideoFrame]:
    """Decode with a decoder that was told nothing but the packets."""
    decoder = av.CodecContext.create("h264", "r")
    found = []
    for packet in packets:
        coded = av.Packet(packet.data)
        coded.pts = packet.pts
        found += decoder.decode(coded)
    return found + decoder.decode(None)


BEFORE: set[int] = set()


@pytest.fixture(autouse=True)
def note_children() -> None:
    """Note who is there already: process pools of other tests keep a tracker for the whole run."""
    BEFORE.clear()
    BEFORE.update(children())


def children() -> list[int]:
    """Return the processes started since the test began and not yet reaped, zombies too."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended; another has inherited
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return [pid for pid in found if pid not in BEFORE]


def only_child() -> int:
    """Return the process of the one session, once it has started."""
    until_s = time.monotonic() + TIMEOUT_S
    while not children() and time.monotonic() < until_s:
        time.sleep(0.005)
    (pid,) = children()
    return pid


@both
@pytest.mark.parametrize(("gop", "b_frames"), [(77, 2), (1, 0)], ids=["b-frames", "all-intra"])
def test_every_frame_comes_out_once_at_its_time_and_segments_start_together(backend, gop, b_frames):
    packets = clip(seconds=3.0, fps=60, gop=gop, b_frames=b_frames).packets()
    run = Run(backend, packets, THREE_RUNGS)
    assert run.errors == [None]
    wanted = sorted(packet.pts for packet in packets)
    assert [packet.pts for packet in run.by_rung["180p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["136p60"]] == wanted
    assert [packet.pts for packet in run.by_rung["90p30"]] == wanted[::2]
    by_index = {packet.index: packet for packet in packets}
    boundary = next(pts for pts in wanted if pts >= wanted[0] + 180_000)
    for rung in THREE_RUNGS.rungs:
        encoded = run.by_rung[rung.name]
        assert [packet.pts for packet in encoded if packet.is_keyframe] == [wanted[0], boundary]
        assert all(packet.pts == by_index[packet.frame_index].pts for packet in encoded)
        assert all(packet.arrival_s == by_index[packet.frame_index].arrival_s for packet in encoded)
        assert all(a.dts < b.dts <= b.pts for a, b in pairwise(encoded))
        shown = pictures(encoded)
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}
        assert [picture.pts for picture in shown] == [packet.pts for packet in encoded]
        assert run.counters.encoded[rung.name] == len(encoded)
    assert run.counters.fed == run.counters.decoded == len(packets)
    assert children() == []


@both
def test_only_keyframes_are_idr_and_each_carries_its_parameter_sets(backend):
    run = Run(backend, clip(seconds=3.0, gop=1).packets(), ladder((320, 180, 30)))
    assert sum(packet.is_keyframe for packet in run.by_rung["180p30"]) == 2
    for packet in run.by_rung["180p30"]:
        types = [piece[0] & 0x1F for piece in packet.data.split(b"\0\0\1")[1:]]
        assert (IDR in types) == (SPS in types) == (PPS in types) == packet.is_keyframe


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("seed", [1, 2])
def test_with_irregular_times_both_backends_decide_alike(seed):
    """Jitter, holes of up to three segments, and new epochs in the middle of a group of pictures."""
    generator = np.random.default_rng(seed)
    packets = clip(seconds=5.0, fps=60, gop=77).packets()
    steps = 1500 + generator.integers(-700, 700, len(packets))
    steps[generator.integers(1, len(packets), 6)] += generator.integers(90_000, 500_000, 6)
    pts = 12_345 + np.cumsum(steps)
    epochs = np.searchsorted(np.sort(generator.integers(1, len(packets), 3)), np.arange(len(packets)), "right")
    moved = [
        dataclasses.replace(packet, pts=int(at), dts=int(at), epoch=int(epoch))
        for packet, at, epoch in zip(packets, pts, epochs, strict=True)
    ]
    rungs = ladder((160, 90, 60), (128, 72, 30), (96, 54, 24), segment_s=1.5)
    ours, reference = Run("ffmpeg", moved, rungs), Run("x264", moved, rungs)
    assert ours.errors == reference.errors == [None]
    assert sum(is_keyframe for _, _, is_keyframe, _ in reference.decisions["90p60"]) > 8
    assert ours.decisions == reference.decisions
    assert dataclasses.asdict(ours.counters) == dataclasses.asdict(reference.counters)


@both
def test_damage_and_times_that_step_back_are_counted_and_do_not_end_the_stream(backend):
    packets = clip(seconds=3.0, gop=30).packets()
    packets[10] = dataclasses.replace(packets[10], data=b"\xff" * 100)
    packets[40] = dataclasses.replace(packets[40], pts=packets[39].pts)
    packets[50] = dataclasses.replace(packets[50], pts=packets[35].pts, epoch=1)
    run = Run(backend, packets, ladder((320, 180, 30)))
    assert run.errors == [None]
    assert (run.counters.undecodable, run.counters.out_of_order, run.counters.decoded) == (1, 2, 87)
    assert {mark.frame for mark in run.marks.drops} == {10, 40, 50}
    assert [packet.frame_index for packet in run.by_rung["180p30"]] == [n for n in range(90) if n not in (10, 40, 50)]
    assert [packet.frame_index for packet in run.by_rung["180p30"] if packet.is_keyframe] == [0, 60]


@both
def test_a_frame_of_noise_inside_whole_nal_units_does_not_end_the_stream(backend):
    packets = clip(seconds=2.0, gop=30).packets()
    packets[10] = dataclasses.replace(packets[10], data=b"\0\0\0\x20\x01" + b"\xaa" * 31)
    run = Run(backend, packets, ladder((320, 180, 30)))
    assert run.errors == [None]
    counters = run.counters
    assert counters.fed == 60 == counters.decoded + counters.undecodable
    assert len(run.by_rung["180p30"]) == counters.decoded >= 59


@both
def test_a_flood_of_frames_within_an_instant_is_thinned_to_the_rungs_rate(backend):
    packets = [dataclasses.replace(packet, pts=9000 + packet.index) for packet in clip(seconds=1.0).packets()]
    run = Run(backend, packets, ladder((320, 180, 30)))
    assert run.errors == [None]
    assert [packet.pts for packet in run.by_rung["180p30"]] == [9000]


@both
def test_a_change_of_the_publishers_picture_size_leaves_the_rungs_as_they_are(backend):
    before, after = clip(seconds=2.0).packets(), clip(seconds=2.0, width=480, height=270, gop=30).packets()
    later = before[-1].dts + 3000 - after[0].dts
    moved = [
        dataclasses.replace(packet, index=60 + packet.index, pts=packet.pts + later, dts=packet.dts + later)
        for packet in after
    ]
    run = Run(backend, before + moved, THREE_RUNGS)
    assert run.errors == [None]
    for rung in THREE_RUNGS.rungs:
        shown = pictures(run.by_rung[rung.name])
        assert len(shown) == 120
        assert {(picture.width, picture.height) for picture in shown} == {(rung.width, rung.height)}


@both
def test_overload_drops_whole_groups_of_pictures_and_counts_them(backend):
    packets = clip(seconds=15.0, gop=15, width=160, height=90).packets()
    breather = {350: lambda: time.sleep(1.0)}
    slow = {"emit": lambda packet: time.sleep(0.005), "pause_s": 0.001, "at": breather}
    run = Run(backend, packets, ladder((160, 90, 30)), **slow)
    counters, encoded = run.counters, run.by_rung["90p30"]
    assert run.errors == [None]
    assert counters.dropped > 50
    assert counters.fed == len(packets) == counters.dropped + counters.decoded
    assert {mark.frame for mark in run.marks.drops} == set(range(450)) - {p.frame_index for p in encoded}
    resumed = [b.frame_index for a, b in pairwise(encoded) if b.frame_index > a.frame_index + 1]
    assert resumed
    assert all(packets[index].is_keyframe for index in resumed)
    assert not any(picture.is_corrupt for picture in pictures(encoded))


@both
def test_an_error_of_a_rung_ends_the_session_and_is_reported_once(backend):
    def broken(packet):
        if packet.rung == "90p30" and packet.frame_index > 30:
            raise RuntimeError("planted")

    run = Run(backend, clip(seconds=3.0).packets(), ladder((320, 180, 30), (160, 90, 30)), emit=broken)
    assert [str(error) for error in run.errors] == ["planted"]
    assert children() == []


@both
def test_a_session_that_was_given_nothing_ends_without_an_error(backend):
    made, ended = LADDER_BACKENDS[backend](), []
    session = made.open(clip().packets()[0].avcc, ladder((320, 180, 30)), lambda packet: None, ended=ended.append)
    session.close()
    session.close()
    assert session.join(TIMEOUT_S)
    assert ended == [None]


@both
def test_other_codecs_are_refused(backend):
    rungs = ladder((320, 180, 30))
    hevc = rungs.model_copy(update={"rungs": (rungs.rungs[0].model_copy(update={"codec": "hevc"}),)})
    with pytest.raises(EncoderUnavailable, match=r"180p30 \(hevc\)"):
        LADDER_BACKENDS[backend]().open(b"", hevc, lambda packet: None)


@pytest.mark.requires_ffmpeg
def test_a_process_that_is_killed_is_reported_and_reaped():
    kill = {45: lambda: os.kill(only_child(), signal.SIGKILL)}
    run = Run("ffmpeg", clip(seconds=3.0).packets(), ladder((320, 180, 30)), at=kill)
    (error,) = run.errors
    assert isinstance(error, FfmpegFailed)
    assert "ended by signal 9" in str(error)
    assert children() == []


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("last", [10, 89], ids=["while it is fed", "while it is flushed"])
def test_a_process_that_hangs_is_killed_and_reaped(monkeypatch, last):
    monkeypatch.setattr(ffmpeg_process, "STALL_S", 0.5)

    packets = clip(seconds=3.0, width=480, height=270, gop=30).packets()
    stop = {last: lambda: os.kill(only_child(), signal.SIGSTOP)}
    run = Run("ffmpeg", packets, ladder((320, 180, 30)), at=stop, pause_s=0.001)
    (error,) = run.errors
    assert "stood still" in str(error)
    assert children() == []


@pytest.mark.requires_ffmpeg
def test_the_process_is_paid_for_in_cpu_seconds_and_no_stage_is_made_up():
    run = Run("ffmpeg", clip(seconds=3.0).packets(), ladder((320, 180, 30)))
    assert 0.01 < run.session.cpu_s < 20
    assert run.marks.decodes == run.marks.encodes == []


@pytest.mark.requires_ffmpeg
def test_nvenc_without_a_gpu_says_why():
    if probe_nvenc().available:
        pytest.skip("requires_nvenc: this machine has NVENC")
    run = Run("ffmpeg", clip(seconds=2.0).packets(), ladder((320, 180, 30)), encoder="h264_nvenc")
    (error,) = run.errors
    assert isinstance(error, EncoderUnavailable)
    assert "NVIDIA" in str(error)
    assert children() == []


def test_the_messages_of_a_process_are_explained_by_the_table_or_quoted_whole():
    lines = ["[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: unsupported device (2)", "No capable devices"]
    known = explain_ffmpeg(1, lines)
    assert isinstance(known, EncoderUnavailable)
    assert "no NVENC engine" in str(known)
    unknown = explain_ffmpeg(1, ["first", "last"])
    assert isinstance(unknown, FfmpegFailed)
    assert str(unknown) == "ffmpeg ended with status 1; it said: first; last"


def test_what_is_kept_of_the_messages_is_bounded(tmp_path):
    talker = tmp_path / "talker"
    talker.write_text("#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' 'x' >&2\nexit 3\n", encoding="utf-8")
    talker.chmod(0o755)
    process = ffmpeg_process.FfmpegProcess(
        lambda decoded_fd, rung_fds: [str(talker)], rungs=["a"], fps=30.0, decoded=print, encoded=print
    )
    with pytest.raises(FfmpegFailed, match="status 3") as caught:
        process.finish()
    assert len(str(caught.value)) < KEPT_LINES * (KEPT_BYTES + 2) + 100


def test_lengths_that_do_not_add_up_are_no_frame():
    assert annex_b(nal_units(b"\0\0\0\2ab\0\0\0\1c")) == b"\0\0\0\1ab\0\0\0\1c"
    for broken in (b"\0\0\0\3ab", b"\0\0\0\0", b"\0\0\0\2ab\0\0"):
        with pytest.raises(ValueError, match="cut short"):
            nal_units(broken)


def test_ffmpeg_is_chosen_when_asked_for_with_what_the_gpu_offers(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/ffmpeg")
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc", reason="planted reason"))
    backend, why = choose_backend("ffmpeg")
    assert backend.name == "ffmpeg"
    assert why == "encoder ffmpeg, as asked: libx264 on the CPU, since planted reason"
    monkeypatch.setattr(choice, "probe_nvenc", lambda: EncoderProbe("h264_nvenc"))
    assert choose_backend("ffmpeg").why == "encoder ffmpeg, as asked: scale_cuda and h264_nvenc on the GPU"
    assert choose_backend("auto").backend.name == "x264"


def test_a_missing_ffmpeg_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    with pytest.raises(EncoderUnavailable) as caught:
        choose_backend("ffmpeg")
    assert str(caught.value) == NOT_INSTALLED == "ffmpeg is not installed; apt install ffmpeg"


def test_unknown_encoders_and_presets_are_refused():
    with pytest.raises(EncoderUnavailable, match="libx264, h264_nvenc"):
        LADDER_BACKENDS["ffmpeg"](encoder="libx265")
    with pytest.raises(EncoderUnavailable, match="placebo"):
        LADDER_BACKENDS["ffmpeg"](preset="placebo")


def test_the_ledger_remembers_only_what_is_on_its_way():
    """Minutes of frames, every tenth undecodable, one rung that keeps every second frame."""
    book = Ledger(["all", "half"], segment_s=2.0)
    first = clip().packets()[0]
    most = lost = 0
    for index in range(5000):
        packet = dataclasses.replace(first, index=index, pts=3000 * index)
        book.feed(packet)
        if index % 10 == 9:
            continue
        frame, gone = book.show(stamp(packet.pts, 0), after_pts=-1)
        lost += len(gone)
        assert book.take("all", stamp(packet.pts, 0)) is frame
        if index % 2 == 0:
            book.take("half", stamp(packet.pts, 0))
        most = max(most, len(book._shown) + len(book._fed))
    assert most < 10
    assert lost + len(book.undecoded()) == 500
    with pytest.raises(RuntimeError, match="not given"):
        book.show(1, after_pts=-1)
    with pytest.raises(RuntimeError, match="of no frame that was decoded"):
        book.take("all", 1)
