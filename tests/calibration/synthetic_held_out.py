"""Bundles of several ladders and clips, made by running the node model with known coefficients and a noisy day.

Whoever knows the coefficients predicts such a bundle up to noise; whoever has one of them wrong does not.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from profiles import measured_ladder
from profiles import profile as some_profile

from pipeline.measure.bundle_writer import packed, write_bundle
from scenarios.bundle import TABLES, Content
from scenarios.coefficient import Coefficient
from scenarios.ladder import Ladder, Rung, Source
from scenarios.machine import MachineFacts
from scenarios.profile import Profile
from sim.calibration.arrivals import Arrivals, StreamArrivals, replicated
from sim.calibration.cores import scheduling
from sim.calibration.node import run_node
from sim.calibration.outcome import outcome_of
from sim.calibration.service import service_times
from sim.calibration.tables import read_bundle
from sim.stream_cost import startup_s

FPS = 10.0
SOURCE = Source(width=640, height=360, fps=FPS, bitrate_bps=1e6)
BIG = Rung(name="360p10", width=640, height=360, fps=FPS, bitrate_bps=8e5)
MIDDLE = Rung(name="288p10", width=512, height=288, fps=FPS, bitrate_bps=6e5)
SMALL = Rung(name="180p10", width=320, height=180, fps=FPS, bitrate_bps=3e5)
CHIEF = Ladder(rungs=(BIG, SMALL))
SINGLE = Ladder(rungs=(MIDDLE,))
LADDERS = {"chief": CHIEF, "single": SINGLE, "same": CHIEF}
PROTOCOL = "a" * 64
SEGMENT_FRAMES = 20
WARM_UP = 2
STAGGER_S = 0.3
DATE = datetime.date(2026, 1, 31)
KEY_BYTES = 40_000.0
OTHER_BYTES = (SOURCE.bitrate_bps / 8 / FPS - KEY_BYTES / SEGMENT_FRAMES) * SEGMENT_FRAMES / (SEGMENT_FRAMES - 1)
"""So that a segment has the bitrate of the source."""
COST = 7.4
"""Factor on all CPU times, so that few streams of few frames fill the machine."""
REFERENCE_S = 0.5
"""CPU time of the fixed job on the day of the fit."""


@dataclasses.dataclass(frozen=True)
class Series:
    """Runs of one ladder and clip: how often each load was run."""

    ladder: str
    loads: Mapping[int, int]
    clip: str = "camera"
    start: str = "staggered"


def true_profile(*, wrong: Mapping[str, float] | None = None) -> Profile:
    """Return the profile that knows the coefficients; `wrong` gives factors on those whose key starts so."""
    ours = some_profile(spread=0.0, cost=COST)
    coefficients = tuple(_off(one, _factor(one.key, wrong or {})) for one in ours.coefficients)
    return ours.model_copy(
        update={
            "name": "synthetic",
            "measured": ours.measured.model_copy(
                update={
                    "bundles": ("in-sample",),
                    "ladders": (measured_ladder("chief", SOURCE, CHIEF, capacity=5),),
                    "reference_cpu_s": REFERENCE_S,
                }
            ),
            "coefficients": coefficients,
        }
    )


def _factor(key: str, wrong: Mapping[str, float]) -> float:
    return next((factor for start, factor in wrong.items() if key.startswith(start)), 1.0)


def _off(one: Coefficient, factor: float) -> Coefficient:
    return one.model_copy(update={name: factor * getattr(one, name) for name in ("low", "middle", "high")})


def write_runs(
    folder: Path,
    series: Sequence[Series],
    *,
    identity: str,
    held_out: bool = True,
    segments: int = 6,
    slowness: float | None = 1.0,
    day_cv: float = 0.01,
    seed: int = 1,
    voids: Sequence[int] = (),
) -> Path:
    """Write a bundle whose runs come out of the node model; each has its own speed of the machine.

    Args:
        folder: to write.
        series: what is run.
        identity: of the bundle.
        held_out: whether it follows a protocol.
        segments: of each stream, warm-up excluded.
        slowness: of the machine against the day of the fit; None: as on that day, and the fixed job was not run.
        day_cv: coefficient of variation of the machine's speed between runs.
        seed: of everything random.
        voids: numbers of runs that are void.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}
    number = 0
    for entry in series:
        for load, repeats in entry.loads.items():
            for repeat in range(repeats):
                speed = (slowness or 1.0) * rng.normal(1, day_cv)
                _add_run(rows, entry, number, load, repeat, segments=segments, speed=speed, rng=rng)
                rows["runs"][-1]["reference_cpu_s"] = slowness and REFERENCE_S * speed
                number += 1
    for run in rows["runs"]:
        if run["run"] in voids:
            run |= {"verdict": "void", "void_reason": "the generator was late"}
    facts = _facts(series, identity=identity, held_out=held_out)
    return write_bundle(folder, facts=facts, parts=[packed(rows)])


def _facts(series: Sequence[Series], *, identity: str, held_out: bool) -> dict[str, object]:
    invented = some_profile()
    clips = sorted({entry.clip for entry in series})
    return {
        "headroom_bundle": 3,
        "identity": identity,
        "date": DATE,
        "headroom_version": "0.1.0",
        "depth": "holdout" if held_out else "full",
        "machine": MachineFacts.model_validate(invented.machine.model_dump()),
        "encoders": {invented.encoder.preset: invented.encoder},
        "ladders": {name: LADDERS[name] for name in sorted({entry.ladder for entry in series})},
        "content": tuple(Content(name=clip, source=SOURCE, frames=300, gop_s=2.0, sha256="0" * 64) for clip in clips),
        "warm_up_segments": WARM_UP,
        "contended": False,
        "protocol_sha256": PROTOCOL if held_out else None,
    }


ARRIVALS = {
    "runs": {"run", "ladder", "clip", "preset", "concurrent_streams", "repeat", "start", "verdict", "void_reason"},
    "streams": {"run", "stream"},
    "frames": {"run", "stream", "frame", "pts_s", "is_keyframe", "bytes", "arrival_s"},
    "rungs": {"run", "stream", "rung", "frame"},
    "segments": {"run", "stream", "rung", "segment"},
}
"""What stays where it is when outcomes are scrambled: keys, arrivals and their sizes, configuration, and verdicts, by
which the rows of a table are chosen."""


def scrambled(folder: Path, out: Path, *, seed: int) -> Path:
    """Write a bundle in which every column of measured outcomes is permuted, table by table."""
    rng = np.random.default_rng(seed)
    bundle = read_bundle(folder)
    rows = {}
    for name in TABLES:
        frame = getattr(bundle, name)
        for column in frame.columns.difference(list(ARRIVALS.get(name, ()))):
            frame = frame.assign(**{column: frame[column].to_numpy()[rng.permutation(len(frame))]})
        rows[name] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    facts = {key: value for key, value in bundle.meta if key != "tables"}
    return write_bundle(out, facts=facts, parts=[packed(rows)])


def arrivals_of_load(entry: Series, streams: int, *, segments: int) -> Arrivals:
    """Return a load of regular frames."""
    frames = np.arange((segments + WARM_UP) * SEGMENT_FRAMES + 1)  # the last one closes the last segment
    is_key = frames % SEGMENT_FRAMES == 0
    first = StreamArrivals(
        0, frames / FPS + 0.01, frames / FPS, is_key, frames, np.where(is_key, KEY_BYTES, OTHER_BYTES)
    )
    cores = some_profile().machine.cores
    pattern = Arrivals((first,), SOURCE, LADDERS[entry.ladder], entry.clip, cores, WARM_UP)
    return replicated(pattern, streams, stagger_s=STAGGER_S if entry.start == "staggered" else 0.0)


def _add_run(rows, entry, number, load, repeat, *, segments, speed, rng):
    """Add a run of the node model, its times on disk as they would be measured."""
    arrivals = arrivals_of_load(entry, load, segments=segments)
    values = {key: value * (speed if "_cpu_s_per_" in key else 1.0) for key, value in true_profile().middle().items()}
    seed = 1000 + number
    services = service_times(arrivals, values=values, seed=seed)
    records = run_node(arrivals, services, scheduling=scheduling(values), seed=seed)
    outcome = outcome_of(arrivals, services, records, startup_s=startup_s(values, arrivals.ladder))
    media_s = load * (arrivals.window_end_s - arrivals.window_start_s)
    rows["runs"].append(
        dict.fromkeys(TABLES["runs"], 0.0)
        | {
            "run": number,
            "ladder": entry.ladder,
            "clip": entry.clip,
            "preset": some_profile().encoder.preset,
            "concurrent_streams": load,
            "repeat": repeat,
            "start": entry.start,
            "wall_s": media_s / load,
            "media_s": media_s,
            "server_cpu_s": outcome.cpu_s_per_stream_s * media_s,
            "ingest_cpu_s": 0.01 * media_s,
            "rss_bytes": 6e7 * (1 + load),
            "backlog_slope": outcome.slope.middle,
            "backlog_slope_low": outcome.slope.low,
            "backlog_slope_high": outcome.slope.high,
            "dropped_frames": 0,
            "verdict": "holds" if outcome.holds else "overloaded",
            "void_reason": None,
        }
    )
    for stream, service in zip(arrivals.streams, services, strict=True):
        _add_stream(rows, number, stream, service, startup_s=outcome.startup_s.mean() * rng.normal(1, 0.01))
    _add_records(rows, number, records, services, warm_until_s=arrivals.window_start_s)


def _add_stream(rows, number, stream, service, *, startup_s):
    rows["streams"].append(
        {
            "run": number,
            "stream": stream.number,
            "publish_accepted_s": stream.arrival_s[0],
            "first_segment_s": stream.arrival_s[0] + startup_s,
            "dropped_frames": 0,
        }
    )
    for index, frame in enumerate(stream.frame.tolist()):
        arrival_s = stream.arrival_s[index]
        rows["frames"].append(
            {
                "run": number,
                "stream": stream.number,
                "frame": frame,
                "pts_s": stream.pts_s[index],
                "is_keyframe": bool(stream.is_keyframe[index]),
                "bytes": int(stream.bytes[index]),
                "scheduled_s": arrival_s - 0.004,
                "sent_s": arrival_s - 0.003,
                "arrival_s": arrival_s,
                "decoded_s": arrival_s + service.decode_s[index],
                "decode_cpu_s": service.decode_s[index],
            }
        )


def _add_records(rows, number, records, services, *, warm_until_s):
    for record in records.frames.to_dict("records"):
        service = services[record["stream"]].rungs[record["rung"]]
        rows["rungs"].append(
            {
                "run": number,
                "stream": record["stream"],
                "rung": record["rung"],
                "frame": record["frame"],
                "starts_segment": record["frame"] % SEGMENT_FRAMES == 0,
                "scale_cpu_s": 0.1 * service.picture_s[record["frame"]],
                "encode_cpu_s": 0.9 * service.picture_s[record["frame"]],
                "mux_cpu_s": service.mux_s[record["frame"]],
                "encoded_s": record["encoded_s"],
                "muxed_s": record["muxed_s"],
            }
        )
    for record in records.segments.to_dict("records"):
        rows["segments"].append(
            {name: record[name] for name in ("stream", "rung", "segment", "closed_s")}
            | {
                "run": number,
                "first_arrival_s": record["first_arrival_s"],
                "closing_arrival_s": record["closing_arrival_s"],
                "duration_s": SEGMENT_FRAMES / FPS,
                "bytes": 100_000,
                "warm_up": record["first_arrival_s"] < warm_until_s - 1e-9,
            }
        )
