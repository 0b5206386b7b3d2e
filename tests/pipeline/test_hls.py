"""Segments, playlists and the store: against ffprobe, a second playlist parser, and hostile timestamps."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import subprocess
import threading
import time
from itertools import pairwise

import pytest
from clips import Clip, clip, ladder

from pipeline.broadcast import Broadcast
from pipeline.hls.playlist import media_playlist, multivariant_playlist
from pipeline.hls.store import KEPT_SEGMENTS, LISTED_SEGMENTS, RungStore, Segment, Store, StreamStore, Window
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.frames import AudioFrame, VideoFrame

TIMEOUT_S = 30.0
TWO_RUNGS = ladder((320, 180, 30), (160, 90, 15))


class Published:
    """A broadcast to send frames to as quickly as it takes them, and what was published of it."""

    def __init__(self, stream: StreamStore | None = None, after: threading.Event | None = None) -> None:
        self.stream = stream or StreamStore("test", TWO_RUNGS, listed=100)
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


def probe(data: bytes) -> dict[str, list[dict[str, str]]]:
    """Return ffprobe's packets of one MPEG-TS, by kind of stream."""
    command = ["ffprobe", "-v", "error", "-show_packets", "-show_streams", "-of", "json", "-f", "mpegts", "-"]
    answer = subprocess.run(command, input=data, capture_output=True, check=True, timeout=30)
    assert not answer.stderr, answer.stderr.decode()
    found = json.loads(answer.stdout)
    return {
        kind: [packet for packet in found["packets"] if packet["codec_type"] == kind] for kind in ("video", "audio")
    }


def moved(frames, by_ms: int) -> list[VideoFrame | AudioFrame]:
    return [
        dataclasses.replace(frame, pts_ms=frame.pts_ms + by_ms, dts_ms=frame.dts_ms + by_ms)
        if isinstance(frame, VideoFrame)
        else dataclasses.replace(frame, pts_ms=frame.pts_ms + by_ms)
        for frame in frames
    ]


def parse(playlist: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the tags of a media playlist, and those of each segment with its `uri`; strict about order."""
    lines = playlist.splitlines()
    assert lines[0] == "#EXTM3U"
    assert playlist.endswith("\n")
    header: dict[str, str] = {}
    segments: list[dict[str, str]] = []
    pending: dict[str, str] = {}
    for line in lines[1:]:
        if not line.startswith("#"):
            segments.append(pending | {"uri": line})
            pending = {}
            continue
        tag, _, value = line.removeprefix("#").partition(":")
        of_segment = tag in ("EXTINF", "EXT-X-DISCONTINUITY", "EXT-X-PROGRAM-DATE-TIME")
        (pending if of_segment else header)[tag] = value
    assert not pending
    return header, segments


@pytest.mark.requires_ffmpeg
def test_segments_hold_every_frame_and_start_together():
    source = clip(seconds=6.0, gop=77, b_frames=2, audio=True)
    published = publish(source.frames)
    starts = {}
    for rung, frames in (("180p30", 180), ("90p15", 90)):
        segments = published.segments(rung)
        assert [segment.sequence for segment in segments] == [0, 1, 2]
        packets = [probe(segment.data) for segment in segments]
        assert sum(len(each["video"]) for each in packets) == frames
        assert all(each["video"][0]["flags"].startswith("K") for each in packets)
        assert all(packet["flags"][0] == "_" for each in packets for packet in each["video"][1:])
        starts[rung] = [each["video"][0]["pts"] for each in packets]
        assert [segment.duration_s for segment in segments[:2]] == pytest.approx([2.0, 2.0], abs=0.002)
    assert starts["180p30"] == starts["90p15"]


@pytest.mark.requires_ffmpeg
def test_audio_passes_through_unbroken_and_undamaged():
    source = clip(seconds=6.0, audio=True)
    data = b"".join(segment.data for segment in publish(source.frames).segments())
    packets = probe(data)["audio"]
    first_video_ms = source.video[0].pts_ms
    sent = [frame for frame in source.audio if frame.pts_ms >= first_video_ms]
    assert len(packets) == len(sent)
    assert [int(packet["size"]) for packet in packets] == [len(frame.payload) + 7 for frame in sent]
    times = [int(packet["pts"]) for packet in packets]
    assert [b - a for a, b in pairwise(times)] == [90 * (b.pts_ms - a.pts_ms) for a, b in pairwise(sent)]
    video_at = int(probe(data)["video"][0]["pts"])
    assert times[0] - video_at == 90 * (sent[0].pts_ms - first_video_ms)


@pytest.mark.requires_ffmpeg
def test_video_alone_is_served():
    published = publish(clip(seconds=5.0).frames)
    assert len(published.segments()) == 3
    assert published.stream.rungs["180p30"].window.codecs == ("avc1.42c00d",)
    assert probe(published.segments()[0].data)["audio"] == []


def test_audio_alone_is_refused_by_name_and_does_not_hang():
    audio = clip(seconds=8.0, audio=True).audio
    with pytest.raises(RtmpError, match="no video within 5 s"):
        publish(audio)


def test_nothing_at_all_finishes_too():
    assert publish([]).segments() == ()


@pytest.mark.requires_ffmpeg
def test_audio_that_starts_late_comes_in_after_one_discontinuity():
    source = clip(seconds=8.0, audio=True)
    late = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms > 3000]
    segments = publish(late).segments()
    assert [segment.discontinuity for segment in segments] == [False, False, True, False]
    with_audio = [bool(probe(segment.data)["audio"]) for segment in segments]
    assert with_audio == [False, False, True, True]


@pytest.mark.requires_ffmpeg
def test_audio_that_starts_a_little_late_costs_nothing():
    source = clip(seconds=5.0, audio=True)
    late = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms > 300]
    segments = publish(late).segments()
    assert not any(segment.discontinuity for segment in segments)
    assert all(probe(segment.data)["audio"] for segment in segments)


def test_video_goes_on_when_the_audio_stops():
    source = clip(seconds=8.0, audio=True)
    early = [frame for frame in source.frames if isinstance(frame, VideoFrame) or frame.pts_ms < 2500]
    segments = publish(early).segments()
    assert [segment.duration_s for segment in segments] == pytest.approx([2.0] * 4, abs=0.01)


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("jump_ms", [3_600_000, -3_000, 2**32 - 5_000])
def test_a_jump_of_the_publishers_clock_is_a_discontinuity_and_loses_no_frame(jump_ms):
    source = clip(seconds=5.0, audio=True)
    frames = [*source.frames, *moved(source.frames, source.video[-1].pts_ms + jump_ms)]
    published = publish(frames)
    for rung, count in (("180p30", 300), ("90p15", 150)):
        segments = published.segments(rung)
        assert [segment.discontinuity for segment in segments] == [False, False, False, True, False, False]
        assert sum(len(probe(segment.data)["video"]) for segment in segments) == count
        assert max(segment.duration_s for segment in segments) < 2.1
    header, entries = parse(media_playlist(published.stream.rungs["180p30"].window))
    assert [n for n, entry in enumerate(entries) if "EXT-X-DISCONTINUITY" in entry] == [3]
    assert header["EXT-X-TARGETDURATION"] == "2"


def test_a_returning_publisher_continues_the_numbers_after_a_discontinuity():
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


def test_a_change_of_the_audio_format_is_a_discontinuity():
    source = clip(seconds=6.0, audio=True)
    mono = b"\x12\x08"
    frames = [
        dataclasses.replace(frame, asc=mono) if isinstance(frame, AudioFrame) and frame.pts_ms > 2500 else frame
        for frame in source.frames
    ]
    segments = publish(frames).segments()
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


def test_marks_say_when_each_segment_was_closed_and_by_which_frame():
    source = clip(seconds=6.0)
    published = publish(source.frames)
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


def store_with(count: int, *, duration_s: float = 2.0, broken: tuple[int, ...] = ()) -> RungStore:
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=2.0, listed=LISTED_SEGMENTS)
    for number in range(count):
        store.append(
            bytes(50_000),
            duration_s=duration_s,
            unix_s=1_700_000_000.0 + 2 * number,
            codecs=("avc1.42c01f",),
            discontinuity=number in broken,
        )
    return store


def test_a_media_playlist_lists_the_window():
    header, entries = parse(media_playlist(store_with(10).window))
    assert header["EXT-X-TARGETDURATION"] == "2"
    assert header["EXT-X-MEDIA-SEQUENCE"] == "4"
    assert "EXT-X-INDEPENDENT-SEGMENTS" in header
    assert "EXT-X-ENDLIST" not in header
    assert [entry["uri"] for entry in entries] == [f"{number}.ts" for number in range(4, 10)]
    assert [entry["EXTINF"] for entry in entries] == ["2.00000,"] * 6
    dates = [datetime.datetime.fromisoformat(entry["EXT-X-PROGRAM-DATE-TIME"]) for entry in entries]
    assert dates[0].timestamp() == 1_700_000_008.0
    assert {(b - a).total_seconds() for a, b in pairwise(dates)} == {2.0}


def test_what_has_left_the_list_can_still_be_fetched_for_a_while():
    window = store_with(20).window
    assert [number for number in range(20) if window.find(number)] == list(
        range(20 - LISTED_SEGMENTS - KEPT_SEGMENTS, 20)
    )
    assert window.find(20) is None
    assert window.find(-1) is None


@pytest.mark.parametrize(("count", "tagged", "sequence"), [(6, [2], 0), (8, [0], 0), (9, [], 1), (20, [], 1)])
def test_a_discontinuity_that_slides_out_is_counted(count, tagged, sequence):
    header, entries = parse(media_playlist(store_with(count, broken=(2,)).window))
    assert [n for n, entry in enumerate(entries) if "EXT-X-DISCONTINUITY" in entry] == tagged
    assert header["EXT-X-DISCONTINUITY-SEQUENCE"] == str(sequence)


@pytest.mark.parametrize(("duration_s", "target_s"), [(1.9, 2), (2.49, 2), (2.5, 3), (4.6, 5)])
def test_no_listed_duration_rounds_above_the_target(duration_s, target_s):
    assert store_with(1, duration_s=duration_s).window.target_duration_s == target_s


@pytest.mark.parametrize(("segment_s", "target_s"), [(0.4, 1), (2.0, 2), (2.5, 3), (6.0, 6)])
def test_the_target_is_known_before_the_first_segment(segment_s, target_s):
    store = RungStore(TWO_RUNGS.rungs[0], segment_s=segment_s, listed=LISTED_SEGMENTS)
    assert store.window.target_duration_s == target_s


def test_an_empty_playlist_is_an_error_not_an_answer():
    with pytest.raises(ValueError, match="needs a segment"):
        media_playlist(Window(limit=6, target_duration_s=2))
    with pytest.raises(ValueError, match="without a segment"):
        multivariant_playlist(StreamStore("test", TWO_RUNGS))


def test_a_multivariant_playlist_tells_measured_rates():
    stream = StreamStore("test", TWO_RUNGS)
    for rung, sizes in {"180p30": (30_000, 150_000), "90p15": (1_000, 2_000)}.items():
        for size in sizes:
            stream.rungs[rung].append(bytes(size), duration_s=2.0, unix_s=0.0, codecs=("avc1.42c01f", "mp4a.40.2"))
    stream.rungs["180p30"].append(bytes(99_000), duration_s=0.1, unix_s=0.0, codecs=("avc1.42c01f", "mp4a.40.2"))
    lines = multivariant_playlist(stream).splitlines()
    variants = [
        dict(re.findall(r'([A-Z-]+)=("[^"]*"|[^,]*)', line.split(":", 1)[1]))
        for line in lines
        if line.startswith("#EXT-X-STREAM-INF")
    ]
    assert [line for line in lines if not line.startswith("#")] == ["180p30/index.m3u8", "90p15/index.m3u8"]
    assert variants[0]["BANDWIDTH"] == "600000", "the second segment; the third is too short to count"
    assert variants[0]["AVERAGE-BANDWIDTH"] == str(round(8 * 279_000 / 4.1))
    assert variants[1]["BANDWIDTH"] == "250000", "never below the encoder's target"
    assert variants[0]["CODECS"] == '"avc1.42c01f,mp4a.40.2"'
    assert (variants[0]["RESOLUTION"], variants[1]["FRAME-RATE"]) == ("320x180", "15.000")


def test_a_stream_of_another_ladder_is_a_mistake():
    store = Store()
    store.stream("one", TWO_RUNGS)
    with pytest.raises(ValueError, match="another ladder"):
        store.stream("one", ladder((320, 180, 30)))


def test_a_clip_is_what_the_tests_take_it_for():
    source: Clip = clip(seconds=5.0, audio=True)
    assert [len(source.video), source.video[0].is_keyframe, source.video[60].is_keyframe] == [150, True, True]
    assert len(source.audio) == pytest.approx(5 * 44100 / 1024, abs=3)
