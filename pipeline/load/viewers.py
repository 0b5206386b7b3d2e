"""A crowd of HLS viewers that decode nothing, in a process of their own: `python -m pipeline.load.viewers`.

The process says `{"ready": true}`, reads one JSON object (`ViewersConfig`) from its standard input, and at the end
writes another (`ViewersReport`).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field

import numpy as np

from pipeline.load.http_requests import Requests, Tally, viewer_session
from pipeline.load.rung_choice import ByShares, ByThroughput, RungChoice
from pipeline.load.schedule import Schedule, cpu_in_window, until
from pipeline.load.sessions import SessionPlan, sessions
from pipeline.load.viewer import Viewer


@dataclass(frozen=True)
class ViewersConfig:
    """What the process is asked to do.

    Attributes:
        port: of the origin on loopback.
        streams: names of the streams; the viewers spread over them evenly.
        viewers: how many watch at once.
        join_s: when the first may join; the rest follow until the window starts.
        schedule: of the load; all leave at the window's end.
        shares: of the rungs, which sum to 1; None lets each viewer choose by throughput.
        law: of the length of a session, see `SESSION_LAWS`.
        mean_session_s: its mean.
        seed: of joins, sessions and rungs.
    """

    port: int
    streams: tuple[str, ...]
    viewers: int
    join_s: float
    schedule: Schedule
    shares: dict[str, float] | None = None
    law: str = "stay"
    mean_session_s: float = 60.0
    seed: int = 1


@dataclass(frozen=True)
class SessionReport:
    """What one viewer saw.

    Attributes:
        stream: which.
        watched_s: from joining to leaving.
        startup_s: from joining to the first segment; None if there was none.
        segments, missed, switches: see `Viewer`.
        stalls, stalled_s: see `Playback`.
    """

    stream: str
    watched_s: float
    startup_s: float | None
    segments: int
    missed: int
    switches: int
    stalls: int
    stalled_s: float


@dataclass
class ViewersReport:
    """What the process did.

    Attributes:
        requests: by kind.
        sessions: in the order in which they ended.
        own_delay_s: for each poll in the window, how late the generator itself was.
        cpu_s: CPU of the process within the window.
    """

    requests: dict[str, Tally]
    sessions: list[SessionReport] = field(default_factory=list)
    own_delay_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


async def watch_all(config: ViewersConfig) -> ViewersReport:
    """Return what all viewers saw, once the last has left."""
    requests = Requests(config.schedule.in_window)
    report = ViewersReport(dict(requests.tallies), own_delay_s=requests.own_delay_s)
    window = asyncio.create_task(cpu_in_window(config.schedule))
    await asyncio.gather(*(_seat(config, number, requests, report) for number in range(config.viewers)))
    report.cpu_s = await window
    return report


async def _seat(config: ViewersConfig, number: int, requests: Requests, report: ViewersReport) -> None:
    rng = np.random.default_rng([config.seed, number])
    schedule = config.schedule
    for planned in sessions(
        rng,
        law=config.law,
        mean_s=config.mean_session_s,
        first_s=config.join_s,
        ramp_s=schedule.window_start_s - config.join_s,
        end_s=schedule.window_end_s,
    ):
        await until(planned.join_s)
        choice = ByShares(config.shares, rng) if config.shares is not None else ByThroughput()
        stream = config.streams[number % len(config.streams)]
        url = f"http://127.0.0.1:{config.port}/{stream}/index.m3u8"
        report.sessions.append(await _watch(stream, url, planned, choice, requests))


async def _watch(stream: str, url: str, planned: SessionPlan, choice: RungChoice, requests: Requests) -> SessionReport:
    """Return what a viewer saw who stays as planned, or until the stream ends."""
    joined_s = time.monotonic()
    async with viewer_session() as session:
        viewer = Viewer(session, requests, url, choice=choice)
        try:
            async with asyncio.timeout(planned.leave_s - joined_s):
                await viewer.watch()
        except TimeoutError:
            pass  # the session is over: the viewer leaves
    left_s = time.monotonic()
    playback = viewer.playback
    playback.leave(left_s)
    return SessionReport(
        stream=stream,
        watched_s=left_s - joined_s,
        startup_s=None if playback.first_s is None else playback.first_s - joined_s,
        segments=viewer.segments,
        missed=viewer.missed,
        switches=viewer.switches,
        stalls=playback.stalls,
        stalled_s=playback.stalled_s,
    )


def read_config(text: str) -> ViewersConfig:
    """Return the configuration written as JSON."""
    data = json.loads(text)
    return ViewersConfig(**data | {"streams": tuple(data["streams"]), "schedule": Schedule(**data["schedule"])})


def main() -> None:
    """Read the configuration, watch, write the report."""
    print(json.dumps({"ready": True}), flush=True)
    config = read_config(sys.stdin.readline())
    print(json.dumps(asdict(asyncio.run(watch_all(config)))), flush=True)


if __name__ == "__main__":
    main()
