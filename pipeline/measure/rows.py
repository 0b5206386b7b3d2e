"""From the marks of one run to rows of the bundle's tables; what was not observed is None."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.ladders.backend import TICKS_PER_S
from pipeline.marks import ArrivedMark, DecodedMark, DroppedMark, EncodedMark, MuxedMark, SegmentMark
from pipeline.measure.generator import GeneratorHealth, publishers_health
from pipeline.measure.load_run import RawRun, stream_name
from pipeline.measure.verdict import Verdict, judge
from scenarios.backlog import lag_by_segment
from scenarios.bundle import PER_RUN, TABLES

DIGITS = 7
"""Of every time, in seconds: a tenth of a microsecond, which no clock here resolves."""

Row = dict[str, Any]
Rows = dict[str, list[Row]]


class RunMarks:
    """The marks of a run, by what they are about; times since the run's start.

    Attributes:
        arrivals: by (stream, frame), in arrival order.
        decodes: by (stream, frame).
        encodes, muxes: by (stream, rung, frame).
        segments: in the order of publication.
        drops: (stream, frame) of frames that were not decoded.
        accepted_s: moment of the accepted publish, by stream.
    """

    def __init__(self, raw: RawRun) -> None:
        marks = raw.server["marks"]
        self.zero_s = raw.schedule.start_s
        numbers = {stream_name(number): number for number in range(raw.streams)}
        arrivals = (ArrivedMark(*mark) for mark in marks["frames"])
        self.arrivals = {(numbers[mark.stream], mark.frame): mark for mark in arrivals}
        decodes = (DecodedMark(*mark) for mark in marks["decodes"])
        self.decodes = {(numbers[mark.stream], mark.frame): mark for mark in decodes}
        encodes = (EncodedMark(*mark) for mark in marks["encodes"])
        self.encodes = {(numbers[mark.stream], mark.rung, mark.frame): mark for mark in encodes}
        muxes = (MuxedMark(*mark) for mark in marks["muxes"])
        self.muxes = {(numbers[mark.stream], mark.rung, mark.frame): mark for mark in muxes}
        segments = (SegmentMark(*mark) for mark in marks["segments"])
        self.segments = [(numbers[mark.stream], mark) for mark in segments]
        drops = (DroppedMark(*mark) for mark in marks["drops"])
        self.drops = {(numbers[mark.stream], mark.frame) for mark in drops}
        self.accepted_s = {numbers[name]: at_s - self.zero_s for name, at_s in marks["publications"]}

    def since_start(self, moment_s: float | None) -> float | None:
        """Return a moment as the bundle has it."""
        return None if moment_s is None else round(moment_s - self.zero_s, DIGITS)


@dataclass(frozen=True)
class Labels:
    """How the bundle names a run: the columns of `runs` by these names."""

    run: int
    ladder: str
    clip: str
    preset: str
    repeat: int
    start: str = "staggered"


def rows_of(
    raw: RawRun,
    labels: Labels,
    *,
    fps: float,
    segment_s: float,
    reference_cpu_s: float | None = None,
    void_reason: str | None = None,
) -> tuple[Rows, Verdict]:
    """Return the rows of one run for every table that has rows of runs, and the verdict on it.

    Args:
        raw: what the processes reported.
        labels: what the bundle calls it.
        fps: frames per second of the source.
        segment_s: length of a segment.
        reference_cpu_s: of the job that was run before it.
        void_reason: why it is void, whatever the processes reported; None if nothing else is wrong with it.
    """
    marks = RunMarks(raw)
    health = publishers_health(raw.generator, raw.schedule, wall_s=raw.wall_s)
    reason = void_reason or health.void_reason
    verdict = _judged(raw, marks, reason, fps=fps, segment_s=segment_s)
    rows: Rows = {
        "runs": [_run_row(raw, marks, health, verdict, fps=fps)],
        "streams": _stream_rows(raw, marks),
        "frames": _frame_rows(raw, marks),
        "rungs": _rung_rows(marks),
        "segments": _segment_rows(raw, marks),
    }
    rows["runs"][0] |= asdict(labels) | {"reference_cpu_s": reference_cpu_s}
    return {name: [{"run": labels.run, **row} for row in found] for name, found in rows.items()}, verdict


def rows_of_nothing(labels: Labels, *, streams: int, reason: str) -> Rows:
    """Return the rows of a run that was cut short: it is void, and nothing of it was observed."""
    observed = {column: None for column, kind in TABLES["runs"].items() if kind == "float64"}
    run = {"concurrent_streams": streams, "dropped_frames": 0, "verdict": "void", "void_reason": reason}
    return {name: [] for name in PER_RUN} | {"runs": [observed | run | asdict(labels)]}


def _judged(raw: RawRun, marks: RunMarks, void_reason: str | None, *, fps: float, segment_s: float) -> Verdict:
    schedule = raw.schedule
    due_s = [stream["scheduled_s"] for stream in raw.generator["streams"]]
    moments_s, lags_s = [], []
    for (stream, _, frame), mark in marks.muxes.items():
        moments_s.append(due_s[stream][frame])
        lags_s.append(mark.at_s - due_s[stream][frame])
    lost = sum(
        key not in marks.decodes
        for key, mark in marks.arrivals.items()
        if schedule.window_start_s <= mark.arrival_s < schedule.window_end_s
    )
    whole = lag_by_segment(
        moments_s, lags_s, start_s=schedule.window_start_s, end_s=schedule.window_end_s, segment_s=segment_s
    )
    return judge(
        *whole,
        window_s=schedule.window_end_s - schedule.window_start_s,
        frame_interval_s=1 / fps,
        lost_frames=lost,
        void_reason=void_reason,
    )


def _run_row(raw: RawRun, marks: RunMarks, health: GeneratorHealth, verdict: Verdict, *, fps: float) -> Row:
    start, end = raw.server["start"], raw.server["end"]
    arrived = sum(start["at_s"] <= mark.arrival_s < end["at_s"] for mark in marks.arrivals.values())
    slope = verdict.slope
    return {
        "concurrent_streams": raw.streams,
        "wall_s": raw.wall_s,
        "media_s": arrived / fps,
        "server_cpu_s": raw.server_cpu_s,
        "ingest_cpu_s": end["event_loop_cpu_s"] - start["event_loop_cpu_s"],
        "demux_cpu_s": _difference(start, end, "demux_cpu_s"),
        "audio_cpu_s": _difference(start, end, "audio_cpu_s"),
        "generator_cpu_s": raw.generator["cpu_s"],
        "generator_late_fraction": health.late_fraction,
        "generator_late_p99_s": health.late_p99_s,
        "steal_fraction": raw.shares.steal,
        "contention_fraction": raw.shares.contention,
        "rss_bytes": float(end["peak_rss_bytes"]),
        "idle_rss_bytes": float(raw.server["idle_rss_bytes"]),
        "backlog_slope": slope.middle if slope else None,
        "backlog_slope_low": slope.low if slope else None,
        "backlog_slope_high": slope.high if slope else None,
        "dropped_frames": len(marks.drops),
        "verdict": verdict.verdict,
        "void_reason": verdict.void_reason,
    }


def _stream_rows(raw: RawRun, marks: RunMarks) -> list[Row]:
    rungs = {mark.rung for _, mark in marks.segments}
    firsts = {(stream, mark.rung): mark.closed_s for stream, mark in marks.segments if mark.segment == 0}
    dropped = Counter(stream for stream, _ in marks.drops)
    rows = []
    for stream in range(raw.streams):
        closed_s = [firsts.get((stream, rung)) for rung in rungs]
        listed = [moment for moment in closed_s if moment is not None]
        whole = bool(rungs) and len(listed) == len(rungs)
        rows.append(
            {
                "stream": stream,
                "publish_accepted_s": _rounded(marks.accepted_s.get(stream)),
                "first_segment_s": marks.since_start(max(listed)) if whole else None,
                "dropped_frames": dropped[stream],
            }
        )
    return rows


def _frame_rows(raw: RawRun, marks: RunMarks) -> list[Row]:
    rows = []
    for (stream, frame), mark in sorted(marks.arrivals.items()):
        sent = raw.generator["streams"][stream]
        decoded = marks.decodes.get((stream, frame))
        rows.append(
            {
                "stream": stream,
                "frame": frame,
                "pts_s": round(mark.pts / TICKS_PER_S, DIGITS),
                "is_keyframe": mark.is_keyframe,
                "bytes": mark.bytes,
                "scheduled_s": marks.since_start(sent["scheduled_s"][frame]),
                "sent_s": marks.since_start(sent["sent_s"][frame]),
                "arrival_s": marks.since_start(mark.arrival_s),
                "decoded_s": marks.since_start(decoded.at_s) if decoded else None,
                "decode_cpu_s": round(decoded.cpu_s, DIGITS) if decoded else None,
            }
        )
    return rows


def _rung_rows(marks: RunMarks) -> list[Row]:
    rows = []
    for stream, rung, frame in sorted(marks.encodes.keys() | marks.muxes.keys()):
        encoded, muxed = (of.get((stream, rung, frame)) for of in (marks.encodes, marks.muxes))
        rows.append(
            {
                "stream": stream,
                "rung": rung,
                "frame": frame,
                "starts_segment": any(mark.starts_segment for mark in (encoded, muxed) if mark),
                "scale_cpu_s": round(encoded.scale_cpu_s, DIGITS) if encoded else None,
                "encode_cpu_s": round(encoded.encode_cpu_s, DIGITS) if encoded else None,
                "mux_cpu_s": round(muxed.cpu_s, DIGITS) if muxed else None,
                "encoded_s": marks.since_start(encoded.at_s) if encoded else None,
                "muxed_s": marks.since_start(muxed.at_s) if muxed else None,
            }
        )
    return rows


def _segment_rows(raw: RawRun, marks: RunMarks) -> list[Row]:
    return [
        {
            "stream": stream,
            "rung": mark.rung,
            "segment": mark.segment,
            "first_arrival_s": marks.since_start(mark.first_arrival_s),
            "closing_arrival_s": marks.since_start(mark.closing_arrival_s),
            "closed_s": marks.since_start(mark.closed_s),
            "duration_s": mark.duration_s,
            "bytes": mark.bytes,
            "warm_up": mark.first_arrival_s < raw.schedule.window_start_s,
        }
        for stream, mark in marks.segments
    ]


def _rounded(moment_s: float | None) -> float | None:
    return None if moment_s is None else round(moment_s, DIGITS)


def _difference(start: Row, end: Row, name: str) -> float | None:
    """Return how much a sample grew over the window; None where there was no such stage."""
    return None if start[name] is None or end[name] is None else end[name] - start[name]
