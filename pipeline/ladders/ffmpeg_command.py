"""The command line of the `ffmpeg` backend: one process that decodes once and encodes every rung.

All decisions that `pipeline.ladders.pacing` makes in Python are made here by FFmpeg's own expressions, in the same
arithmetic, so that a rung keeps the same frames and starts its segments at the same ones. Where a copied rung has
decided the latter, its decision rides in the timestamps. The GPU form (`scale_cuda`
and h264_nvenc, decoding by NVDEC) is tested as text and by its refusal; it has never run on a GPU with NVENC.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.ladders.backend import TICKS_PER_S
from pipeline.ladders.nvenc_options import nvenc_options
from pipeline.ladders.pacing import SLOT_TOLERANCE, grid_s
from pipeline.ladders.x264 import x264_options
from scenarios.ladder import Ladder, Rung

PARTS = 16
"""Stamps per tick: a frame's part, modulo this, rides in its timestamp, the one thing that crosses FFmpeg whole."""
STAMPS_PER_S = TICKS_PER_S * PARTS
NVDEC_SPARE_FRAMES = 8
"""Frames beyond the decoder's own that its finite pool must hold while filters and encoders work on them."""
NUT_OPTIONS = {"flush_packets": "1", "write_index": "0", "syncpoints": "none"}
"""Every packet at once, and no points to seek to: both ends would remember each of them for as long as they run."""

ENCODERS = ("libx264", "h264_nvenc")
_STAMP = f"round(t*{STAMPS_PER_S})"


def stamp(pts: int, part: int) -> int:
    """Return the timestamp that a frame carries through FFmpeg, in units of 1/`STAMPS_PER_S` s."""
    return pts * PARTS + part % PARTS


def nominal_fps(ladder: Ladder) -> float:
    """Return the frame rate declared for the input; encoders plan with it, timestamps rule."""
    return max(rung.fps for rung in ladder.rungs)


def segment_start_expression(segment_s: float) -> str:
    """Return an expression of `t` and `n` that is 1 at the first frame of a segment: `KeyframeSchedule`.

    It keeps, in its registers: 0 pts, 1 the next boundary, 2 the part before, 3 this part.
    """
    segment = round(segment_s * TICKS_PER_S)
    missed = f"floor((ld(0)-ld(1)+{segment // 2})/{segment})"
    return (
        f"st(0,floor({_STAMP}/{PARTS}));st(3,mod({_STAMP},{PARTS}));"
        f"if(eq(n,0)+not(eq(ld(2),ld(3))),st(2,ld(3));st(1,ld(0)+{segment});1,"
        f"if(gte(ld(0),ld(1)),st(1,ld(1)+({missed}+1)*{segment});1,0))"
    )


def pacing_expression(fps: float, segment_s: float) -> str:
    """Return an expression that is 1 at each frame that a rung of this rate keeps: `FramePacer`.

    Registers beside those of the segment: 4 the segment's first pts, 5 the slot of the last frame kept, 6 this slot.
    """
    slot = f"floor((ld(0)-ld(4))*{fps:g}/{TICKS_PER_S}+{SLOT_TOLERANCE:g})"
    return (
        f"if({segment_start_expression(segment_s)},st(4,ld(0));st(5,0);1,"
        f"st(6,{slot});if(gt(ld(6),ld(5)),st(5,ld(6));1,0))"
    )


def ffmpeg_command(
    ladder: Ladder,
    *,
    program: str,
    encoder: str,
    preset: str,
    decoded_fd: int,
    rung_fds: Mapping[str, int],
    after_pts: int = -1,
) -> list[str]:
    """Return the arguments of the process: NUT on standard input, NUT on one pipe per rung.

    Args:
        ladder: the rungs.
        program: path of ffmpeg.
        encoder: one of `ENCODERS`.
        preset: of libx264; NVENC's is fixed.
        decoded_fd: gets a line with `pts:` for every frame that left the decoder.
        rung_fds: where each rung goes, by name.
        after_pts: frames that are not later than this are passed over, in ticks.
    """
    command = [program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "warning"]
    # Damage is counted, by us, and never a reason to end; probing would hold the first seconds back.
    command += ["-max_error_rate", "1", "-copyts", "-probesize", "32", "-analyzeduration", "0"]
    command += ["-flags", "low_delay", "-threads", "1"]
    if encoder == "h264_nvenc":
        command += ["-hwaccel", "cuda", "-hwaccel_output_format", "cuda"]
        command += ["-extra_hw_frames", str(NVDEC_SPARE_FRAMES)]
    command += ["-f", "nut", "-i", "pipe:0"]
    command += ["-filter_complex", _filters(ladder, encoder=encoder, decoded_fd=decoded_fd, after_pts=after_pts)]
    for number, rung in enumerate(ladder.encoded):
        command += ["-map", f"[out{number}]", "-c:v", encoder]
        options = _nvenc_options(rung, ladder) if encoder == "h264_nvenc" else _x264_options(rung, preset)
        command += _arguments(options)
        command += ["-force_key_frames", f"expr:{segment_start_expression(grid_s(ladder))}"]
        # Timestamps are kept to the unit: FFmpeg would round them to the declared frame rate and repeat frames.
        command += ["-fps_mode", "passthrough", "-enc_time_base", f"1:{STAMPS_PER_S}"]
        # Parameter sets stand in the stream, before every keyframe: a viewer may start at any.
        command += ["-flags:v", "-global_header", "-f_strict", "-2", *_arguments(NUT_OPTIONS)]
        command += ["-f", "nut", f"pipe:{rung_fds[rung.name]}"]
    return command


def _arguments(options: Mapping[str, str]) -> list[str]:
    return [part for name, value in options.items() for part in (f"-{name}", value)]


def _filters(ladder: Ladder, *, encoder: str, decoded_fd: int, after_pts: int) -> str:
    # Registers start at 0, so what they hold here is pts + 1.
    later = f"st(0,floor({_STAMP}/{PARTS})+1);if(gt(ld(0),max(ld(1),{after_pts + 1})),st(1,ld(0));1,0)"
    branches = "".join(f"[in{number}]" for number in range(len(ladder.encoded)))
    graph = [
        # metadata=print is silent about a frame that has none, so each is given some first.
        "[0:v]metadata=mode=add:key=decoded:value=1,"
        rf"metadata=mode=print:file='pipe\:{decoded_fd}':direct=1,"
        f"select='{later}',split={len(ladder.encoded)}{branches}"
    ]
    for number, rung in enumerate(ladder.encoded):
        size = f"{rung.width}:{rung.height}"
        scale = f"scale_cuda={size}" if encoder == "h264_nvenc" else f"scale={size}:flags=bilinear,format=yuv420p"
        keep = pacing_expression(rung.fps, grid_s(ladder))
        graph.append(f"[in{number}]select='{keep}',{scale}[out{number}]")
    return ";".join(graph)


def _x264_options(rung: Rung, preset: str) -> dict[str, str]:
    return {"b:v": str(round(rung.bitrate_bps))} | x264_options(rung, preset=preset) | {"threads": "1"}


def _nvenc_options(rung: Rung, ladder: Ladder) -> dict[str, str]:
    # The input's rate is declared for every rung, also for one that keeps every second frame.
    options = nvenc_options(rung, declared_fps=nominal_fps(ladder))
    return {"b:v": options["maxrate"]} | options
