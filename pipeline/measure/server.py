"""The server under test, in a process of its own: `python -m pipeline.measure.server`.

Line by line, as JSON: it reads a `ServerConfig`, says `{"port": …, "http_port": …}`, reads the window of the load, and
once the window is over and it reads a last line, it ends every stream and writes a `ServerReport`. It is the pipeline
that `serve` runs, with marks that are kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.ladders import LADDER_BACKENDS
from pipeline.marks import RecordingMarks
from pipeline.rtmp.keys import StreamKeys
from pipeline.serve import LivePipeline
from scenarios.errors import HeadroomError
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
    """The process at one moment: CLOCK_MONOTONIC, its CPU, its event loop's thread CPU, its peak memory."""

    at_s: float
    cpu_s: float
    event_loop_cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class ServerReport:
    """What the process saw.

    Attributes:
        start: at the start of the window.
        end: at its end.
        marks: every mark by kind, as lists in the order of their fields.
    """

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
        _say({"port": pipeline.rtmp.port, "http_port": pipeline.origin.port})
        window = await _read()
        start = await _sample_at(window["window_start_s"])
        end = await _sample_at(window["window_end_s"])
        await _read()
    # Threads of an overloaded server may still be at work: what they do from now on is not waited for.
    return ServerReport(start, end, {kind: [list(mark) for mark in list(getattr(marks, kind))] for kind in MARKS})


async def _sample_at(moment_s: float) -> Sample:
    await asyncio.sleep(max(moment_s - time.monotonic(), 0.0))
    return Sample(time.monotonic(), time.process_time(), time.thread_time(), peak_rss_bytes())


def peak_rss_bytes() -> int:
    """Return the largest resident memory of this process so far.

    From the kernel's own record of this program: `getrusage` would also count the parent before the program began.
    """
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"{STATUS} has no VmHWM")


async def _read() -> Any:
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    if not line:
        raise EOFError("the measuring process is gone")
    return json.loads(line)


def _say(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


def main() -> None:
    """Serve; errors meant for the user are told to the parent, which raises them."""
    config = ServerConfig(**json.loads(sys.stdin.readline()))
    try:
        _say(asdict(asyncio.run(serve_under_test(config))))
    except HeadroomError as error:
        _say({"error": str(error), "kind": type(error).__name__})
    except EOFError:
        pass  # nobody is left to tell
    # Not sys.exit: a daemon thread inside FFmpeg must not meet a dying interpreter.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
