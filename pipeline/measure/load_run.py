"""One load on a fresh server: two processes, one schedule, and where the machine's CPU went meanwhile."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.load.clip import SourceClip
from pipeline.load.publishers import PublisherConfig
from pipeline.load.schedule import OPENING_S, Schedule
from pipeline.measure.child import Child
from pipeline.measure.host import CpuShares, cpu_shares, cpu_times
from pipeline.measure.plan import Window
from pipeline.measure.server import ServerConfig
from scenarios.ladder import Ladder

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 60.0
HEAD_START_S = 0.2
"""Between telling both processes the schedule and its start."""
TICK_S = 0.25

Tick = Callable[[], None]


@dataclass(frozen=True)
class RawRun:
    """What one load gave, unjudged.

    Attributes:
        streams: how many at once.
        schedule: when things were due; CLOCK_MONOTONIC.
        server: a `ServerReport` as plain data.
        generator: a `PublisherReport` as plain data.
        shares: where the rest of the machine's CPU went in the window.
    """

    streams: int
    schedule: Schedule
    server: dict[str, Any]
    generator: dict[str, Any]
    shares: CpuShares

    @property
    def wall_s(self) -> float:
        """Length of the window as the server saw it."""
        end_s: float = self.server["end"]["at_s"]
        return end_s - float(self.server["start"]["at_s"])

    @property
    def server_cpu_s(self) -> float:
        """CPU of the whole server process in the window."""
        end_s: float = self.server["end"]["cpu_s"]
        return end_s - float(self.server["start"]["cpu_s"])


def run_load(
    streams: int,
    *,
    window: Window,
    clip: SourceClip,
    ladder: Ladder,
    backend: str,
    preset: str,
    tick: Tick = lambda: None,
) -> RawRun:
    """Return what `streams` streams at once gave.

    Args:
        streams: how many.
        window: for how long.
        clip: what they send.
        ladder: what they are encoded to.
        backend: name of the ladder backend.
        preset: of its encoder.
        tick: called some times a second.

    Raises:
        NotReady: a process could not start or did not answer.
        EncoderUnavailable: the backend cannot encode the ladder.
    """
    keys, digests = fresh_keys(streams)
    config = ServerConfig(ladder.model_dump(mode="json"), backend, preset, digests)
    with Child("pipeline.measure.server") as server, Child("pipeline.load.publishers") as generator:
        server.tell(asdict(config))
        generator.hear(START_TIMEOUT_S)
        port = server.hear(START_TIMEOUT_S)["port"]
        schedule = _schedule(streams, window)
        server.tell({"window_start_s": schedule.window_start_s, "window_end_s": schedule.window_end_s})
        generator.tell(asdict(PublisherConfig(port, keys, str(clip.path), clip.content.source.fps, schedule)))
        wait_until(schedule.window_start_s, tick)
        before = cpu_times()
        wait_until(schedule.window_end_s, tick)
        after = cpu_times()
        published = generator.hear(schedule.last_frame_s - time.monotonic() + END_TIMEOUT_S)
        server.tell({"stop": True})
        served = server.hear(END_TIMEOUT_S)
    ours_s = served["end"]["cpu_s"] - served["start"]["cpu_s"] + published["cpu_s"]
    return RawRun(streams, schedule, served, published, cpu_shares(before, after, ours_s=ours_s))


def fresh_keys(streams: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return a new stream key for each stream, and what a server is told of them: hexadecimal SHA-256 by name."""
    keys = tuple(secrets.token_urlsafe(24) for _ in range(streams))
    return keys, {stream_name(i): hashlib.sha256(key.encode()).hexdigest() for i, key in enumerate(keys)}


def stream_name(number: int) -> str:
    """Return the public name of a stream of a load."""
    return f"stream-{number}"


def _schedule(streams: int, window: Window) -> Schedule:
    start_s = time.monotonic() + HEAD_START_S
    last_s = start_s + (streams - 1) * window.stagger_s + OPENING_S
    window_start_s = last_s + window.warm_up_segments * window.segment_s
    return Schedule(start_s, window.stagger_s, window_start_s, window_start_s + window.segments * window.segment_s)


def wait_until(moment_s: float, tick: Tick) -> None:
    """Wait until a moment of CLOCK_MONOTONIC, calling `tick` some times a second."""
    while (left_s := moment_s - time.monotonic()) > 0:
        tick()
        time.sleep(min(left_s, TICK_S))
