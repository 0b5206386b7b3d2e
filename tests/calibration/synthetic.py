"""Measurement bundles made up from known coefficients, to see whether they are found again."""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.bundle import META_FILE, TABLES, BundleMeta, Content, TableFile
from scenarios.ladder import Ladder, Rung, Source
from scenarios.machine import EncoderFacts, MachineFacts

SOURCE = Source(width=1280, height=720, fps=30, bitrate_bps=3.5e6)
TOP = Rung(name="720p30", width=1280, height=720, fps=30, bitrate_bps=3e6)
LOW = Rung(name="480p30", width=852, height=480, fps=30, bitrate_bps=1.5e6)
LADDER = Ladder(rungs=(TOP, LOW))
MACHINE = MachineFacts(
    cpu_model="Model X",
    cores=2,
    memory_bytes=8e9,
    architecture="x86_64",
    operating_system="Linux 6",
)
ENCODER = EncoderFacts(
    backend="x264",
    preset="ultrafast",
    options={"tune": "zerolatency"},
    libraries={"av": "18.1.0"},
)
SEGMENT_FRAMES = 60
COLD = 2.0
"""Factor on the cost of frames in the warm-up, which must not be found in any coefficient."""
WARM_UP = 2


@dataclass(frozen=True)
class Truth:
    """The coefficients from which a bundle is made, in seconds unless a ratio."""

    ingest_s: float = 0.006
    decode_s: float = 0.0033
    scale_s: Mapping[str, float] = field(default_factory=lambda: {"720p30": 0.0002, "480p30": 0.0009})
    encode_s: Mapping[str, float] = field(default_factory=lambda: {"720p30": 0.0042, "480p30": 0.0022})
    mux_s: float = 0.00004
    other_s: float = 0.03
    growth: float = 0.2
    capacity: int = 4
    decode_cv: float = 0.3
    encode_cv: float = 0.25
    decode_key: float = 1.5
    encode_key: float = 2.0
    startup_s: float = 2.1
    publish_s: float = 0.02
    rss_base: float = 60e6
    rss_stream: float = 40e6

    @property
    def cpu_per_stream_s(self) -> float:
        """CPU per stream-second of a single stream."""
        rungs = sum(self.scale_s[name] + self.encode_s[name] + self.mux_s for name in self.scale_s)
        return self.ingest_s + self.other_s + 30 * (self.decode_s + rungs)

    def grown(self, streams: int) -> float:
        """Factor on every CPU time at a load."""
        return 1 + self.growth * min((streams - 1) / max(self.capacity - 1, 1), 1.0)


def frame_costs(rng: np.random.Generator, mean: float, cv: float, key_factor: float, is_key: np.ndarray) -> np.ndarray:
    """Return lognormal costs of mean `mean` over all frames, keyframes dearer by `key_factor`."""
    share = is_key.mean()
    ordinary = mean * (1 - share * key_factor) / (1 - share)
    sigma = np.sqrt(np.log1p(cv**2))
    noise = rng.lognormal(-(sigma**2) / 2, sigma, size=is_key.size)
    return np.where(is_key, mean * key_factor, ordinary) * noise


def write_bundle(
    folder: Path,
    *,
    truth: Truth | None = None,
    loads: tuple[int, ...] = (1, 2, 4, 6),
    repeats: int = 1,
    segments: int = 10,
    seed: int = 1,
    voids: tuple[int, ...] = (),
    identity: str = "synthetic-1",
    machine: MachineFacts = MACHINE,
    encoder: EncoderFacts = ENCODER,
    contended: bool = False,
    arrival_s: np.ndarray | None = None,
) -> Path:
    """Write a bundle whose runs follow `truth`; runs of the numbers in `voids` are void.

    `arrival_s` replaces the arrivals of every stream, to replay a process with a closed form.
    """
    truth = truth or Truth()
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}
    run = 0
    for repeat in range(repeats):
        for streams in loads:
            _add_run(rows, rng, truth, run, streams, repeat, segments, void=run in voids, arrival_s=arrival_s)
            run += 1
    return store(folder, rows, identity=identity, machine=machine, encoder=encoder, contended=contended)


def store(
    folder: Path,
    rows: Mapping[str, list[dict[str, object]]],
    *,
    identity: str = "synthetic-1",
    machine: MachineFacts = MACHINE,
    encoder: EncoderFacts = ENCODER,
    contended: bool = False,
) -> Path:
    """Write rows as a bundle with right checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, columns in TABLES.items():
        schema = pa.schema([(column, pa.type_for_alias(alias)) for column, alias in columns.items()])
        table = pa.Table.from_pylist(rows[name], schema=schema)
        path = folder / f"{name}.parquet"
        pq.write_table(table, path, write_page_checksum=True)
        files[name] = TableFile(
            file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), rows=table.num_rows
        )
    meta = BundleMeta(
        headroom_bundle=1,
        identity=identity,
        date=datetime.date(2026, 1, 31),
        headroom_version="0.1.0",
        depth="quick",
        machine=machine,
        encoder=encoder,
        ladders={"ladder": LADDER},
        content=(Content(name="clip", source=SOURCE, frames=300, gop_s=2.0, sha256="0" * 64),),
        warm_up_segments=WARM_UP,
        contended=contended,
        tables=files,
    )
    (folder / META_FILE).write_text(meta.model_dump_json(indent=1), encoding="utf-8")
    return folder


def _add_run(rows, rng, truth, run, streams, repeat, segments, *, void, arrival_s):
    grown = truth.grown(streams)
    overloaded = streams > truth.capacity
    media_s = streams * segments * 2.0
    stages_s = [
        _add_stream(rows, rng, truth, run, stream, segments + WARM_UP, grown, arrival_s) for stream in range(streams)
    ]
    cpu_s = sum(stages_s) + (truth.ingest_s + truth.other_s) * grown * media_s
    achieved = min(cpu_s, 0.95 * segments * 2.0 * 2)
    rows["runs"].append(
        {
            "run": run,
            "ladder": "ladder",
            "clip": "clip",
            "concurrent_streams": streams,
            "repeat": repeat,
            "start": "staggered",
            "wall_s": segments * 2.0,
            "media_s": media_s,
            "server_cpu_s": achieved,
            "ingest_cpu_s": truth.ingest_s * grown * media_s,
            "generator_cpu_s": 0.01 * media_s,
            "generator_late_fraction": 0.0,
            "generator_late_p99_s": 0.001,
            "steal_fraction": 0.0,
            "contention_fraction": 0.01,
            "rss_bytes": truth.rss_base + streams * truth.rss_stream,
            "backlog_slope": 0.1 if overloaded else 0.0,
            "backlog_slope_low": 0.05 if overloaded else -0.001,
            "backlog_slope_high": 0.15 if overloaded else 0.001,
            "dropped_frames": 100 if overloaded and streams > truth.capacity + 2 else 0,
            "verdict": "void" if void else "overloaded" if overloaded else "holds",
            "void_reason": "the generator was late" if void else None,
        }
    )


def _add_stream(rows, rng, truth, run, stream, segments, grown, arrival_s):
    """Add a stream; return the CPU of its stages after the warm-up."""
    count = segments * SEGMENT_FRAMES + 1  # the last frame closes the last segment
    pts = np.arange(count) / 30
    arrivals = pts + 0.3 * stream + 0.01 if arrival_s is None else arrival_s[:count]
    is_key = np.arange(count) % SEGMENT_FRAMES == 0
    cold = np.where(np.arange(count) < WARM_UP * SEGMENT_FRAMES, COLD, 1.0)
    decode = cold * frame_costs(rng, truth.decode_s * grown, truth.decode_cv, truth.decode_key, is_key)
    rows["streams"].append(
        {
            "run": run,
            "stream": stream,
            "publish_accepted_s": 0.3 * stream,
            "first_segment_s": 0.3 * stream + truth.startup_s + rng.normal(0, 0.01),
            "dropped_frames": 0,
        }
    )
    for frame in range(count):
        rows["frames"].append(
            {
                "run": run,
                "stream": stream,
                "frame": frame,
                "pts_s": pts[frame],
                "is_keyframe": bool(is_key[frame]),
                "bytes": 10_000,
                "scheduled_s": arrivals[frame] - 0.005,
                "sent_s": arrivals[frame] - 0.004,
                "arrival_s": arrivals[frame],
                "decoded_s": arrivals[frame] + decode[frame],
                "decode_cpu_s": decode[frame],
            }
        )
    stages_s = decode[cold == 1.0].sum()
    for rung in LADDER.rungs:
        stages_s += _add_rung(rows, rng, truth, run, stream, rung.name, is_key, arrivals, decode, cold * grown)
    return stages_s


def _add_rung(rows, rng, truth, run, stream, rung, is_key, arrivals, decode, grown):
    """Add a rung whose frames cost `grown` times the truth; return its stages' CPU after the warm-up."""
    mean = truth.scale_s[rung] + truth.encode_s[rung]
    picture = grown * frame_costs(rng, mean, truth.encode_cv, truth.encode_key, is_key)
    scale_share = truth.scale_s[rung] / (truth.scale_s[rung] + truth.encode_s[rung])
    encoded = arrivals + decode + picture
    for frame in range(is_key.size):
        rows["rungs"].append(
            {
                "run": run,
                "stream": stream,
                "rung": rung,
                "frame": frame,
                "starts_segment": bool(is_key[frame]),
                "scale_cpu_s": picture[frame] * scale_share,
                "encode_cpu_s": picture[frame] * (1 - scale_share),
                "mux_cpu_s": truth.mux_s * grown[frame],
                "encoded_s": encoded[frame],
                "muxed_s": encoded[frame] + truth.mux_s,
            }
        )
    opening = np.flatnonzero(is_key)
    for segment, (first, closing) in enumerate(itertools.pairwise(opening)):
        publish = truth.publish_s * rng.uniform(0.8, 1.2)
        rows["segments"].append(
            {
                "run": run,
                "stream": stream,
                "rung": rung,
                "segment": segment,
                "first_arrival_s": arrivals[first],
                "closing_arrival_s": arrivals[closing],
                "closed_s": arrivals[closing] + publish,
                "duration_s": 2.0,
                "bytes": 500_000,
                "warm_up": segment < WARM_UP,
            }
        )
    warm = slice(WARM_UP * SEGMENT_FRAMES, None)
    return (picture + truth.mux_s * grown)[warm].sum()
