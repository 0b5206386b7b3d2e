"""Codec names and ADTS headers: the same as FFmpeg writes, and a named reason for what they cannot say."""

from __future__ import annotations

import re
import subprocess

import av
import pytest

from pipeline.hls.codec_parameters import AacFormat, UnsupportedMedia, avc1_codec


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (22050, 2)])
def test_adts_headers_are_those_of_ffmpeg(rate, channels, tmp_path):
    flv, adts = tmp_path / "a.flv", tmp_path / "a.aac"
    source = ["-f", "lavfi", "-i", f"sine=r={rate}", "-t", "1", "-ac", str(channels), "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-v", "error", *source, str(flv)], check=True, timeout=30)
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(flv), "-c", "copy", str(adts)], check=True, timeout=30)
    with av.open(flv) as container:
        config = bytes(container.streams.audio[0].codec_context.extradata)
        aac = AacFormat.from_config(config)
        ours = b"".join(aac.adts(bytes(packet)) for packet in container.demux() if packet.size)
    assert ours == adts.read_bytes()
    assert (aac.sample_rate_hz, aac.codec) == (rate, "mp4a.40.2")


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"\x12", "less than 2"),
        (b"\xf8\x10", "object type 31"),
        (b"\x17\x90", "sample rate"),
        (b"\x12\x00", "channel layout"),
    ],
)
def test_aac_that_adts_cannot_express_is_refused_by_name(config, why):
    with pytest.raises(UnsupportedMedia, match=why):
        AacFormat.from_config(config)


def test_an_aac_frame_too_long_for_adts_is_refused():
    aac = AacFormat.from_config(b"\x12\x10")
    assert len(aac.adts(bytes(8184))) == 8191
    with pytest.raises(UnsupportedMedia, match="8185 bytes"):
        aac.adts(bytes(8185))


@pytest.mark.requires_ffmpeg
@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_codec_names_are_those_of_ffmpegs_own_playlist(profile, tmp_path):
    source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30", "-t", "1", "-pix_fmt", "yuv420p"]
    encoder = ["-c:v", "libx264", "-profile:v", profile, "-b:v", "300k", "-bsf:v", "dump_extra"]
    hls = ["-f", "hls", "-hls_segment_type", "fmp4", "-master_pl_name", "main.m3u8", str(tmp_path / "v.m3u8")]
    subprocess.run(["ffmpeg", "-v", "error", *source, *encoder, *hls], check=True, timeout=30)
    to_annex_b = ["-i", str(tmp_path / "v.m3u8"), "-c", "copy", "-f", "h264", "-"]
    h264 = subprocess.run(["ffmpeg", "-v", "error", *to_annex_b], capture_output=True, check=True, timeout=30)
    theirs = re.search(r'CODECS="([^"]+)"', (tmp_path / "main.m3u8").read_text())
    assert theirs is not None
    assert avc1_codec(h264.stdout) == theirs[1]
