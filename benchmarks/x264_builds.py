"""The two libx264 that `benchmarks.ladder` compares, by themselves: the same pictures, the same options, nothing else.

`python -m benchmarks.x264_builds [--rounds N] [--json]`: what of `ratio_to_ffmpeg` belongs to the builds and not to us.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from benchmarks.ladder import FFMPEG, arguments, x264_versions
from benchmarks.pairs import FEWEST_ROUNDS, child_cpu_s, interleaved, machine, ratio, show, spread
from pipeline.ladders.threads import TIME_BASE
from pipeline.ladders.x264 import DEFAULT_PRESET, X264Encoder
from pipeline.load.clip import source_clip
from pipeline.serve import BUILT_IN_LADDER

FRAMES = 150
RUNG = BUILT_IN_LADDER.rungs[0]


def encode(path: str) -> float:
    """Return the CPU seconds that PyAV's libx264 takes for a file of raw pictures, imports and start apart."""
    size = RUNG.pixels * 3 // 2
    began_s = time.process_time()
    encoder = X264Encoder(RUNG, preset=DEFAULT_PRESET)
    with Path(path).open("rb") as file:
        for number in range(FRAMES):
            flat = np.frombuffer(file.read(size), np.uint8).reshape(-1, RUNG.width)
            picture = av.VideoFrame.from_ndarray(flat, format="yuv420p")
            picture.pts, picture.time_base = number * 3000, TIME_BASE
            encoder.encode(picture)
    return time.process_time() - began_s


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--encode", metavar="FILE", help="print the CPU seconds of our own encoding of FILE")
    asked = parser.parse_args()
    if asked.encode:
        print(encode(asked.encode))
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        raw = Path(name) / "pictures.yuv"
        frames = ["-frames:v", str(FRAMES), "-f", "rawvideo", "-pix_fmt", "yuv420p", str(raw)]
        subprocess.run([*FFMPEG, "-i", str(source_clip().path), *frames], check=True)
        size = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{RUNG.width}x{RUNG.height}", "-r", f"{RUNG.fps:g}"]
        options = arguments(RUNG, BUILT_IN_LADDER)
        theirs = [*FFMPEG, *size, "-i", str(raw), "-c:v", "libx264", *options, "-f", "null", "-"]
        ours = [sys.executable, "-m", "benchmarks.x264_builds", "--encode", str(raw)]
        found = interleaved(
            {
                "ours": lambda: float(subprocess.run(ours, check=True, capture_output=True, text=True).stdout),
                "ffmpeg": lambda: child_cpu_s(theirs),
            },
            asked.rounds,
        )
    show(
        {
            "machine": machine(),
            "x264": x264_versions(),
            "ours_cpu_ms_per_frame": spread([1000 * value / FRAMES for value in found["ours"]]),
            "ffmpeg_cpu_ms_per_frame": spread([1000 * value / FRAMES for value in found["ffmpeg"]]),
            "ratio_of_builds": ratio(found["ours"], found["ffmpeg"]),
        }
    )


if __name__ == "__main__":
    main()
