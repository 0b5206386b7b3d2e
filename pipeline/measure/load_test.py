"""A load with viewers: publishers, a crowd and one that looks at the pictures, on a server of our own.

Server and generators are child processes on loopback; nothing else can be the target.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.ladders.choice import choose_backend
from pipeline.ladders.probe import require_packages
from pipeline.load.clip import DEFAULT_CONTENT, DEFAULT_SOURCE, SourceClip, source_clip
from pipeline.load.glass import END_S, GlassConfig
from pipeline.load.publishers import PublisherConfig
from pipeline.load.schedule import Schedule
from pipeline.load.viewers import ViewersConfig
from pipeline.measure.child import Child
from pipeline.measure.encoder import require_measurable
from pipeline.measure.host import CpuShares, cpu_shares, cpu_times
from pipeline.measure.load_run import END_TIMEOUT_S, HEAD_START_S, START_TIMEOUT_S, fresh_keys, stream_name, wait_until
from pipeline.measure.plan import STAGGER_S
from pipeline.measure.server import ServerConfig
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Ladder, Rung, Source

JOIN_SEGMENTS = 4
"""Segments of the last stream before viewers join: what they start behind the live edge, and one that is published."""
JOINS_PER_S = 50.0
"""Viewers that join per second at first; a stampede is another experiment."""
FILES_PER_VIEWER = 4
"""Sockets that a viewer may have open at once, with some to spare."""

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class LoadPlan:
    """What a load consists of.

    Attributes:
        streams: how many are published.
        viewers: how many watch at once.
        seconds: length of the measured window.
        content: what the streams show.
        tone: whether they have audio.
        shares: of the rungs among the viewers; None lets each choose by throughput.
        law: of the viewers' sessions, see `SESSION_LAWS`.
        mean_session_s: their mean.
        seed: of everything that is drawn.
    """

    streams: int
    viewers: int
    seconds: float
    content: str = DEFAULT_CONTENT
    tone: bool = False
    shares: dict[str, float] | None = None
    law: str = "stay"
    mean_session_s: float = 60.0
    seed: int = 1


@dataclass(frozen=True)
class RawLoad:
    """What one load gave, unjudged: the reports of the four processes as plain data.

    Attributes:
        plan: what was asked for.
        schedule: when things were due; CLOCK_MONOTONIC.
        clip: what was sent.
        glass_rung: the rung that was looked at.
        server: a `ServerReport`.
        published: a `PublisherReport`.
        watched: a `ViewersReport`.
        looked: a `GlassReport`.
        shares: where the rest of the machine's CPU went in the window.
    """

    plan: LoadPlan
    schedule: Schedule
    clip: SourceClip
    glass_rung: Rung
    server: dict[str, Any]
    published: dict[str, Any]
    watched: dict[str, Any]
    looked: dict[str, Any]
    shares: CpuShares


def run_load_test(
    plan: LoadPlan,
    *,
    ladder: Ladder,
    source: Source = DEFAULT_SOURCE,
    encoder: str = "auto",
    say: Callable[[str], None] = lambda line: None,
    progress: Progress = lambda elapsed_s, doing: None,
) -> RawLoad:
    """Return what a load gave.

    Args:
        plan: the load.
        ladder: what every stream is encoded to.
        source: what every stream sends; its clip is made first, once.
        encoder: as `--encoder` takes it.
        say: told which encoder it is.
        progress: called some times a second with the seconds gone by since the clip was there, and what is done.

    Raises:
        NotReady: a package is missing, a process could not start or did not answer, or too few files may be open.
        EncoderUnavailable: the encoder cannot run on this machine, or cannot be measured.
        CalibrationError: a rung is asked for that the ladder lacks.
    """
    require_packages()
    _require_rungs(plan, ladder)
    _allow_files(plan.viewers * FILES_PER_VIEWER)
    choice = choose_backend(encoder)
    require_measurable(choice.backend.name, ladder)
    choice.backend.check(ladder)
    say(choice.why)
    progress(0.0, "making the source clip")
    clip = source_clip(source, content=plan.content, numbered=True, tone=plan.tone)
    started_s = time.monotonic()
    keys, digests = fresh_keys(plan.streams)
    server = ServerConfig(ladder.model_dump(mode="json"), choice.backend.name, choice.backend.preset, digests)
    return _run(plan, ladder, clip, keys, server, lambda doing: progress(time.monotonic() - started_s, doing))


def duration_s(plan: LoadPlan, segment_s: float) -> float:
    """Return how long a load takes, but for starting and ending the processes."""
    schedule, _ = schedule_of(plan, segment_s, now_s=0.0)
    return schedule.last_frame_s + segment_s


def schedule_of(plan: LoadPlan, segment_s: float, *, now_s: float) -> tuple[Schedule, float]:
    """Return the schedule of a load that starts now, and when its first viewers may join."""
    start_s = now_s + HEAD_START_S
    last_stream_s = start_s + (plan.streams - 1) * STAGGER_S
    join_s = last_stream_s + JOIN_SEGMENTS * segment_s
    window_start_s = join_s + max(plan.viewers / JOINS_PER_S, segment_s)
    return Schedule(start_s, STAGGER_S, window_start_s, window_start_s + plan.seconds), join_s


def _run(
    plan: LoadPlan,
    ladder: Ladder,
    clip: SourceClip,
    keys: tuple[str, ...],
    config: ServerConfig,
    tick: Callable[[str], None],
) -> RawLoad:
    rung = ladder.rungs[-1]
    with (
        Child("pipeline.measure.server") as server,
        Child("pipeline.load.publishers") as publishers,
        Child("pipeline.load.viewers") as viewers,
        Child("pipeline.load.glass") as glass,
    ):
        server.tell(asdict(config))
        for generator in (publishers, viewers, glass):
            generator.hear(START_TIMEOUT_S)
        ports = server.hear(START_TIMEOUT_S)
        schedule, join_s = schedule_of(plan, ladder.segment_s, now_s=time.monotonic())
        server.tell({"window_start_s": schedule.window_start_s, "window_end_s": schedule.window_end_s})
        publishers.tell(asdict(PublisherConfig(ports["port"], keys, str(clip.path), clip.content.source.fps, schedule)))
        glass.tell(asdict(GlassConfig(ports["http_port"], stream_name(0), rung.name, join_s, schedule)))
        viewers.tell(asdict(_crowd(plan, ports["http_port"], join_s, schedule)))
        wait_until(schedule.window_start_s, lambda: tick("viewers join"))
        before = cpu_times()
        wait_until(schedule.window_end_s, lambda: tick("measuring"))
        after = cpu_times()
        tick("ending the streams")
        watched = viewers.hear(END_TIMEOUT_S)
        published = publishers.hear(END_TIMEOUT_S)
        looked = glass.hear(END_S + END_TIMEOUT_S)
        server.tell({"stop": True})
        served = server.hear(END_TIMEOUT_S)
    ours_s = served["end"]["cpu_s"] - served["start"]["cpu_s"]
    ours_s += sum(report["cpu_s"] for report in (published, watched, looked))
    shares = cpu_shares(before, after, ours_s=ours_s)
    return RawLoad(plan, schedule, clip, rung, served, published, watched, looked, shares)


def _crowd(plan: LoadPlan, http_port: int, join_s: float, schedule: Schedule) -> ViewersConfig:
    return ViewersConfig(
        port=http_port,
        streams=tuple(stream_name(number) for number in range(plan.streams)),
        viewers=plan.viewers,
        join_s=join_s,
        schedule=schedule,
        shares=plan.shares,
        law=plan.law,
        mean_session_s=plan.mean_session_s,
        seed=plan.seed,
    )


def _require_rungs(plan: LoadPlan, ladder: Ladder) -> None:
    names = [rung.name for rung in ladder.rungs]
    for name in plan.shares or {}:
        if name not in names:
            raise CalibrationError(f"the ladder has no rung {name!r} to watch; it has {', '.join(names)}")


def _allow_files(needed: int) -> None:
    """Let this process and its children open as many files as the system allows; NotReady if that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise NotReady(f"these viewers need {needed} open files, this user may have {hard}; ask for fewer --viewers")
    if needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
