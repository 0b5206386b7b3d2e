"""FLV tag bodies and the frames made of them: what is read, dropped and refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_samples import ASC, AUDIO, AUDIO_HEADER, AVCC, INTERFRAME, KEYFRAME, VIDEO_HEADER

from pipeline.rtmp import flv
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.frames import AudioFrame, FrameAssembler, VideoFrame


def test_the_four_kinds_of_tag():
    assert flv.parse_video(VIDEO_HEADER) == flv.AvcSequenceHeader(AVCC)
    assert flv.parse_video(KEYFRAME) == flv.CodedVideo(True, 0, KEYFRAME[5:])
    assert flv.parse_video(INTERFRAME) == flv.CodedVideo(False, 40, INTERFRAME[5:])
    assert flv.parse_audio(AUDIO_HEADER) == flv.AacSequenceHeader(ASC)
    assert flv.parse_audio(AUDIO) == flv.CodedAudio(b"raw aac")


@pytest.mark.parametrize(
    ("field", "composition_ms"), [("000000", 0), ("7fffff", 8388607), ("ffffff", -1), ("800000", -8388608)]
)
def test_the_composition_time_is_signed(field, composition_ms):
    tag = flv.parse_video(b"\x27\1" + bytes.fromhex(field) + b"nal")
    assert tag == flv.CodedVideo(False, composition_ms, b"nal")


def test_tags_without_media_are_passed_over():
    assert flv.parse_video(b"\x17\2\0\0\0") is None, "end of sequence"
    assert flv.parse_video(b"\x57\0") is None, "player command"
    assert flv.parse_audio(b"") is None, "silence"


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        (b"\x90hvc1" + bytes(9), "HEVC (enhanced RTMP)"),
        (b"\x91av01" + bytes(9), "AV1 (enhanced RTMP)"),
        (b"\x91vp09", "VP9 (enhanced RTMP)"),
        (b"\x91avc1", "H.264 (enhanced RTMP)"),
        (b"\x91\x00\xff", "FourCC 0x00ff (enhanced RTMP)"),
        (b"\x1c\0\0\0\0", "HEVC"),
        (b"\x12", "Sorenson H.263"),
        (b"\x1f", "video codec 15"),
    ],
)
def test_other_video_is_refused_by_name(body, codec):
    with pytest.raises(RtmpError) as refusal:
        flv.parse_video(body)
    assert str(refusal.value) == f"only H.264 video and AAC audio; got {codec}"


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        (b"\x91Opus", "Opus (enhanced RTMP)"),
        (b"\x90mp4a", "AAC (enhanced RTMP)"),
        (b"\x2f", "MP3"),
        (b"\xb6", "Speex"),
        (b"\xd0", "audio codec 13"),
    ],
)
def test_other_audio_is_refused_by_name(body, codec):
    with pytest.raises(RtmpError) as refusal:
        flv.parse_audio(body)
    assert str(refusal.value) == f"only H.264 video and AAC audio; got {codec}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "0 bytes"),
        (b"\x17\0\0\0", "4 bytes"),
        (b"\x17\3\0\0\0", "packet type 3"),
        (b"\x17\0\0\0\0", "no avcC"),
        (b"\x17\0\0\0\0" + b"\0" + AVCC[1:], "no avcC"),
        (b"\x17\0\0\0\0" + AVCC[:5] + b"\xe0" + AVCC[6:], "without SPS"),
        (b"\x17\0\0\0\0" + AVCC[:12], "without SPS or PPS"),
    ],
)
def test_video_bodies_that_are_no_tags(body, reason):
    with pytest.raises(RtmpError, match=reason):
        flv.parse_video(body)


def test_every_truncation_of_a_sequence_header_is_refused():
    for length in range(len(VIDEO_HEADER)):
        with pytest.raises(RtmpError):
            flv.parse_video(VIDEO_HEADER[:length])
    for length in range(1, len(AUDIO_HEADER)):
        with pytest.raises(RtmpError):
            flv.parse_audio(AUDIO_HEADER[:length])


@given(st.sampled_from([b"", b"\x17\0\0\0\0\1", b"\xaf", b"\x90"]), st.binary(max_size=40))
@settings(deadline=None, max_examples=500)
def test_noise_raises_nothing_else(start, noise):
    for parse in (flv.parse_video, flv.parse_audio):
        with contextlib.suppress(RtmpError):
            parse(start + noise)


def test_frames_carry_both_timestamps_and_their_configuration():
    frames = FrameAssembler()
    assert frames.video(0, VIDEO_HEADER) is None
    assert frames.audio(0, AUDIO_HEADER) is None
    assert frames.video(2**32 + 5, INTERFRAME) == VideoFrame(2**32 + 45, 2**32 + 5, False, INTERFRAME[5:], AVCC)
    assert frames.audio(7, AUDIO) == AudioFrame(7, b"raw aac", ASC)
    assert frames.dropped == 0


def test_media_before_its_header_is_dropped_and_counted():
    frames = FrameAssembler()
    assert frames.video(0, KEYFRAME) is None
    assert frames.audio(0, AUDIO) is None
    frames.audio(0, AUDIO_HEADER)
    assert frames.video(0, KEYFRAME) is None
    assert frames.audio(0, AUDIO) is not None
    assert frames.dropped == 3


def test_a_changed_header_takes_effect_and_a_repeated_one_is_the_same_object():
    frames, other = FrameAssembler(), AVCC[:3] + b"\x1f" + AVCC[4:]
    frames.video(0, VIDEO_HEADER)
    first = frames.video(0, KEYFRAME)
    frames.video(0, VIDEO_HEADER)
    assert frames.video(0, KEYFRAME).avcc is first.avcc
    frames.video(0, b"\x17\0\0\0\0" + other)
    assert frames.video(0, KEYFRAME).avcc == other
