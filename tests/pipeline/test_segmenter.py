"""Rungs of any codec cut into segments: B-frames, IDR pictures that start none, changes of format; by ffprobe."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import av
import pytest
from encoded import ASC, FPS, FRAME, START, coded, made_of, rung, sound
from segments import IN_EITHER_CONTAINER, joined, probe

from pipeline.hls.boxes import boxes
from pipeline.hls.codec_parameters import AacFormat
from pipeline.hls.containers import CONTAINERS, FMP4, MPEGTS
from pipeline.hls.decoder_config import codec_name
from pipeline.hls.fragments import decode_spans, tracks
from pipeline.hls.segmenter import AudioUnit
from pipeline.ladders.backend import TICKS_PER_S
from scenarios.errors import ScenarioError
from scenarios.ladder import Ladder

WITH_AND_WITHOUT_B_FRAMES = pytest.mark.parametrize("b_frames", [0, 2])
CODECS = pytest.mark.parametrize(
    ("codec", "b_frames", "container"),
    [
        pytest.param(codec, b_frames, container, id=f"{codec}-{b_frames}-{container.name}")
        for codec, b_frames in (("h264", 0), ("h264", 2), ("hevc", 0), ("hevc", 2), ("av1", 0))
        for container in CONTAINERS.values()
        if codec in container.codecs
    ],
)


def decoded_frames(file: bytes) -> int:
    """Return how many pictures ffmpeg decodes, strictly, from a file that nothing comes before."""
    command = ["ffmpeg", "-v", "error", "-xerror", "-i", "-", "-map", "0:v", "-f", "framecrc", "-"]
    answer = subprocess.run(command, input=file, capture_output=True, check=True, timeout=60)
    assert not answer.stderr, answer.stderr.decode()
    return sum(not line.startswith(b"#") for line in answer.stdout.splitlines())


@pytest.mark.requires_ffmpeg
@CODECS
def test_each_segment_stands_alone_and_only_the_rung_says_where_one_starts(codec, b_frames, container):
    """The encoder makes an IDR picture every half second; a segment starts at every second one."""
    packets = coded(codec, b_frames=b_frames)
    segments = made_of(packets, container, codec=codec).window.kept
    assert [segment.duration_s for segment in segments] == [1.0, 1.0, 1.0]
    for number, segment in enumerate(segments):
        video = probe(segment)["video"]
        assert len(video) == decoded_frames(joined((segment,))) == FPS
        sent = packets[FPS * number : FPS * (number + 1)]
        assert [(int(p["pts"]), int(p["dts"])) for p in video] == [(packet.pts, packet.dts) for packet in sent]
        assert video[0]["flags"].startswith("K")


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
@WITH_AND_WITHOUT_B_FRAMES
def test_segments_of_any_length_are_cut_where_they_start(container, b_frames):
    """A publisher's own keyframes: here at 0, 0.5, 2 and 2.5 s."""
    starts = {START + round(second * TICKS_PER_S) for second in (0, 0.5, 2, 2.5)}
    packets = [replace(packet, is_keyframe=packet.pts in starts) for packet in coded(b_frames=b_frames)]
    segments = made_of(packets, container).window.kept
    assert [segment.duration_s for segment in segments] == [0.5, 1.5, 0.5, 0.5]
    assert [len(probe(segment)["video"]) for segment in segments] == [15, 45, 15, 15]


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
@WITH_AND_WITHOUT_B_FRAMES
def test_audio_lies_beside_the_video_and_goes_on_from_segment_to_segment(container, b_frames):
    units = sound()
    segments = made_of(coded(b_frames=b_frames), container, audio=units).window.kept
    packets = [probe(segment) for segment in segments]
    assert [segment.duration_s for segment in segments] == [1.0, 1.0, 1.0]
    times_s = [float(packet["pts_time"]) for each in packets for packet in each["audio"]]
    assert len(times_s) == len(units)
    assert times_s == pytest.approx([unit.pts / TICKS_PER_S for unit in units], abs=0.001)
    for each in packets:
        video_s, audio_s = (float(each[kind][0]["dts_time"]) for kind in ("video", "audio"))
        assert 0 <= audio_s - video_s < (3 + b_frames) / FPS, "within a frame of either kind"


@WITH_AND_WITHOUT_B_FRAMES
def test_decode_times_of_fmp4_continue_to_the_tick_in_every_track(b_frames):
    segments = made_of(coded(b_frames=b_frames), FMP4, audio=sound()).window.kept
    spans = [decode_spans(segment.data, tracks(segment.init.data)) for segment in segments]
    assert spans[0][1].start_s == coded(b_frames=b_frames)[0].dts / TICKS_PER_S
    for former, span in pairwise(spans):
        assert [span[track].start_s for track in (1, 2)] == [former[track].end_s for track in (1, 2)]


def test_an_fmp4_segment_is_one_moof_and_its_mdat_and_the_init_moves_nothing():
    segments = made_of(coded(b_frames=2), FMP4, audio=sound()).window.kept
    assert [[box.kind for box in boxes(segment.data)] for segment in segments] == [[b"moof", b"mdat"]] * 3
    init = segments[0].init
    assert {segment.init for segment in segments} == {init}
    assert [box.kind for box in boxes(init.data)] == [b"ftyp", b"moov"]
    assert not [trak.all(b"edts") for moov in list(boxes(init.data))[1:] for trak in moov.all(b"trak", b"edts")]


@IN_EITHER_CONTAINER
def test_audio_that_ends_or_pauses_holds_nothing_back(container):
    units = [unit for unit in sound() if not START + 45_000 < unit.pts < START + 200_000]
    segments = made_of(coded(), container, audio=units).window.kept
    assert [segment.duration_s for segment in segments] == [1.0, 1.0, 1.0]
    assert not any(segment.discontinuity for segment in segments)


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_audio_times_that_hardly_rise_are_muxed_all_the_same(container):
    """What the timeline makes of a publisher that sends a burst at one instant: a tick between two frames."""
    aac = AacFormat.from_config(ASC)
    burst = [AudioUnit(START + 18_000 + tick, unit.adts, aac) for tick, unit in enumerate(sound()[:40])]
    late = [unit for unit in sound() if unit.pts > START + 45_000]
    segments = made_of(coded(), container, audio=[*burst, *late]).window.kept
    assert sum(len(probe(segment)["audio"]) for segment in segments) == len(burst) + len(late)


@pytest.mark.requires_ffmpeg
@IN_EITHER_CONTAINER
def test_audio_that_starts_late_comes_in_at_the_next_segment_though_it_is_never_ahead_of_the_video(container):
    units = [unit for unit in sound() if unit.pts > START + 60_000]
    segments = made_of(coded(), container, audio=units).window.kept
    assert [segment.discontinuity for segment in segments] == [False, True, False]
    expected = sum(unit.pts >= START + TICKS_PER_S for unit in units)
    assert not probe(segments[0])["audio"]
    assert sum(len(probe(segment)["audio"]) for segment in segments) == expected


@IN_EITHER_CONTAINER
def test_another_picture_is_a_discontinuity_and_the_first_one_again_has_its_init_again(container):
    """A source that is passed on as it comes may change its size; a decoder must then be set up anew."""
    wide, narrow = coded(), coded(width=160)
    packets = [*wide[:FPS], *narrow[FPS : 2 * FPS], *wide[2 * FPS :]]
    segments = made_of(packets, container).window.kept
    assert [segment.discontinuity for segment in segments] == [False, True, True]
    assert [segment.duration_s for segment in segments] == [1.0, 1.0, 1.0]
    if container is FMP4:
        assert [segment.init.number for segment in segments] == [0, 1, 0]
    else:
        assert [segment.init for segment in segments] == [None] * 3


def test_a_publisher_that_returns_with_the_same_streams_needs_no_other_init():
    store = made_of(coded(), FMP4, audio=sound())
    store.interrupt()
    made_of(coded(), FMP4, audio=sound(), store=store)
    assert [segment.init.number for segment in store.window.kept] == [0] * 6
    assert [segment.discontinuity for segment in store.window.kept] == [False] * 3 + [True, False, False]


@pytest.mark.parametrize("depth", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
def test_codec_names_are_those_of_ffmpegs_multivariant_playlist(encoder, depth):
    files: dict[str, bytes] = {}

    class File:
        def __init__(self, url: str) -> None:
            self.url, self.data = url, b""

        def write(self, data: bytes) -> int:
            self.data += data
            return len(data)

        def close(self) -> None:
            files[self.url] = self.data

    options = {"hls_segment_type": "fmp4", "master_pl_name": "main.m3u8", "hls_segment_filename": "mem:%d.m4s"}
    open_file = lambda url, flags, options: File(url)  # noqa: E731
    with av.open("mem:v.m3u8", "w", format="hls", io_open=open_file, options=options) as container:
        quiet = {"x265-params": "log-level=none"} if encoder == "libx265" else {}
        video = container.add_stream(encoder, rate=FPS, width=320, height=180, pix_fmt=depth, options=quiet)
        video.bit_rate = 300_000
        if encoder == "libx265":
            video.codec_context.codec_tag = "hvc1"
        for number in range(FPS):
            picture = av.VideoFrame(320, 180, depth)
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    assert f'CODECS="{codec_name(files["init.mp4"])}"'.encode() in files["main.m3u8"]


def test_an_init_segment_without_video_has_no_codec_name():
    init = made_of(coded(), FMP4).window.kept[0].init.data
    with pytest.raises(ValueError, match="no video"):
        codec_name(init.replace(b"avc1", b"mp4a"))


@pytest.mark.parametrize("codec", ["hevc", "av1"])
def test_a_codec_that_a_container_may_not_carry_is_refused_with_what_to_do(codec):
    ladder = Ladder(rungs=(rung(codec),))
    with pytest.raises(ScenarioError, match=r"rungs\.rung\.codec: .* is not carried in MPEG-TS.*use --segments fmp4"):
        MPEGTS.check(ladder)
    FMP4.check(ladder)
    MPEGTS.check(Ladder(rungs=(rung(),)))
    assert FRAME * FPS == TICKS_PER_S
