"""The source clip: made once, found again, remade when damaged, and what FFmpeg says it is."""

from __future__ import annotations

import importlib.util
import json
import subprocess

import pytest

from pipeline.load.clip import LOOP_S, frames_of, source_clip, tone_of
from pipeline.load.flv_file import read_tags
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Source

SMALL = Source(width=320, height=180, fps=30.0, bitrate_bps=400e3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def clip(folder):
    return source_clip(SMALL, folder=folder)


def test_a_clip_loops_in_whole_groups_of_pictures(clip):
    header, frames = frames_of(clip.path)
    assert header.timestamp_ms == 0
    assert len(frames) == clip.content.frames == LOOP_S * 30
    assert [i for i, frame in enumerate(frames) if frame.is_keyframe] == list(range(0, 300, 60))
    assert [frame.timestamp_ms for frame in frames[:4]] == [0, 33, 67, 100]
    assert clip.content.source.bitrate_bps == pytest.approx(SMALL.bitrate_bps, rel=0.15)


@pytest.mark.requires_ffmpeg
def test_ffprobe_agrees(clip):
    command = ["ffprobe", "-v", "error", "-show_packets", "-show_streams", "-of", "json", str(clip.path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    (stream,) = told["streams"]
    assert (stream["codec_name"], stream["width"], stream["height"], stream["has_b_frames"]) == ("h264", 320, 180, 0)
    _, frames = frames_of(clip.path)
    assert [round(float(packet["dts_time"]) * 1e3) for packet in told["packets"]] == [f.timestamp_ms for f in frames]
    assert [int(packet["size"]) for packet in told["packets"]] == [len(frame.body) - 5 for frame in frames]


def test_a_clip_is_made_once(clip, folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # PyAV would be missed
    assert source_clip(SMALL, folder=folder) == clip


def test_a_damaged_clip_is_made_again(clip, folder, tmp_path):
    copy = tmp_path / clip.path.name
    copy.write_bytes(clip.path.read_bytes()[:-1000])
    remade = source_clip(SMALL, folder=tmp_path)
    assert remade.content == clip.content
    assert [path.name for path in tmp_path.iterdir()] == [clip.path.name]


def test_without_pyav_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotReady, match=r"PyAV is not installed.*pip install"):
        source_clip(SMALL, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="cannot be written"):
        source_clip(SMALL, folder=tmp_path / "file" / "cache")


def test_another_codec_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"H\.264 only, the source is hevc"):
        source_clip(SMALL.model_copy(update={"codec": "hevc"}), folder=tmp_path)


def test_what_is_no_clip_is_refused(tmp_path):
    file = tmp_path / "x.flv"
    file.write_bytes(b"GIF89a")
    with pytest.raises(NotReady, match="not an FLV file"):
        read_tags(file)


def test_a_tag_that_is_cut_short_is_refused(clip, tmp_path):
    file = tmp_path / "x.flv"
    file.write_bytes(clip.path.read_bytes()[:-50])
    with pytest.raises(NotReady, match="cut short"):
        read_tags(file)


@pytest.mark.requires_ffmpeg
def test_variants_of_a_clip_are_files_of_their_own_and_ffprobe_hears_the_tone(clip, folder):
    toned = source_clip(SMALL, content="screen", numbered=True, tone=True, folder=folder)
    assert toned.path.name.startswith("screen-numbered-tone-320x180p30-400k-1-")
    assert clip.path.exists()
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,channels", "-of", "csv=p=0"]
    told = subprocess.run([*command, str(toned.path)], capture_output=True, check=True, text=True).stdout.split()
    assert told == ["h264", "aac,48000,2"]
    header, tone = tone_of(toned.path)
    assert header.is_header
    assert len(tone) == 64
    assert tone_of(clip.path) == (None, ())


def test_content_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="no content 'opera'; choose from camera, screen, game"):
        source_clip(SMALL, content="opera", folder=tmp_path)
