"""Runs that were never run: what the processes would have reported, at a few frames a second."""

from __future__ import annotations

import time

from pipeline.ladders.backend import TICKS_PER_S
from pipeline.load.schedule import OPENING_S, Schedule
from pipeline.measure import session
from pipeline.measure.host import CpuShares
from pipeline.measure.load_run import RawRun, stream_name

FPS = 5
CPU_S_PER_STREAM_S = 0.4
REFERENCE_CPU_S = 0.5


def plant(monkeypatch, run) -> None:
    """Let `run` stand for every load, and a figure for the fixed job that goes before each and is real elsewhere."""
    monkeypatch.setattr(session, "run_load", run)
    monkeypatch.setattr(session, "reference_cpu_s", lambda: REFERENCE_CPU_S)


def planted_run(
    streams: int, *, window, ladder, capacity: int = 4, contention: float = 0.0, late_s: float = 0.0, **unused
) -> RawRun:
    """Return what `run_load` would; above `capacity` the backlog grows by 0.1 s a second."""
    start_s = time.monotonic()
    window_start_s = start_s + (streams - 1) * window.stagger_s + OPENING_S + window.warm_up_segments * window.segment_s
    end_s = window_start_s + window.segments * window.segment_s
    schedule = Schedule(start_s, window.stagger_s, window_start_s, end_s)
    growth = 0.1 if streams > capacity else 0.0
    sent, marks = [], {kind: [] for kind in ("frames", "decodes", "encodes", "muxes", "segments", "drops")}
    marks["publications"] = [[stream_name(number), schedule.first_frame_s(number)] for number in range(streams)]
    for number in range(streams):
        first_s, name = schedule.first_frame_s(number), stream_name(number)
        due_s = [first_s + frame / FPS for frame in range(int((schedule.last_frame_s - first_s) * FPS))]
        sent.append({"scheduled_s": due_s, "sent_s": due_s, "own_delay_s": [late_s] * len(due_s), "error": None})
        for frame, moment_s in enumerate(due_s):
            ready_s = moment_s + 0.01 + growth * (moment_s - start_s) + (0.002 if frame % 2 else 0.0)
            marks["frames"].append([name, frame, frame * TICKS_PER_S // FPS, frame % FPS == 0, 1000, moment_s])
            marks["decodes"].append([name, frame, 0.001, ready_s])
            for rung in ladder.rungs:
                marks["encodes"].append([name, rung.name, frame, frame % FPS == 0, 0.001, 0.002, ready_s])
                marks["muxes"].append([name, rung.name, frame, 0.0001, ready_s, frame % FPS == 0])
    wall_s = end_s - window_start_s
    sample = {"at_s": window_start_s, "cpu_s": 1.0, "event_loop_cpu_s": 0.1, "peak_rss_bytes": 10**8}
    sample |= {"demux_cpu_s": 0.01, "audio_cpu_s": None}
    spent = {"at_s": end_s, "cpu_s": 1.0 + streams * CPU_S_PER_STREAM_S * wall_s, "event_loop_cpu_s": 0.2}
    server = {
        "start": sample,
        "end": sample | spent | {"demux_cpu_s": 0.03},
        "marks": marks,
        "idle_rss_bytes": 5 * 10**7,
    }
    generator = {"streams": sent, "cpu_s": 0.05 * wall_s}
    return RawRun(streams, schedule, server, generator, CpuShares(steal=0.0, contention=contention))
