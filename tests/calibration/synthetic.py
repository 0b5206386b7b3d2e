"""Measurement bundles made up from known laws, to see whether they are found again."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.bundle import META_FILE, TABLES, BundleMeta, Content, TableFile, stored_column
from scenarios.ladder import Ladder, Rung, Source
from scenarios.machine import EncoderFacts, MachineFacts


def rung(height: int, bitrate_bps: float) -> Rung:
    """Return a 16:9 rung of 30 frames a second."""
    width = round(height * 16 / 18) * 2
    return Rung(name=f"{height}p30", width=width, height=height, fps=30, bitrate_bps=bitrate_bps)


def source(height: int, bitrate_bps: float) -> Source:
    """Return a 16:9 source of 30 frames a second."""
    return Source(width=round(height * 16 / 18) * 2, height=height, fps=30, bitrate_bps=bitrate_bps)


SOURCE = source(720, 3.5e6)
LADDER = Ladder(rungs=(rung(720, 3e6), rung(480, 1.5e6)))
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
class Case:
    """One ladder, clip, preset and start, and the loads it is run at."""

    name: str = "ladder"
    source: Source = SOURCE
    ladder: Ladder = LADDER
    content: str = "camera"
    preset: str = "ultrafast"
    start: str = "staggered"
    loads: tuple[int, ...] = (1, 2, 4, 6)

    @property
    def clip(self) -> str:
        """Name of what the publishers send."""
        return f"{self.content}-{self.source.label.replace('@', 'p')}"


CHIEF = Case()
SEVERAL = (
    CHIEF,
    Case("alone", ladder=Ladder(rungs=(rung(480, 1.5e6),)), loads=(1, 4)),
    Case("small", source(360, 0.9e6), Ladder(rungs=(rung(360, 0.8e6), rung(240, 0.4e6))), loads=(1, 6, 16)),
    Case("middle", source(480, 1.7e6), Ladder(rungs=(rung(480, 1.5e6), rung(360, 0.8e6))), loads=(1, 4)),
    Case("smallest", source(360, 0.9e6), Ladder(rungs=(rung(240, 0.4e6),)), loads=(1, 8)),
)


PUBLISH_S = 0.02
"""Mean publication; no law is fitted to it."""


@dataclass(frozen=True)
class Truth:
    """The laws from which a bundle is made: coefficients by name, in their units."""

    laws: Mapping[str, float] = field(
        default_factory=lambda: {
            "base_cpu_s_per_s": 0.01,
            "ingest_cpu_s_per_frame": 1.2e-4,
            "ingest_cpu_s_per_byte": 5e-9,
            "decode_cpu_s_per_frame": 2e-4,
            "decode_cpu_s_per_pixel": 2e-9,
            "decode_cpu_s_per_byte": 7e-8,
            "scale_cpu_s_per_frame": 5e-5,
            "scale_cpu_s_per_source_pixel": 5e-10,
            "scale_cpu_s_per_rung_pixel": 5e-10,
            "encode_cpu_s_per_frame": 3e-4,
            "encode_cpu_s_per_pixel": 4.4e-9,
            "mux_cpu_s_per_frame": 3e-5,
            "mux_cpu_s_per_byte": 2e-9,
            "other_cpu_s_per_job": 1e-4,
            "cpu_growth_with_load": 0.2,
            "rss_bytes_of_process": 60e6,
            "rss_bytes_per_stream": 4e6,
            "rss_bytes_per_pixel": 20.0,
            "startup_overhead_s": 0.15,
            "encode_keyframe_factor": 1.5,
            "decode_cpu_cv": 0.2,
            "encode_cpu_cv": 0.25,
        }
    )
    knee: float = 0.9
    """Share of all cores up to which a load holds."""
    content: Mapping[str, float] = field(default_factory=lambda: {"camera": 1.0, "screen": 0.6})
    """Factor on decoding and encoding."""
    keyframes: Mapping[str, float] = field(default_factory=lambda: {"camera": 1.0, "screen": 1.6})
    """Factor on the keyframe factor of encoding."""
    presets: Mapping[str, float] = field(default_factory=lambda: {"ultrafast": 1.0, "veryfast": 2.0})
    """Factor on encoding."""

    def but(self, **laws: float) -> Truth:
        """Return a truth in which some laws are others."""
        return dataclasses.replace(self, laws={**self.laws, **laws})


def mean_costs(truth: Truth, case: Case) -> dict[str, float]:
    """Return the mean CPU of one frame at no load, by stage and rung: `decode`, `scale 480p30`, …"""
    laws, sent = truth.laws, case.source
    content = truth.content[case.content]
    costs = {
        "decode": content
        * (
            laws["decode_cpu_s_per_frame"]
            + laws["decode_cpu_s_per_pixel"] * sent.pixels
            + laws["decode_cpu_s_per_byte"] * sent.bitrate_bps / 240
        )
    }
    for of in case.ladder.rungs:
        resized = of.pixels != sent.pixels
        costs[f"scale {of.name}"] = laws["scale_cpu_s_per_frame"] + resized * (
            laws["scale_cpu_s_per_source_pixel"] * sent.pixels + laws["scale_cpu_s_per_rung_pixel"] * of.pixels
        )
        encoding = laws["encode_cpu_s_per_frame"] + laws["encode_cpu_s_per_pixel"] * of.pixels
        costs[f"encode {of.name}"] = encoding * content * truth.presets[case.preset]
        costs[f"mux {of.name}"] = laws["mux_cpu_s_per_frame"] + laws["mux_cpu_s_per_byte"] * of.bitrate_bps / 240
    return costs


def stream_cpu_s(truth: Truth, case: Case) -> float:
    """Return CPU per stream-second at no load, the base apart."""
    laws = truth.laws
    receiving = laws["ingest_cpu_s_per_frame"] + laws["ingest_cpu_s_per_byte"] * case.source.bitrate_bps / 240
    jobs = 1 + 2 * len(case.ladder.rungs)
    return 30 * (receiving + sum(mean_costs(truth, case).values()) + jobs * laws["other_cpu_s_per_job"])


GENERATOR = 0.01
"""CPU of the generator per stream-second."""


def utilisation(truth: Truth, case: Case, streams: int) -> float:
    """Return the share of all cores that server and generator take at a load."""
    return min(asked(truth, case, streams), 1.0)


def asked(truth: Truth, case: Case, streams: int) -> float:
    """Return the share of all cores that server and generator would take at a load, above 1 if too much."""
    cpu_s, growth = streams * stream_cpu_s(truth, case), truth.laws["cpu_growth_with_load"]
    left = MACHINE.cores - growth * cpu_s
    return (truth.laws["base_cpu_s_per_s"] + cpu_s + streams * GENERATOR) / left if left > 0 else np.inf


def write_bundle(
    folder: Path,
    *,
    truth: Truth | None = None,
    cases: Sequence[Case] = (CHIEF,),
    loads: tuple[int, ...] | None = None,
    repeats: int = 1,
    segments: int = 10,
    seed: int = 1,
    voids: tuple[int, ...] = (),
    idle: bool = False,
    arrival_s: np.ndarray | None = None,
    slowness: Callable[[int], float] = lambda run: 1.0,
    tells_speed: bool = False,
    **facts: object,
) -> Path:
    """Write a bundle whose runs follow `truth`; runs of the numbers in `voids` are void.

    `loads` replaces those of every case; `arrival_s` the arrivals of every stream, to replay a process with a closed
    form; `idle` adds the memory before the first stream; `slowness` multiplies every CPU time of a run, and
    `tells_speed` adds the fixed job before each; `facts` go to `store`.
    """
    truth, rng = truth or Truth(), np.random.default_rng(seed)
    frames: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    run = 0
    for repeat in range(repeats):
        for case in cases:
            for streams in loads or case.loads:
                made = _Run(rng, truth, case, run, streams, repeat, segments, slowness(run), tells_speed)
                for name, frame in made.tables(void=run in voids, idle=idle, arrival_s=arrival_s).items():
                    frames[name].append(frame)
                run += 1
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items() if parts}
    return store(folder, tables, cases=cases, **facts)


@dataclass(frozen=True)
class _Run:
    rng: np.random.Generator
    truth: Truth
    case: Case
    run: int
    streams: int
    repeat: int
    segments: int
    slow: float
    tells_speed: bool

    def tables(self, *, void: bool, idle: bool, arrival_s: np.ndarray | None) -> dict[str, pd.DataFrame]:
        """Return every table of the run."""
        parts = [self._stream(number, arrival_s) for number in range(self.streams)]
        found = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
        load = utilisation(self.truth, self.case, self.streams)
        media_s, wall_s, laws = self.streams * self.segments * 2.0, self.segments * 2.0, self.truth.laws
        warm = found["frames"]["frame"] >= WARM_UP * SEGMENT_FRAMES
        stages_s = found["frames"].loc[warm, "decode_cpu_s"].sum()
        of_rungs = found["rungs"][found["rungs"]["frame"] >= WARM_UP * SEGMENT_FRAMES]
        stages_s += of_rungs[["scale_cpu_s", "encode_cpu_s", "mux_cpu_s"]].to_numpy().sum()
        growth = self.slow * (1 + laws["cpu_growth_with_load"] * load)
        receiving = laws["ingest_cpu_s_per_frame"] + laws["ingest_cpu_s_per_byte"] * self.case.source.bitrate_bps / 240
        ingest_s = receiving * 30 * media_s * growth + laws["base_cpu_s_per_s"] * wall_s
        other_s = laws["other_cpu_s_per_job"] * (1 + 2 * len(self.case.ladder.rungs)) * 30 * media_s * growth
        overloaded = load > self.truth.knee
        pixels = self.case.source.pixels + sum(one.pixels for one in self.case.ladder.rungs)
        rss = laws["rss_bytes_per_stream"] + laws["rss_bytes_per_pixel"] * pixels
        run = {
            "run": self.run,
            "ladder": self.case.name,
            "clip": self.case.clip,
            "preset": self.case.preset,
            "concurrent_streams": self.streams,
            "repeat": self.repeat,
            "start": self.case.start,
            "reference_cpu_s": 0.5 * self.slow if self.tells_speed else None,
            "wall_s": wall_s,
            "media_s": media_s,
            "server_cpu_s": min(stages_s + ingest_s + other_s, 0.95 * wall_s * MACHINE.cores),
            "ingest_cpu_s": ingest_s,
            "generator_cpu_s": GENERATOR * media_s,
            "generator_late_fraction": 0.0,
            "generator_late_p99_s": 0.001,
            "steal_fraction": 0.0,
            "contention_fraction": 0.01,
            "rss_bytes": laws["rss_bytes_of_process"] + self.streams * rss,
            "idle_rss_bytes": laws["rss_bytes_of_process"] if idle else None,
            "backlog_slope": 0.1 if overloaded else 0.0,
            "backlog_slope_low": 0.05 if overloaded else -0.001,
            "backlog_slope_high": 0.15 if overloaded else 0.001,
            "dropped_frames": 100 if asked(self.truth, self.case, self.streams) > 1.4 else 0,
            "verdict": "void" if void else "overloaded" if overloaded else "holds",
            "void_reason": "the generator was late" if void else None,
        }
        return found | {"runs": pd.DataFrame([run])}

    def _stream(self, stream: int, arrival_s: np.ndarray | None) -> dict[str, pd.DataFrame]:
        count = (self.segments + WARM_UP) * SEGMENT_FRAMES + 1  # the last frame closes the last segment
        index = np.arange(count)
        pts = index / 30
        arrivals = pts + 0.3 * stream + 0.01 if arrival_s is None else arrival_s[:count]
        is_key = index % SEGMENT_FRAMES == 0
        load = utilisation(self.truth, self.case, self.streams)
        grown = np.where(index < WARM_UP * SEGMENT_FRAMES, COLD, 1.0)
        grown = self.slow * grown * (1 + self.truth.laws["cpu_growth_with_load"] * load)
        costs, laws = mean_costs(self.truth, self.case), self.truth.laws
        key = {"run": self.run, "stream": stream}
        mean_bytes = self.case.source.bitrate_bps / 240
        sizes = _kept_mean(np.where(is_key, 8.0, 1.0) * self.rng.uniform(0.6, 1.4, count), is_key) * mean_bytes
        per_byte = laws["decode_cpu_s_per_byte"] * self.truth.content[self.case.content]
        expected = costs["decode"] + per_byte * (sizes - mean_bytes)
        decode = grown * expected * self._noise("decode_cpu_cv", count)
        frames = {
            "frame": index,
            "pts_s": pts,
            "is_keyframe": is_key,
            "bytes": sizes.round().astype(int),
            "scheduled_s": arrivals - 0.005,
            "sent_s": arrivals - 0.004,
            "arrival_s": arrivals,
            "decoded_s": arrivals + decode,
            "decode_cpu_s": decode,
        }
        startup_s = self.case.ladder.segment_s + laws["startup_overhead_s"] + self.rng.normal(0, 0.01)
        accepted = {"publish_accepted_s": 0.3 * stream, "first_segment_s": 0.3 * stream + startup_s}
        parts = [self._rung(key, of, is_key, arrivals, decode, grown, costs) for of in self.case.ladder.rungs]
        return {
            "streams": pd.DataFrame([key | accepted | {"dropped_frames": 0}]),
            "frames": pd.DataFrame(frames).assign(**key),
            "rungs": pd.concat([part[0] for part in parts]),
            "segments": pd.concat([part[1] for part in parts]),
        }

    def _rung(self, key, of, is_key, arrivals, decode, grown, costs):
        count, laws = is_key.size, self.truth.laws
        mean = costs[f"scale {of.name}"] + costs[f"encode {of.name}"]
        share = is_key.mean()
        factor = laws["encode_keyframe_factor"] * self.truth.keyframes[self.case.content]
        ordinary = mean * (1 - share * factor) / (1 - share)
        picture = grown * np.where(is_key, mean * factor, ordinary) * self._noise("encode_cpu_cv", count)
        encoded = arrivals + decode + picture
        rows = {
            "rung": of.name,
            "frame": np.arange(count),
            "starts_segment": is_key,
            "scale_cpu_s": picture * costs[f"scale {of.name}"] / mean,
            "encode_cpu_s": picture * costs[f"encode {of.name}"] / mean,
            "mux_cpu_s": grown * costs[f"mux {of.name}"],
            "encoded_s": encoded,
            "muxed_s": encoded + costs[f"mux {of.name}"],
        }
        opening = np.flatnonzero(is_key)
        closing = arrivals[opening[1:]]
        publish = PUBLISH_S * self.rng.uniform(0.8, 1.2, closing.size)
        segments = {
            "rung": of.name,
            "segment": np.arange(closing.size),
            "first_arrival_s": arrivals[opening[:-1]],
            "closing_arrival_s": closing,
            "closed_s": closing + publish,
            "duration_s": 2.0,
            "bytes": round(of.bitrate_bps / 4),
            "warm_up": np.arange(closing.size) < WARM_UP,
        }
        return pd.DataFrame(rows).assign(**key), pd.DataFrame(segments).assign(**key)

    def _noise(self, cv: str, count: int) -> np.ndarray:
        sigma = np.sqrt(np.log1p(self.truth.laws[cv] ** 2))
        return self.rng.lognormal(-(sigma**2) / 2, sigma, size=count)


def _kept_mean(sizes: np.ndarray, is_key: np.ndarray) -> np.ndarray:
    """Return sizes whose mean over whole segments after the warm-up is 1."""
    return sizes / sizes[WARM_UP * SEGMENT_FRAMES : -1].mean()


def store(
    folder: Path,
    tables: Mapping[str, pd.DataFrame | list[dict[str, object]]],
    *,
    cases: Sequence[Case] = (CHIEF,),
    identity: str = "synthetic-1",
    machine: MachineFacts = MACHINE,
    encoder: EncoderFacts = ENCODER,
    contended: bool = False,
) -> Path:
    """Write tables, times in seconds, as a bundle with right checksums; those that are missing are empty."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in TABLES:
        path = folder / f"{name}.parquet"
        pq.write_table(_arrow(name, pd.DataFrame(tables.get(name, []))), path, write_page_checksum=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files[name] = TableFile(file=path.name, sha256=digest, rows=pq.read_metadata(path).num_rows)
    clips = {case.clip: case.source for case in cases}
    meta = BundleMeta(
        headroom_bundle=3,
        identity=identity,
        date=datetime.date(2026, 1, 31),
        headroom_version="0.1.0",
        depth="quick",
        machine=machine,
        encoders={case.preset: encoder.model_copy(update={"preset": case.preset}) for case in cases},
        ladders={case.name: case.ladder for case in cases},
        content=tuple(
            Content(name=clip, source=sent, frames=300, gop_s=2.0, sha256="0" * 64) for clip, sent in clips.items()
        ),
        warm_up_segments=WARM_UP,
        contended=contended,
        tables=files,
    )
    (folder / META_FILE).write_text(meta.model_dump_json(indent=1), encoding="utf-8")
    return folder


def _arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    arrays, fields = [], []
    for column, kind in TABLES[name].items():
        on_disk, alias = stored_column(column, kind)
        values = frame[column] if column in frame else pd.Series([None] * len(frame), dtype=object)
        if kind == "time":
            values = (pd.to_numeric(values) * 1e6).round().astype("Int64")
        arrays.append(pa.array(values, type=pa.type_for_alias(alias), from_pandas=True))
        fields.append((on_disk, pa.type_for_alias(alias)))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
