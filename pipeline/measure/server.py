"""The server under test, in a process of its own: `python -m pipeline.measure.server`.

Line by line, as JSON: it reads a `ServerConfig`, says `{"port": …, "http_port": …}`, reads the window of the load, and
once the window is over and it reads a last line, it ends every stream and writes a `ServerReport`. It is the pipeline
that `serve` runs, with marks that are kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.ladders import LADDER_BACKENDS
from pipeline.marks import RecordingMarks
from pipeline.measure.parent import obey, read, say
from pipeline.rtmp.keys import StreamKeys
from pipeline.serve import LivePipeline
from scenarios.ladder import Ladder

MARKS = ("publications", "frames", "decodes", "encodes", "muxes", "segments", "drops")
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class ServerConfig:
    """What the process is asked to run.

    Attributes:
        ladder: as JSON.
        backend: name of the ladder backend.
        preset: of its encoder.
        keys: SHA-256 of the stream key, hexadecimal, by stream name.
        port: RTMP port, 0 to let the system choose.
    """

    ladder: dict[str, Any]
    backend: str
    preset: str
    keys: dict[str, str]
    port: int = 0


@dataclass(frozen=True)
class Sample:
    """The process at one moment; what it has spent is counted from its start.

    Attributes:
        at_s: CLOCK_MONOTONIC.
        cpu_s: of the whole process.
        event_loop_cpu_s: of the thread that receives RTMP; what demultiplexing and audio take in it is a part of this.
        demux_cpu_s: thread CPU of that stage; see `pipeline.marks.Stage`.
        audio_cpu_s: likewise; muxing counts it no more. None if there was no audio up to the end of the window.
        peak_rss_bytes: largest resident memory so far.
    """

    at_s: float
    cpu_s: float
    event_loop_cpu_s: float
    demux_cpu_s: float | None
    audio_cpu_s: float | None
    peak_rss_bytes: int


@dataclass(frozen=True)
class ServerReport:
    """What the process saw.

    Attributes:
        idle_rss_bytes: resident memory once both ports were open, before any stream.
        start: at the start of the window.
        end: at its end.
        marks: every mark by kind, as lists in the order of their fields.
    """

    idle_rss_bytes: int
    start: Sample
    end: Sample
    marks: dict[str, list[list[Any]]]


async def serve_under_test(config: ServerConfig) -> ServerReport:
    """Return what was seen; talks to the parent over standard input and output."""
    marks = RecordingMarks()
    keys = StreamKeys({name: bytes.fromhex(digest) for name, digest in config.keys.items()})
    backend = LADDER_BACKENDS[config.backend](preset=config.preset)
    ladder = Ladder.model_validate_json(json.dumps(config.ladder))
    pipeline = LivePipeline(ladder=ladder, keys=keys, backend=backend, rtmp_port=config.port, marks=marks)
    async with pipeline:
        idle_rss_bytes = _status_bytes("VmRSS")
        say({"port": pipeline.rtmp.port, "http_port": pipeline.origin.port})
        window = await read()
        start = await _sample_at(window["window_start_s"], marks)
        end = await _sample_at(window["window_end_s"], marks)
        await read()
    kept = {kind: [list(mark) for mark in list(getattr(marks, kind))] for kind in MARKS}
    # Threads of an overloaded server may still be at work: what they do from now on is not waited for.
    return ServerReport(idle_rss_bytes, _from_zero(start, end), end, kept)


async def _sample_at(moment_s: float, marks: RecordingMarks) -> Sample:
    await asyncio.sleep(max(moment_s - time.monotonic(), 0.0))
    return Sample(
        at_s=time.monotonic(),
        cpu_s=time.process_time(),
        event_loop_cpu_s=time.thread_time(),
        demux_cpu_s=marks.cpu_s("demux"),
        audio_cpu_s=marks.cpu_s("audio"),
        peak_rss_bytes=peak_rss_bytes(),
    )


def _from_zero(start: Sample, end: Sample) -> Sample:
    """Return the start with 0 for a stage that first ran within the window: nothing had been spent on it."""

    def spent_s(before_s: float | None, after_s: float | None) -> float | None:
        return 0.0 if before_s is None and after_s is not None else before_s

    return replace(
        start,
        demux_cpu_s=spent_s(start.demux_cpu_s, end.demux_cpu_s),
        audio_cpu_s=spent_s(start.audio_cpu_s, end.audio_cpu_s),
    )


def peak_rss_bytes() -> int:
    """Return the largest resident memory of this process so far.

    From the kernel's own record of this program: `getrusage` would also count the parent before the program began.
    """
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int:
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} has no {name}")


async def _serve(config: dict[str, Any]) -> dict[str, Any]:
    return asdict(await serve_under_test(ServerConfig(**config)))


if __name__ == "__main__":
    obey(_serve)
