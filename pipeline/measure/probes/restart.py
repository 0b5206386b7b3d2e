"""What the death of an encoder process costs its stream.

One stream at live pace, encoded in a worker process as `serve` does it, on a machine that has nothing else to do. The
worker is killed some times, at moments that are spread over the publisher's groups of pictures, because a stream goes
on at the first keyframe after the death. It waits for the new worker, so one that starts slowly makes the outage longer
and not the gap.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import asdict
from typing import Any

from pipeline.load.clip import SourceClip
from pipeline.load.publishers import PublisherConfig, publish
from pipeline.load.schedule import Schedule
from pipeline.measure.child import Child
from pipeline.measure.probes.restart_server import HEALTHY_S, PATIENCE_S, RestartConfig
from pipeline.measure.probes.ticking import Tick, ticking
from scenarios.errors import NotReady
from scenarios.ladder import Ladder

MODULE = "pipeline.measure.probes.restart_server"
RESTARTS = 3
START_TIMEOUT_S = 60.0


def restart_rows(
    *,
    ladder: Ladder,
    clip: SourceClip,
    backend: str,
    preset: str,
    restarts: int = RESTARTS,
    tick: Tick = lambda: None,
) -> list[dict[str, Any]]:
    """Return a row for each time the worker was killed; its figures are those of `pipeline.marks.RestartMark`.

    Args:
        ladder: what the stream is encoded to.
        clip: what it sends.
        backend: name of the ladder backend.
        preset: of its encoder.
        restarts: how often.
        tick: called some times a second.

    Raises:
        NotReady: no port, or no frame within half a minute.
        EncoderUnavailable: the backend cannot encode the ladder.
    """
    config = RestartConfig(ladder.model_dump(mode="json"), backend, preset, restarts, clip.content.gop_s)
    with Child(MODULE) as server:
        server.tell(asdict(config))
        marks = asyncio.run(_killed(server, clip, restarts=restarts, tick=tick))
        server.tell({"stop": True})
    kept = ("outage_s", "gap_s", "gap_segments", "cause")
    return [{"restart": number, **{name: mark[name] for name in kept}} for number, mark in enumerate(marks)]


async def _killed(server: Child, clip: SourceClip, *, restarts: int, tick: Tick) -> list[dict[str, Any]]:
    """Publish until the server has told its restarts, and return them."""
    longest_s = (restarts + 1) * PATIENCE_S + restarts * (HEALTHY_S + clip.content.gop_s)
    async with ticking(tick):
        place = await _heard(server, START_TIMEOUT_S)
        publishing = asyncio.create_task(publish(_publisher(place, clip, longest_s)))
        hearing = asyncio.create_task(_heard(server, longest_s))
        done, under_way = await asyncio.wait({publishing, hearing}, return_when=asyncio.FIRST_COMPLETED)
        for task in under_way:
            task.cancel()
        if under_way:
            await asyncio.wait(under_way)
        if hearing not in done:
            raise NotReady(f"the stream was cut off ({publishing.result().streams[0].error}); measure again")
    marks: list[dict[str, Any]] = hearing.result()["restarts"]
    return marks


async def _heard(server: Child, timeout_s: float) -> dict[str, Any]:
    """Return what the server says next; if that is waited for no longer, the server is killed."""
    try:
        return await asyncio.to_thread(server.hear, timeout_s)
    except asyncio.CancelledError:
        os.kill(server.pid, signal.SIGKILL)  # or the thread would go on listening, and hold up our own end
        raise


def _publisher(place: dict[str, Any], clip: SourceClip, longest_s: float) -> PublisherConfig:
    start_s = time.monotonic()
    schedule = Schedule(start_s, 0.0, window_start_s=start_s, window_end_s=start_s + longest_s)
    return PublisherConfig(place["port"], (place["key"],), str(clip.path), clip.content.source.fps, schedule)
