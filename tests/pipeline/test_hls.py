"""Segments of a broadcast, in either container: against ffprobe and hostile timestamps."""

from __future__ import annotations

import dataclasses
import threading
import time
from itertools import pairwise

import pytest
from clips import Clip, clip, ladder
from segments import IN_EITHER_CONTAINER, parse, probe

from pipeline.broadcast import Broadcast
from pipeline.hls.containers import MPEGTS, Container
from pipeline.hls.playlist import media_playlist
from pipeline.hls.store import Segment, StreamStore
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.frames import AudioFrame, VideoFrame

TIMEOUT_S = 30.0
TWO_RUNGS = ladder((320, 180, 30), (160, 90, 15))


class Published:
    """A broadcast to send frames to as quickly as it takes them, and what was published of it."""

    def __init__(
        self,
        stream: StreamStore | None = None,
        after: threading.Event | None = None,
        container: Container = MPEGTS,
    ) -> None:
        self.stream = stream or StreamStore("test", TWO_RUNGS, listed=100, container=container)
        self.marks = RecordingMarks()
        self.broadcast = Broadcast(self.stream, backend=X264Backend(), marks=self.marks, after=after)

    def send(self, frame: VideoFrame | AudioFrame) -> None:
        """Send one frame once the encoder has nearly caught up: audio and video stay as close as in life."""
        until_s = time.monotonic() + TIMEOUT_S
        while self._lag_frames() > 8:
            assert time.monotonic() < until_s, "the encoder does not catch up"
            time.sleep(0.001)
        if isinstance(frame, VideoFrame):
            self.broadcast.video(frame, arrival_s=frame.dts_ms / 1000)
        else:
            self.broadcast.audio(frame, arrival_s=frame.pts_ms / 1000)

    def _lag_frames(self) -> int:
        return len(self.marks.frames) - sum(mark.rung == "180p30" for mark in self.marks.encodes)

    def close(self) -> None:
        self.broadcast.close("unpublished")
        assert self.broadcast.finished.wait(TIMEOUT_S), "the broadcast did not finish"

    def segments(self, rung: str = "180p30") -> tuple[Segment, ...]:
        return self.stream.rungs[rung].window.kept


def publish(frames, **options) -> Published:
    """Return the broadcast of these frames, ended."""
    published = Published(**options)
    try:
        for frame in frames:
            published.send(frame)
    finally:
        published.close()
    return published


def moved(frames, by_ms: int) -> list[VideoFrame | AudioFrame]:
    return [
        dataclasses.replace(frame, pts_ms=frame.pts_ms + by_ms, dts_ms=frame.dts_ms + by_ms)
        if isinstance(frame, VideoFrame)
        else dataclasses.replace(frame, pts_ms=frame.pts_ms + by_ms)
        for frame in frames
    ]


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_segments_hold_every_frame_and_start_together(container):
    source = clip(seconds=6.0, gop=77, b_frames=2, audio=True)
    published = publish(source.frames, container=container)
    starts = {}
    for rung, frames in (("180p30", 180), ("90p15", 90)):
        segments = published.segments(rung)
        assert [segment.sequence for segment in segments] == [0, 1, 2]
        packets = [probe(segment) for segment in segments]
        assert sum(len(each["video"]) for each in packets) == frames
        assert all(each["video"][0]["flags"].startswith("K") for each in packets)
        assert all(packet["flags"][0] == "_" for each in packets for packet in each["video"][1:])
        starts[rung] = [each["video"][0]["pts"] for each in packets]
        assert [segment.duration_s for segment in segments[:2]] == pytest.approx([2.0, 2.0], abs=0.002)
    assert starts["180p30"] == starts["90p15"]


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_audio_passes_through_unbroken_and_undamaged(container):
    """MPEG-TS carries the publisher's rounded times; a track of fMP4 has a clock of its own, which samples fill."""
    source = clip(seconds=6.0, audio=True)
    packets = probe(*publish(source.frames, container=container).segments())
    first_video_ms = source.video[0].pts_ms
    sent = [frame for frame in source.audio if frame.pts_ms >= first_video_ms]
    header_bytes = 7 if container is MPEGTS else 0
    assert [int(packet["size"]) for packet in packets["audio"]] == [len(each.payload) + header_bytes for each in sent]
    steps = [int(b["pts"]) - int(a["pts"]) for a, b in pairwise(packets["audio"])]
    in_ticks = [90 * (b.pts_ms - a.pts_ms) for a, b in pairwise(sent)]
    assert steps == (in_ticks if container is MPEGTS else [1024] * (len(sent) - 1))
    late_s = float(packets["audio"][0]["pts_time"]) - float(packets["video"][0]["pts_time"])
    assert late_s == pytest.approx((sent[0].pts_ms - first_video_ms) / 1000, abs=1 / 44100)


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_video_alone_is_served(container):
    published = publish(clip(seconds=5.0).frames, container=container)
    assert len(published.segments()) == 3
    assert published.stream.rungs["180p30"].window.codecs == ("avc1.42c00d",)
    assert probe(published.segments()[0])["audio"] == []


def test_audio_alone_is_refused_by_name_and_does_not_hang():
    audio = clip(seconds=8.0, audio=True).audio
    with pytest.raises(RtmpError, match="no video within 5 s"):
        publish(audio)


def test_nothing_at_all_finishes_too():
    assert publish([]).segments() == ()


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_audio_that_starts_late_comes_in_after_one_discontinuity(container):
    source = clip(seconds=8.0, audio=True)
    late = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms > 3000]
    segments = publish(late, container=container).segments()
    assert [segment.discontinuity for segment in segments] == [False, False, True, False]
    with_audio = [bool(probe(segment)["audio"]) for segment in segments]
    assert with_audio == [False, False, True, True]


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_audio_that_starts_a_little_late_costs_nothing(container):
    source = clip(seconds=5.0, audio=True)
    late = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms > 300]
    segments = publish(late, container=container).segments()
    assert not any(segment.discontinuity for segment in segments)
    assert all(probe(segment)["audio"] for segment in segments)


@IN_EITHER_CONTAINER
def test_video_goes_on_when_the_audio_stops(container):
    source = clip(seconds=8.0, audio=True)
    early = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms < 2500]
    segments = publish(early, container=container).segments()
    assert [segment.duration_s for segment in segments] == pytest.approx([2.0] * 4, abs=0.01)


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("jump_ms", [3_600_000, -3_000, 2**32 - 5_000])
@IN_EITHER_CONTAINER
def test_a_jump_of_the_publishers_clock_is_a_discontinuity_and_loses_no_frame(container, jump_ms):
    source = clip(seconds=5.0, audio=True)
    frames = [*source.frames, *moved(source.frames, source.video[-1].pts_ms + jump_ms)]
    published = publish(frames, container=container)
    for rung, count in (("180p30", 300), ("90p15", 150)):
        segments = published.segments(rung)
        assert [segment.discontinuity for segment in segments] == [False, False, False, True, False, False]
        assert sum(len(probe(segment)["video"]) for segment in segments) == count
        assert max(segment.duration_s for segment in segments) < 2.1
    header, entries = parse(media_playlist(published.stream.rungs["180p30"].window))
    assert [n for n, entry in enumerate(entries) if "EXT-X-DISCONTINUITY" in entry] == [3]
    assert header["EXT-X-TARGETDURATION"] == "2"


@IN_EITHER_CONTAINER
def test_a_returning_publisher_continues_the_numbers_after_a_discontinuity(container):
    source = clip(seconds=5.0)
    stream = StreamStore("test", TWO_RUNGS, listed=100)
    first = publish(source.frames, stream=stream)
    stream.end()
    assert media_playlist(stream.rungs["180p30"].window).endswith("#EXT-X-ENDLIST\n")
    publish(source.frames, stream=stream, after=first.broadcast.finished)
    window = stream.rungs["180p30"].window
    assert [segment.sequence for segment in window.kept] == list(range(6))
    assert [segment.discontinuity for segment in window.kept] == [False] * 3 + [True, False, False]
    assert "#EXT-X-ENDLIST" not in media_playlist(window)


def test_a_new_broadcast_publishes_nothing_before_the_former_has_finished():
    former = threading.Event()
    stream = StreamStore("test", TWO_RUNGS, listed=100)
    broadcast = Broadcast(stream, backend=X264Backend(), after=former)
    for frame in clip(seconds=5.0).packets()[:100]:
        broadcast.video(VideoFrame(frame.pts // 90, frame.dts // 90, frame.is_keyframe, frame.data, frame.avcc), 0.0)
    broadcast.close("unpublished")
    assert not broadcast.finished.wait(0.5)
    assert not stream.rungs["180p30"].window.kept
    former.set()
    assert broadcast.finished.wait(TIMEOUT_S)
    assert stream.playable


@IN_EITHER_CONTAINER
def test_a_change_of_the_audio_format_is_a_discontinuity(container):
    source = clip(seconds=6.0, audio=True)
    mono = b"\x12\x08"
    frames = [
        dataclasses.replace(frame, asc=mono) if isinstance(frame, AudioFrame) and frame.pts_ms > 2500 else frame
        for frame in source.frames
    ]
    segments = publish(frames, container=container).segments()
    assert [segment.discontinuity for segment in segments] == [False, False, True]


def test_a_segment_that_grows_beyond_its_cap_ends_the_stream_by_name():
    """Audio that is sent without end at one instant: the stream ends, and what was published stays.

    The audio goes into both rungs; how far each one's video has come decides which passes its own cap first.
    """
    source = clip(seconds=8.0, audio=True)
    flood = AudioFrame(source.video[90].pts_ms, bytes(8000), source.audio[0].asc)
    published = Published()
    caps = r"segment too large: rung ('90p15' passed 1236076|'180p30' passed 1273576) bytes"
    with pytest.raises(RtmpError, match=caps):  # noqa: PT012
        for frame in [*source.frames[:240], *[flood] * 300, *source.frames[240:]]:
            published.send(frame)
    published.close()
    assert [segment.sequence for segment in published.segments()] == [0]


@IN_EITHER_CONTAINER
def test_marks_say_when_each_segment_was_closed_and_by_which_frame(container):
    source = clip(seconds=6.0)
    published = publish(source.frames, container=container)
    marks = [mark for mark in published.marks.segments if mark.rung == "90p15"]
    arrivals = [frame.dts_ms / 1000 for frame in source.video]
    assert [mark.segment for mark in marks] == [0, 1, 2]
    assert [mark.first_arrival_s for mark in marks] == [arrivals[0], arrivals[60], arrivals[120]]
    assert [mark.closing_arrival_s for mark in marks] == [arrivals[60], arrivals[120], None]
    assert [mark.bytes for mark in marks] == [len(segment.data) for segment in published.segments("90p15")]
    muxed = {mark.frame: mark.at_s for mark in published.marks.muxes if mark.rung == "90p15"}
    assert marks[0].closed_s <= muxed[60]
    assert marks[0].closed_s >= muxed[58]
    assert len(muxed) == 90


def test_a_clip_is_what_the_tests_take_it_for():
    source: Clip = clip(seconds=5.0, audio=True)
    assert [len(source.video), source.video[0].is_keyframe, source.video[60].is_keyframe] == [150, True, True]
    assert len(source.audio) == pytest.approx(5 * 44100 / 1024, abs=3)
