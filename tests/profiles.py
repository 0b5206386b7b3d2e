"""Profiles with invented but plausible coefficients, for tests that need one and do not care which."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np

from scenarios.coefficient import COEFFICIENTS, Coefficient, Provenance
from scenarios.ladder import Ladder, Rung, Source
from scenarios.machine import EncoderFacts, MachineFacts
from scenarios.profile import Draws, Measured, MeasuredLadder, Profile, Range

DATE = datetime.date(2026, 11, 22)
SOURCE = Source(width=1280, height=720, fps=30.0, bitrate_bps=3.5e6)
LADDER = Ladder(
    segment_s=2.0,
    rungs=(
        Rung(name="720p30", width=1280, height=720, fps=30.0, bitrate_bps=2.5e6),
        Rung(name="480p30", width=854, height=480, fps=30.0, bitrate_bps=1.2e6),
    ),
)
MIDDLES = {
    "base_cpu_s_per_s": 0.01,
    "ingest_cpu_s_per_frame": 0.0002,
    "ingest_cpu_s_per_byte": 1e-9,
    "decode_cpu_s_per_frame": 0.0001,
    "decode_cpu_s_per_pixel": 2e-9,
    "decode_cpu_s_per_byte": 7e-8,
    "scale_cpu_s_per_frame": 0.00005,
    "scale_cpu_s_per_source_pixel": 5e-10,
    "scale_cpu_s_per_rung_pixel": 4e-10,
    "encode_cpu_s_per_frame": 0.0003,
    "encode_cpu_s_per_pixel": 4.5e-9,
    "mux_cpu_s_per_frame": 0.00005,
    "mux_cpu_s_per_byte": 1e-9,
    "other_cpu_s_per_job": 0.00005,
    "audio_cpu_s_per_stream_s": 0.001,
    "decode_content_factor camera": 1.0,
    "encode_content_factor camera": 1.0,
    "decode_content_factor screen": 0.8,
    "encode_content_factor screen": 0.7,
    "decode_cpu_cv_content_factor camera": 1.0,
    "encode_cpu_cv_content_factor camera": 1.0,
    "encode_keyframe_content_factor camera": 1.0,
    "decode_cpu_cv_content_factor screen": 1.5,
    "encode_cpu_cv_content_factor screen": 1.5,
    "encode_keyframe_content_factor screen": 2.0,
    "cpu_growth_with_load": 0.1,
    "usable_core_fraction": 0.9,
    "rss_bytes_of_process": 70e6,
    "rss_bytes_per_stream": 4e6,
    "rss_bytes_per_pixel": 20.0,
    "startup_overhead_s": 0.15,
    "decode_cpu_cv": 0.2,
    "encode_cpu_cv": 0.2,
    "encode_keyframe_factor": 1.2,
    "mux_keyframe_factor": 4.0,
    "generator_cpu_s_per_frame": 0.00004,
    "waker_core_share": 0.5,
    "idle_pull_delay_s": 0.004,
    "wake_up_s": 0.0002,
}


def profile(*, spread: float = 0.03, cost: float = 1.0, more: Mapping[str, float] | None = None) -> Profile:
    """Return a profile whose coefficients vary by `spread` over the draws; `cost` multiplies all CPU times.

    `more` adds coefficients that not every measurement has.
    """
    middles = {key: value * (cost if "_cpu_s_per_" in key else 1.0) for key, value in MIDDLES.items()} | (more or {})
    factors = 1.0 + spread * np.random.default_rng(7).standard_normal((50, len(middles)))
    rows = np.clip(factors, 0.5, 1.5) * np.array(list(middles.values()))
    return Profile(
        headroom_profile=2,
        name="invented",
        machine=MachineFacts(
            cpu_model="Test CPU", cores=2, memory_bytes=8e9, architecture="x86_64", operating_system="Linux"
        ),
        encoder=EncoderFacts(backend="x264", preset="ultrafast", options={}, libraries={}),
        measured=Measured(
            bundles=("invented",),
            date=DATE,
            ladders=(
                measured_ladder("ladder", SOURCE, LADDER, capacity=4),
                measured_ladder("narrow", SOURCE, Ladder(rungs=LADDER.rungs[1:]), capacity=7),
            ),
            utilisation=Range(low=0.15, high=0.95),
            segments=100,
            contended=False,
        ),
        coefficients=tuple(_coefficient(key, middle, spread) for key, middle in middles.items()),
        draws=Draws(columns=tuple(middles), rows=tuple(tuple(row) for row in rows.tolist())),
    )


def measured_ladder(name: str, source: Source, ladder: Ladder, *, capacity: int) -> MeasuredLadder:
    """Return a ladder whose knee was seen at `capacity` streams."""
    return MeasuredLadder(
        name=name,
        source=source,
        ladder=ladder,
        content="camera",
        preset="ultrafast",
        start="staggered",
        concurrent_streams=(1, 2, capacity, capacity + 1),
        capacity_streams=capacity,
        overloaded_streams=capacity + 1,
    )


def _coefficient(key: str, middle: float, spread: float) -> Coefficient:
    name, _, of = key.partition(" ")
    return Coefficient(
        name=name,
        of=of,
        unit=COEFFICIENTS[name].unit,
        middle=middle,
        low=middle * (1 - 2 * spread),
        high=middle * (1 + 2 * spread),
        provenance=Provenance(kind="assumed", source="invented for a test", date=DATE),
    )
