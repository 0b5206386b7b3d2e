"""CPU of our ladder beside one ffmpeg process that does the same, and beside the guide's three processes.

`python -m benchmarks.ladder [--ladder built-in|guide] [--rounds N] [--seconds S] [--json]`. All decode the same FLV
file as fast as they can, with the same libx264 options, scaler and keyframes, pass the audio through and write HLS
(the three processes: FLV, as the guide has it). CPU is user and system time; ours starts after its imports, ffmpeg's
with its start, some 30 ms.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import FEWEST_ROUNDS, child_cpu_s, interleaved, machine, ratio, show, spread
from pipeline.ladders.probe import probe_x264
from pipeline.ladders.x264 import DEFAULT_PRESET, x264_options
from pipeline.load.clip import source_clip
from pipeline.serve import BUILT_IN_LADDER
from scenarios.ladder import Ladder, Rung, Source

GUIDE_LADDER = Ladder(
    segment_s=2.0,
    rungs=(
        Rung(name="1080p60", width=1920, height=1080, fps=60.0, bitrate_bps=6_000_000.0),
        Rung(name="720p60", width=1280, height=720, fps=60.0, bitrate_bps=4_500_000.0),
        Rung(name="480p30", width=852, height=480, fps=30.0, bitrate_bps=1_500_000.0),
    ),
)
"""The guide's ladder."""
AUDIO_BPS = {"1080p60": 160_000, "720p60": 128_000}
"""What the guide's script gives each rung's audio; 96 kbit/s for the rest."""
LADDERS = {
    "built-in": (BUILT_IN_LADDER, Source(width=1280, height=720, fps=30.0, bitrate_bps=3.5e6)),
    "guide": (GUIDE_LADDER, Source(width=1920, height=1080, fps=60.0, bitrate_bps=8e6)),
}
FFMPEG = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]


def source_file(source: Source, seconds: float, folder: Path) -> Path:
    """Return an FLV file of the camera clip, looped, with a tone as AAC."""
    clip, path = source_clip(source).path, folder / "source.flv"
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    codecs = ["-c:v", "copy", "-c:a", "aac", "-b:a", "128k"]
    loop = ["-stream_loop", "-1", "-i", str(clip)]
    subprocess.run([*FFMPEG, *loop, *tone, *codecs, "-t", str(seconds), str(path)], check=True)
    return path


def arguments(rung: Rung, ladder: Ladder) -> list[str]:
    """Return a rung's options of the ffmpeg command: ours, of `x264_options`, and its keyframes."""
    options = x264_options(rung, preset=DEFAULT_PRESET) | {"threads": "1", "b:v": str(round(rung.bitrate_bps))}
    named = [part for name, value in options.items() for part in (f"-{name}", value)]
    return [*named, "-force_key_frames", f"expr:gte(t,n_forced*{ladder.segment_s:g})"]


def one_process(source: Path, ladder: Ladder, folder: Path) -> list[str]:
    """Return the command of one ffmpeg that decodes once, scales bilinearly and writes HLS per rung."""
    count = len(ladder.rungs)
    graph = [f"[0:v]split={count}" + "".join(f"[in{i}]" for i in range(count))]
    for number, rung in enumerate(ladder.rungs):
        graph.append(f"[in{number}]fps={rung.fps:g},scale={rung.width}:{rung.height}:flags=bilinear[out{number}]")
    command = [*FFMPEG, "-threads", "1", "-i", str(source), "-filter_complex", ";".join(graph)]
    for number, rung in enumerate(ladder.rungs):
        command += [
            "-map",
            f"[out{number}]",
            "-map",
            "0:a",
            "-c:v",
            "libx264",
            *arguments(rung, ladder),
            "-c:a",
            "copy",
        ]
        command += ["-f", "hls", "-hls_time", f"{ladder.segment_s * 0.95:g}", "-hls_list_size", "6"]
        command += ["-hls_flags", "delete_segments", str(folder / f"{rung.name}.m3u8")]
    return command


def of_the_guide(source: Path, rung: Rung, ladder: Ladder, folder: Path, *, as_written: bool) -> list[str]:
    """Return one of the guide's three commands, libx264 in place of NVENC.

    As written it scales with the default scaler and encodes the audio for each rung; else both as ours.
    """
    command = [*FFMPEG, "-threads", "1", "-i", str(source), "-c:v", "libx264", *arguments(rung, ladder)]
    command += ["-s", f"{rung.width}x{rung.height}", "-r", f"{rung.fps:g}"]
    if as_written:
        command += ["-c:a", "aac", "-b:a", str(AUDIO_BPS.get(rung.name, 96_000))]
    else:
        command += ["-sws_flags", "bilinear", "-c:a", "copy"]
    return [*command, "-f", "flv", str(folder / f"{rung.name}.flv")]


def ours_cpu_s(source: Path, name: str) -> float:
    """Return the CPU seconds that a fresh process of ours tells."""
    command = [sys.executable, "-m", "benchmarks.ladder_of_ours", str(source), name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def x264_versions() -> dict[str, str]:
    """Return the x264 of PyAV, and the configuration that the ffmpeg command tells of its own."""
    said = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"ffmpeg version (\S+)", said)
    return {"ours": f"x264 {probe_x264().detail}", "ffmpeg": f"{found[1] if found else 'ffmpeg'}, {_x264_of_ffmpeg()}"}


def _x264_of_ffmpeg() -> str:
    """Return the version that the ffmpeg command's x264 writes into its stream."""
    picture = ["-f", "lavfi", "-i", "color=size=64x64:duration=0.1", "-c:v", "libx264", "-f", "h264", "-"]
    stream = subprocess.run([*FFMPEG, *picture], check=True, capture_output=True).stdout
    found = re.search(rb"x264 - (core \d+)", stream)
    return f"x264 {found[1].decode()}" if found else "x264 of unknown version"


def main() -> None:
    """Measure and print; CPU per second of the stream, and ratios within rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ladder", choices=LADDERS, default="built-in")
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    ladder, source = LADDERS[asked.ladder]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name)
        file = source_file(source, asked.seconds, folder)
        single = one_process(file, ladder, folder)
        equal = [of_the_guide(file, rung, ladder, folder, as_written=False) for rung in ladder.rungs]
        written = [of_the_guide(file, rung, ladder, folder, as_written=True) for rung in ladder.rungs]
        found = interleaved(
            {
                "ours": lambda: ours_cpu_s(file, asked.ladder) / asked.seconds,
                "ffmpeg": lambda: child_cpu_s(single) / asked.seconds,
                "ffmpeg_again": lambda: child_cpu_s(single) / asked.seconds,
                "three_processes": lambda: sum(map(child_cpu_s, equal)) / asked.seconds,
                "as_written": lambda: sum(map(child_cpu_s, written)) / asked.seconds,
            },
            asked.rounds,
        )
    show(
        {
            "machine": machine(),
            "ladder": asked.ladder,
            "rounds": asked.rounds,
            "x264": x264_versions(),
            "ours_cpu_s_per_stream_s": spread(found["ours"]),
            "ffmpeg_cpu_s_per_stream_s": spread(found["ffmpeg"]),
            "ratio_to_ffmpeg": ratio(found["ours"], found["ffmpeg"]),
            "noise_floor": ratio(found["ffmpeg_again"], found["ffmpeg"]),
            "ratio_to_three_processes": ratio(found["ours"], found["three_processes"]),
            "ratio_to_three_as_written": ratio(found["ours"], found["as_written"]),
        }
    )


if __name__ == "__main__":
    main()
