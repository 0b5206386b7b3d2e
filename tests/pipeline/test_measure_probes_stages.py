"""Thread CPU of stages that are too short for marks: what the clocks count, what they cost, and what they leave out."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import asdict

import pytest
from encoded import coded, rung, sound
from rtmp_samples import AUDIO, AUDIO_HEADER, INTERFRAME, KEYFRAME, VIDEO_HEADER

from pipeline.broadcast import Broadcast
from pipeline.hls.containers import MPEGTS
from pipeline.hls.mpegts import MpegTsMuxer
from pipeline.hls.segmenter import RungSegmenter
from pipeline.hls.store import RungStore, Store
from pipeline.ladders.backend import RungPacket
from pipeline.marks import STILL_CLOCK, NoMarks, RecordingMarks, StageClock
from pipeline.measure.child import Child
from pipeline.measure.load_run import fresh_keys
from pipeline.measure.server import ServerConfig
from pipeline.rtmp import flv
from pipeline.rtmp.frames import FrameAssembler
from scenarios.ladder import Ladder, Rung

LADDER = Ladder(segment_s=1.0, rungs=(Rung(name="low", width=160, height=90, fps=15.0, bitrate_bps=100e3),))
BURNT_S = 0.002


def burn(cpu_s: float = BURNT_S) -> None:
    until_s = time.thread_time() + cpu_s
    while time.thread_time() < until_s:
        pass


def burning(original):
    """Return the function with some CPU before it."""

    def slow(*arguments, **options):
        burn()
        return original(*arguments, **options)

    return slow


class Silent:
    """A ladder session, or a packager, that takes everything."""

    def feed(self, packet):
        pass

    def audio(self, unit):
        pass


def fed(marks, frames: int) -> float:
    """Give a broadcast so many messages of each kind; return the thread CPU per pair of them."""
    broadcast = Broadcast(Store().stream("cam", LADDER), backend=None, marks=marks)
    broadcast._session = broadcast._packager = Silent()
    assembler = FrameAssembler()
    assembler.time_with(demux=broadcast.demux_clock, audio=broadcast.audio_clock)
    assembler.video(0, VIDEO_HEADER)
    assembler.audio(0, AUDIO_HEADER)
    began_s = time.thread_time()
    for number in range(frames):
        video = assembler.video(33 * number, INTERFRAME if number % 30 else KEYFRAME)
        broadcast.video(video, number / 30)
        broadcast.audio(assembler.audio(33 * number, AUDIO), number / 30)
    return (time.thread_time() - began_s) / frames


def test_a_clock_counts_the_cpu_of_its_own_thread_and_no_waiting():
    clock = StageClock()
    other = threading.Thread(target=burn, args=(0.2,))
    clock.start()
    other.start()
    burn(0.01)
    time.sleep(0.05)
    other.join()
    clock.stop()
    assert 0.01 <= clock.cpu_s < 0.05


def test_a_start_that_was_never_stopped_is_forgotten():
    clock = StageClock()
    clock.start()
    burn(0.05)
    clock.start()
    clock.stop()
    assert clock.cpu_s < 0.05


def test_clocks_of_all_threads_add_up_and_a_stage_that_never_ran_is_unknown():
    marks = RecordingMarks()
    assert marks.cpu_s("demux") is None
    for clock in (marks.clock("demux"), marks.clock("demux")):
        clock.start()
        burn(0.01)
        clock.stop()
    assert 0.02 <= marks.cpu_s("demux") < 0.03
    assert marks.cpu_s("audio") is None


def test_what_parsing_costs_shows_in_its_stage_alone(monkeypatch):
    plain, slow_video, slow_audio = RecordingMarks(), RecordingMarks(), RecordingMarks()
    fed(plain, 100)
    with monkeypatch.context() as patch:
        patch.setattr(flv, "parse_video", burning(flv.parse_video))
        fed(slow_video, 100)
    with monkeypatch.context() as patch:
        patch.setattr(flv, "parse_audio", burning(flv.parse_audio))
        fed(slow_audio, 100)
    assert slow_video.cpu_s("demux") >= 100 * BURNT_S > 5 * plain.cpu_s("demux")
    assert slow_audio.cpu_s("audio") >= 100 * BURNT_S > 5 * plain.cpu_s("audio")
    assert slow_video.cpu_s("audio") < 100 * BURNT_S / 5
    assert slow_audio.cpu_s("demux") < 100 * BURNT_S / 5


def test_clocks_that_nobody_reads_cost_next_to_nothing():
    marks = RecordingMarks()
    fed(marks, 3000)
    demux_s = marks.cpu_s("demux") / 3000
    pairs = []
    for _ in range(5):
        began_s = time.thread_time()
        for _ in range(10_000):
            STILL_CLOCK.start()
            STILL_CLOCK.stop()
        pairs.append((time.thread_time() - began_s) / 10_000)
    assert NoMarks().clock("demux") is STILL_CLOCK
    assert STILL_CLOCK.cpu_s == 0
    assert 2 * min(pairs) < 0.1 * demux_s  # a message passes two of them


def test_muxing_audio_is_audio_and_not_muxing(monkeypatch):
    units = sound()
    marks = RecordingMarks()
    with monkeypatch.context() as patch:
        patch.setattr(MpegTsMuxer, "audio", burning(MpegTsMuxer.audio))
        segmented(units, marks)
    taken = sum(unit.pts <= max(packet.pts for packet in coded()) for unit in units)
    assert marks.cpu_s("audio") > 0.9 * taken * BURNT_S
    assert sum(mark.cpu_s for mark in marks.muxes) < taken * BURNT_S / 3


def segmented(units, marks) -> None:
    store = RungStore(rung(), segment_s=1.0, listed=100, container=MPEGTS)
    segmenter = RungSegmenter(store, stream="test", segment_s=1.0, unix_offset_s=0.0, marks=marks)
    for item in sorted([*coded(), *units], key=lambda item: item.dts if isinstance(item, RungPacket) else item.pts):
        (segmenter.video if isinstance(item, RungPacket) else segmenter.audio)(item)
    segmenter.close()


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("has_audio", [True, False])
def test_a_server_reports_the_stages_of_what_ffmpeg_publishes(has_audio):
    report = published(has_audio)
    start, end = report["start"], report["end"]
    spent = {name: end[name] - start[name] for name in ("cpu_s", "event_loop_cpu_s", "demux_cpu_s")}
    assert 0 < spent["demux_cpu_s"] < spent["event_loop_cpu_s"] < spent["cpu_s"]
    if has_audio:
        assert 0 <= start["audio_cpu_s"] < end["audio_cpu_s"] < spent["cpu_s"]
    else:
        assert start["audio_cpu_s"] is end["audio_cpu_s"] is None
    assert 1e7 < report["idle_rss_bytes"] < start["peak_rss_bytes"] <= end["peak_rss_bytes"]


def published(has_audio: bool) -> dict:
    (key,), digests = fresh_keys(1)
    with Child("pipeline.measure.server") as server:
        server.tell(asdict(ServerConfig(LADDER.model_dump(mode="json"), "x264", "ultrafast", digests)))
        port = server.hear(30.0)["port"]
        picture = ["-re", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=30"]
        tone = ["-f", "lavfi", "-i", "sine"] if has_audio else []
        codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-c:a", "aac", "-t", "30", "-f", "flv"]
        command = ["ffmpeg", "-v", "error", *picture, *tone, *codecs, f"rtmp://127.0.0.1:{port}/live/{key}"]
        with subprocess.Popen(command) as ffmpeg:
            start_s = time.monotonic() + 1.5
            server.tell({"window_start_s": start_s, "window_end_s": start_s + 2.0})
            time.sleep(4.0)
            server.tell({"stop": True})
            report = server.hear(30.0)
            ffmpeg.kill()
    return report
