"""The ffmpeg ladder's command lines for the guide's ladder, whole, on the CPU and on a GPU."""

from __future__ import annotations

import subprocess

import pytest

from pipeline.ladders.ffmpeg_command import ffmpeg_command
from scenarios.ladder import Ladder, Rung

GUIDES_LADDER = Ladder(
    rungs=(
        Rung(name="1080p60", width=1920, height=1080, fps=60.0, bitrate_bps=6_000_000.0),
        Rung(name="720p60", width=1280, height=720, fps=60.0, bitrate_bps=4_500_000.0),
        Rung(name="480p30", width=854, height=480, fps=30.0, bitrate_bps=1_500_000.0),
    )
)
START = (
    "st(0,floor(round(t*1440000)/16));st(3,mod(round(t*1440000),16));"
    "if(eq(n,0)+not(eq(ld(2),ld(3))),st(2,ld(3));st(1,ld(0)+180000);1,"
    "if(gte(ld(0),ld(1)),st(1,ld(1)+(floor((ld(0)-ld(1)+90000)/180000)+1)*180000);1,0))"
)
KEEP = (
    f"if({START},st(4,ld(0));st(5,0);1,st(6,floor((ld(0)-ld(4))*FPS/90000+0.25));if(gt(ld(6),ld(5)),st(5,ld(6));1,0))"
)
LATER = "st(0,floor(round(t*1440000)/16)+1);if(gt(ld(0),max(ld(1),0)),st(1,ld(0));1,0)"
INPUT = (
    "/usr/bin/ffmpeg -nostdin -hide_banner -nostats -loglevel warning -max_error_rate 1 -copyts -probesize 32 "
    "-analyzeduration 0 -flags low_delay -threads 1"
)
DECODED = r"[0:v]metadata=mode=add:key=decoded:value=1,metadata=mode=print:file='pipe\:9':direct=1,select='LATER'"
OUTPUT = (
    "-force_key_frames expr:START -fps_mode passthrough -enc_time_base 1:1440000 -flags:v -global_header -f_strict -2 "
    "-flush_packets 1 -write_index 0 -syncpoints none -f nut"
)
X264 = "-preset ultrafast -tune zerolatency -g 100000 -sc_threshold 0 -forced-idr 1 -bf 0"
NVENC_END = "-bf 0 -g 100000 -rc-lookahead 0 -delay 0 -zerolatency 1 -no-scenecut 1 -forced-idr 1"
GOLDEN_X264 = (
    f"{INPUT} -f nut -i pipe:0 -filter_complex {DECODED},split=3[in0][in1][in2];"
    "[in0]select='KEEP60',scale=1920:1080:flags=bilinear,format=yuv420p[out0];"
    "[in1]select='KEEP60',scale=1280:720:flags=bilinear,format=yuv420p[out1];"
    "[in2]select='KEEP30',scale=854:480:flags=bilinear,format=yuv420p[out2] "
    f"-map [out0] -c:v libx264 -b:v 6000000 {X264} -maxrate 6000000 -bufsize 6000000 -threads 1 {OUTPUT} pipe:10 "
    f"-map [out1] -c:v libx264 -b:v 4500000 {X264} -maxrate 4500000 -bufsize 4500000 -threads 1 {OUTPUT} pipe:11 "
    f"-map [out2] -c:v libx264 -b:v 1500000 {X264} -maxrate 1500000 -bufsize 1500000 -threads 1 {OUTPUT} pipe:12"
)
GOLDEN_NVENC = (
    f"{INPUT} -hwaccel cuda -hwaccel_output_format cuda -extra_hw_frames 8 -f nut -i pipe:0 "
    f"-filter_complex {DECODED},split=3[in0][in1][in2];"
    "[in0]select='KEEP60',scale_cuda=1920:1080[out0];"
    "[in1]select='KEEP60',scale_cuda=1280:720[out1];"
    "[in2]select='KEEP30',scale_cuda=854:480[out2] "
    "-map [out0] -c:v h264_nvenc -b:v 6000000 -preset p4 -tune ll -rc cbr -maxrate 6000000 -bufsize 6000000 "
    f"{NVENC_END} {OUTPUT} pipe:10 "
    "-map [out1] -c:v h264_nvenc -b:v 4500000 -preset p4 -tune ll -rc cbr -maxrate 4500000 -bufsize 4500000 "
    f"{NVENC_END} {OUTPUT} pipe:11 "
    "-map [out2] -c:v h264_nvenc -b:v 3000000 -preset p4 -tune ll -rc cbr -maxrate 3000000 -bufsize 1500000 "
    f"{NVENC_END} {OUTPUT} pipe:12"
)


def guides_command(encoder: str) -> list[str]:
    rung_fds = {"1080p60": 10, "720p60": 11, "480p30": 12}
    return ffmpeg_command(
        GUIDES_LADDER, program="/usr/bin/ffmpeg", encoder=encoder, preset="ultrafast", decoded_fd=9, rung_fds=rung_fds
    )


@pytest.mark.parametrize(("encoder", "golden"), [("libx264", GOLDEN_X264), ("h264_nvenc", GOLDEN_NVENC)])
def test_the_command_for_the_guides_ladder(encoder, golden):
    written = {"KEEP60": KEEP.replace("FPS", "60"), "KEEP30": KEEP.replace("FPS", "30"), "LATER": LATER, "START": START}
    wanted = golden.split(" ")
    for name, expression in written.items():
        wanted = [argument.replace(name, expression) for argument in wanted]
    assert guides_command(encoder) == wanted


@pytest.mark.requires_ffmpeg
def test_the_installed_ffmpeg_has_every_option_and_filter_of_the_nvenc_form():
    def said(*arguments: str) -> str:
        return subprocess.run(["ffmpeg", "-hide_banner", *arguments], capture_output=True, text=True, check=True).stdout

    assert " scale_cuda " in said("-filters")
    own = ("-preset", "-tune", "-rc", "-rc-lookahead", "-delay", "-zerolatency", "-no-scenecut", "-forced-idr")
    form = said("-h", "encoder=h264_nvenc")
    for option in own:
        assert option in guides_command("h264_nvenc")
        assert f"  {option} " in form
