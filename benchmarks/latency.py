"""Latency of one stream, N = 1, 720p30 to the built-in ladder: of frames, and of the publication of segments.

`python -m benchmarks.latency [--rounds N] [--segments N] [--json]`. As `measure` takes it: from the arrival of a frame
to its encoded packet in each rung, and from the arrival of the frame that closes a segment to the segment's
publication, through the real RTMP server in a process of its own.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.pairs import machine, show, spread
from pipeline.ladders.x264 import DEFAULT_PRESET
from pipeline.load.clip import source_clip
from pipeline.measure.load_run import RawRun, run_load
from pipeline.measure.plan import Window
from pipeline.measure.rows import RunMarks
from pipeline.serve import BUILT_IN_LADDER

QUANTILES = (0.5, 0.95, 0.99)


def latencies_ms(raw: RawRun) -> dict[str, list[float]]:
    """Return the quantiles of both latencies in the window, in ms."""
    marks, start_s, end_s = RunMarks(raw), raw.schedule.window_start_s, raw.schedule.window_end_s
    frame = [
        mark.at_s - marks.arrivals[stream, number].arrival_s
        for (stream, _, number), mark in marks.encodes.items()
        if start_s <= marks.arrivals[stream, number].arrival_s < end_s
    ]
    segment = [
        mark.closed_s - mark.closing_arrival_s
        for _, mark in marks.segments
        if mark.closing_arrival_s is not None and start_s <= mark.closing_arrival_s < end_s
    ]
    return {
        "frame": (1000 * np.quantile(frame, QUANTILES)).tolist(),
        "segment": (1000 * np.quantile(segment, QUANTILES)).tolist(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segments", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    window = Window(segments=asked.segments, segment_s=BUILT_IN_LADDER.segment_s)
    clip = source_clip()
    found = [
        latencies_ms(
            run_load(1, window=window, clip=clip, ladder=BUILT_IN_LADDER, backend="x264", preset=DEFAULT_PRESET)
        )
        for _ in range(asked.rounds)
    ]
    document: dict[str, object] = {"machine": machine(), "rounds": asked.rounds, "segments": asked.segments}
    for name in ("frame", "segment"):
        for place, quantile in enumerate(QUANTILES):
            document[f"{name}_p{100 * quantile:.0f}_ms"] = spread([round_[name][place] for round_ in found])
    show(document)


if __name__ == "__main__":
    main()
