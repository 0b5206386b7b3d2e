"""The pipeline as `serve` runs it, whose encoder process is killed: `python -m pipeline.measure.probes.restart_server`.

It reads a `RestartConfig` as JSON and says `{"port": …, "http_port": …, "key": …}`. Once frames come out it kills the
process, waits until others come out, and so on; then it says `{"restarts": […]}`, a `RestartMark` each, and serves on
until it reads another line.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.load.schedule import until
from pipeline.marks import ArrivedMark, MuxedMark, NoMarks, RestartMark
from pipeline.measure.parent import obey, read, say
from pipeline.rtmp.keys import StreamKeys
from pipeline.serve import LivePipeline
from pipeline.workers.backend import WorkerBackend
from pipeline.workers.restarts import RestartPolicy
from scenarios.errors import NotReady
from scenarios.ladder import Ladder

STREAM = "probe"
HEALTHY_S = 2.0
"""A life of this length makes the next death a first one again. `serve` asks for longer; what a first death costs is
the same, and those of a measurement need not be so far apart."""
PATIENCE_S = 30.0
"""The longest wait for frames."""
POLL_S = 0.01


@dataclass(frozen=True)
class RestartConfig:
    """What is run, and killed.

    Attributes:
        ladder: as JSON.
        backend: name of the ladder backend.
        preset: of its encoder.
        restarts: how often its process is killed.
        gop_s: between the publisher's keyframes; the deaths are spread evenly over it.
    """

    ladder: dict[str, Any]
    backend: str
    preset: str
    restarts: int
    gop_s: float


class Lives(NoMarks):
    """What is noted of a stream; its worker is told, as by `serve`, that nobody wants marks of every frame."""

    def __init__(self) -> None:
        self.frames = 0
        self.keyframe_s = 0.0
        self.restarts: list[RestartMark] = []

    def arrived(self, mark: ArrivedMark) -> None:
        """Note when the newest keyframe arrived."""
        if mark.is_keyframe:
            self.keyframe_s = mark.arrival_s

    def muxed(self, mark: MuxedMark) -> None:
        """Count it."""
        self.frames += 1

    def restarted(self, mark: RestartMark) -> None:
        """Keep it."""
        self.restarts.append(mark)


async def serve_and_kill(config: RestartConfig) -> None:
    """Serve one stream and kill its worker; NotReady if no frame comes out."""
    keys, key = StreamKeys.generate(STREAM)
    backend = WorkerBackend(config.backend, restarts=RestartPolicy(healthy_s=HEALTHY_S), preset=config.preset)
    ladder, lives = Ladder.model_validate_json(json.dumps(config.ladder)), Lives()
    async with LivePipeline(ladder=ladder, keys=keys, backend=backend, marks=lives) as pipeline:
        say({"port": pipeline.rtmp.port, "http_port": pipeline.origin.port, "key": key})
        await _seen(lambda: lives.frames > 0)
        for killed in range(1, config.restarts + 1):
            phase = (killed - 0.5) / config.restarts
            await until(_death_s(lives.keyframe_s + phase * config.gop_s, gop_s=config.gop_s))
            for pid in backend.pids.values():
                os.kill(pid, signal.SIGKILL)
            await _seen(lambda: len(lives.restarts) >= killed)  # noqa: B023 - awaited in the same turn
        say({"restarts": [mark._asdict() for mark in lives.restarts]})
        await read()


def _death_s(moment_s: float, *, gop_s: float) -> float:
    """Return the first moment, whole groups of pictures after the given one, by which the worker has lived enough."""
    groups = math.ceil((time.monotonic() + HEALTHY_S - moment_s) / gop_s)
    return moment_s + groups * gop_s


async def _seen(condition: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise NotReady(
            f"the encoder gave no frame within {PATIENCE_S:g} s; is the machine overloaded by something else?"
        ) from None


async def _serve(config: dict[str, Any]) -> None:
    await serve_and_kill(RestartConfig(**config))


if __name__ == "__main__":
    obey(_serve)
