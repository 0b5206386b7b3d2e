"""What a load showed, computed from the reports of its processes, and told as a table or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.load.glass import SeenPicture
from pipeline.measure.generator import GeneratorHealth, generator_health, publishers_health
from pipeline.measure.glass_to_glass import GlassToGlass, glass_to_glass
from pipeline.measure.load_test import RawLoad
from scenarios.errors import NotReady


@dataclass(frozen=True)
class Quantiles:
    """Of latencies in seconds; null where there were none."""

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None

    @classmethod
    def of(cls, values_s: Sequence[float]) -> Quantiles:
        """Return the quantiles of some values."""
        if not values_s:
            return cls(0, None, None, None, None)
        middle, high, highest = np.quantile(values_s, (0.5, 0.95, 0.99)).tolist()
        return cls(len(values_s), middle, high, highest, max(values_s))


@dataclass(frozen=True)
class RequestFigures:
    """The requests of one kind; `sent` = `ok` + all of `failed` + `in_flight`.

    Attributes:
        statuses: answers by HTTP status.
        latency: of those due in the window, from when they were due.
    """

    sent: int
    ok: int
    failed: dict[str, int]
    in_flight: int
    statuses: dict[str, int]
    received_bytes: int
    latency: Quantiles


@dataclass(frozen=True)
class ViewerFigures:
    """What the crowd saw.

    Attributes:
        sessions: how many were begun.
        without_picture: of them, those that never got a segment.
        startup: from joining to the first segment.
        watched_s: time of all sessions together.
        stalls, stalled_s: of all sessions together.
        missed_segments: that left the playlist before a viewer had learnt of them.
        switches: changes of rung.
    """

    sessions: int
    without_picture: int
    startup: Quantiles
    watched_s: float
    stalls: int
    stalled_s: float
    missed_segments: int
    switches: int


@dataclass(frozen=True)
class ServerFigures:
    """What the server spent in the window.

    Attributes:
        cpu_s_per_stream_s: of the whole process, for each second of each stream.
        cpu_s_per_request: of its event loop, which receives RTMP too, for each request of a viewer.
        cores: of the whole process, on average.
        peak_rss_bytes: largest resident memory.
    """

    cpu_s_per_stream_s: float
    cpu_s_per_request: float
    cores: float
    peak_rss_bytes: int


@dataclass(frozen=True)
class LoadReport:
    """What a load showed.

    Attributes:
        void_reason: why it shows nothing; None if it does.
        publishers, viewers, glass: how well the three generators kept their times.
        requests: of the crowd, by kind.
        watching: what the crowd saw.
        glass_rung: the rung that was looked at, of the first stream.
        glass_to_glass: what became of its pictures; None where `glass_problem` says why it is not known.
        glass_saw_end: whether they were watched to the stream's end; else what came too late counts as lost.
        latency: of these pictures.
        server: what it spent.
        elsewhere: share of the machine's CPU that went to neither server nor generators.
    """

    void_reason: str | None
    publishers: GeneratorHealth
    viewers: GeneratorHealth
    glass: GeneratorHealth
    requests: dict[str, RequestFigures]
    watching: ViewerFigures
    glass_rung: str
    glass_to_glass: GlassToGlass | None
    glass_problem: str | None
    glass_saw_end: bool
    latency: Quantiles
    server: ServerFigures
    elsewhere: float


def load_report(raw: RawLoad) -> LoadReport:
    """Return what a load showed."""
    wall_s = raw.schedule.window_end_s - raw.schedule.window_start_s
    publishers = publishers_health(raw.published, raw.schedule, wall_s=wall_s)
    viewers, glass = (
        generator_health(process["own_delay_s"], cpu_s=process["cpu_s"], wall_s=wall_s, sends="polls")
        for process in (raw.watched, raw.looked)
    )
    reasons = [health.void_reason for health in (publishers, viewers, glass)]
    seen, problem = _looked(raw)
    return LoadReport(
        void_reason=next(filter(None, reasons), None),
        publishers=publishers,
        viewers=viewers,
        glass=glass,
        requests={kind: _requests(tally) for kind, tally in raw.watched["requests"].items() if tally["sent"]},
        watching=_watching(raw.watched["sessions"]),
        glass_rung=raw.glass_rung.name,
        glass_to_glass=seen,
        glass_problem=problem,
        glass_saw_end=raw.looked["ended"],
        latency=Quantiles.of(seen.latency_s if seen else ()),
        server=_server(raw),
        elsewhere=raw.shares.steal + raw.shares.contention,
    )


def _looked(raw: RawLoad) -> tuple[GlassToGlass | None, str | None]:
    source = raw.clip.content
    try:
        seen = glass_to_glass(
            [SeenPicture(*picture) for picture in raw.looked["pictures"]],
            raw.published["streams"][0]["sent_s"],
            loop_frames=source.frames,
            source_fps=source.source.fps,
            rung_fps=raw.glass_rung.fps,
            window=(raw.schedule.window_start_s, raw.schedule.window_end_s),
        )
    except NotReady as error:
        return None, str(error)
    return seen, None


def _requests(tally: Mapping[str, Any]) -> RequestFigures:
    return RequestFigures(
        sent=tally["sent"],
        ok=tally["ok"],
        failed=tally["failed"],
        in_flight=tally["in_flight"],
        statuses=tally["statuses"],
        received_bytes=tally["received_bytes"],
        latency=Quantiles.of(tally["latency_s"]),
    )


def _watching(sessions: Sequence[Mapping[str, Any]]) -> ViewerFigures:
    startups = [session["startup_s"] for session in sessions if session["startup_s"] is not None]

    def total(name: str) -> Any:
        return sum(session[name] for session in sessions)

    return ViewerFigures(
        sessions=len(sessions),
        without_picture=len(sessions) - len(startups),
        startup=Quantiles.of(startups),
        watched_s=total("watched_s"),
        stalls=total("stalls"),
        stalled_s=total("stalled_s"),
        missed_segments=total("missed"),
        switches=total("switches"),
    )


def _server(raw: RawLoad) -> ServerFigures:
    start, end = raw.server["start"], raw.server["end"]
    wall_s, cpu_s = end["at_s"] - start["at_s"], end["cpu_s"] - start["cpu_s"]
    requests = sum(tally["measured"] for tally in raw.watched["requests"].values())
    return ServerFigures(
        cpu_s_per_stream_s=cpu_s / wall_s / raw.plan.streams,
        cpu_s_per_request=(end["event_loop_cpu_s"] - start["event_loop_cpu_s"]) / max(requests, 1),
        cores=cpu_s / wall_s,
        peak_rss_bytes=end["peak_rss_bytes"],
    )


def document(report: LoadReport) -> dict[str, Any]:
    """Return the report as plain data; single latencies are left out."""
    plain = asdict(report)
    if plain["glass_to_glass"] is not None:
        del plain["glass_to_glass"]["latency_s"]
    return plain


def table(report: LoadReport) -> str:
    """Return the report as lines of text."""
    rows = [
        *(_health_row(name, getattr(report, name)) for name in ("publishers", "viewers", "glass")),
        ("server", _server_text(report.server)),
        *((kind, _request_text(figures)) for kind, figures in report.requests.items()),
        ("watching", _watching_text(report.watching)),
        (f"glass to glass, {report.glass_rung}", _glass_text(report)),
        ("errors", _errors_text(report.requests.values())),
    ]
    if report.elsewhere > 0:
        rows.append(("elsewhere", f"{report.elsewhere:.0%} of the machine's CPU went to other programs"))
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{wide}}  {text}" for name, text in rows)


def _health_row(name: str, health: GeneratorHealth) -> tuple[str, str]:
    late = f"{health.late_fraction:.1%} of {health.sends} late, p99 {_ms(health.late_p99_s)}"
    return name, f"{late}, {health.cpu_share:.1%} of a core"


def _server_text(server: ServerFigures) -> str:
    stream, request = f"{server.cpu_s_per_stream_s:.3f} CPU-s", f"{server.cpu_s_per_request * 1e3:.2f} ms"
    process = f"{server.cores:.2f} cores in use, {server.peak_rss_bytes / 1e6:.0f} MB at most"
    return f"{stream} per stream-second, {request} of the event loop per request, {process}"


def _request_text(figures: RequestFigures) -> str:
    failed = sum(figures.failed.values())
    balance = f"{figures.sent} sent = {figures.ok} ok + {failed} failed + {figures.in_flight} in flight"
    return f"{balance}, {figures.received_bytes / 1e6:.1f} MB, {_quantiles_text(figures.latency)}"


def _watching_text(watching: ViewerFigures) -> str:
    stalls = f"{watching.stalls} stalls, {watching.stalled_s:.1f} s of {watching.watched_s:.0f} s watched"
    start = f"startup {_quantiles_text(watching.startup)}, {watching.without_picture} without a picture"
    return f"{watching.sessions} sessions, {start}, {stalls}, {watching.missed_segments} segments missed"


def _glass_text(report: LoadReport) -> str:
    seen = report.glass_to_glass
    if seen is None:
        return f"not known: {report.glass_problem}"
    counts = f"{seen.pictures} pictures, {seen.lost} lost, {seen.duplicated} twice, {seen.unread} unread"
    end = "" if report.glass_saw_end else ", given up before the end"
    return f"{_quantiles_text(report.latency)} from sent to fetched; {counts}{end}"


def _errors_text(requests: Iterable[RequestFigures]) -> str:
    total: Counter[str] = Counter()
    for figures in requests:
        total.update(figures.failed)
    return ", ".join(f"{count} {fault}" for fault, count in total.items()) or "none"


def _quantiles_text(of: Quantiles) -> str:
    if not of.count:
        return "no latency"
    return f"p50 {_ms(of.p50_s)}, p95 {_ms(of.p95_s)}, p99 {_ms(of.p99_s)}, max {_ms(of.max_s)}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f} ms"
