"""Profiles with invented but plausible coefficients, for tests that need one and do not care which."""

from __future__ import annotations

import datetime

import numpy as np

from scenarios.coefficient import COEFFICIENTS, Coefficient, Provenance
from scenarios.ladder import Ladder, Rung, Source
from scenarios.machine import EncoderFacts, MachineFacts
from scenarios.profile import Draws, Measured, Profile

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
    "ingest_cpu_s_per_stream_s": 0.008,
    "decode_cpu_s_per_frame 1280x720@30": 0.003,
    "scale_cpu_s_per_frame 1280x720@30": 0.0001,
    "scale_cpu_s_per_frame 854x480@30": 0.001,
    "encode_cpu_s_per_frame 1280x720@30": 0.0045,
    "encode_cpu_s_per_frame 854x480@30": 0.0022,
    "mux_cpu_s_per_frame 1280x720@30": 0.00005,
    "mux_cpu_s_per_frame 854x480@30": 0.00005,
    "other_cpu_s_per_stream_s": 0.01,
    "cpu_growth_at_capacity": 0.05,
    "usable_core_fraction": 0.95,
    "rss_bytes_per_stream": 60e6,
    "startup_s": 2.3,
    "segment_publish_s": 0.03,
    "decode_cpu_cv 1280x720@30": 0.2,
    "encode_cpu_cv 1280x720@30": 0.2,
    "encode_cpu_cv 854x480@30": 0.2,
    "decode_keyframe_factor 1280x720@30": 1.5,
    "encode_keyframe_factor 1280x720@30": 1.5,
    "encode_keyframe_factor 854x480@30": 1.5,
}


def profile(*, spread: float = 0.03, cost: float = 1.0) -> Profile:
    """Return a profile whose coefficients vary by `spread` over the draws; `cost` multiplies all CPU times."""
    middles = {key: value * (cost if "_cpu_s_" in key else 1.0) for key, value in MIDDLES.items()}
    factors = 1.0 + spread * np.random.default_rng(7).standard_normal((50, len(middles)))
    rows = np.clip(factors, 0.5, 1.5) * np.array(list(middles.values()))
    return Profile(
        headroom_profile=1,
        name="invented",
        machine=MachineFacts(
            cpu_model="Test CPU", cores=2, memory_bytes=8e9, architecture="x86_64", operating_system="Linux"
        ),
        encoder=EncoderFacts(backend="x264", preset="ultrafast", options={}, libraries={}),
        measured=Measured(
            bundles=("invented",),
            date=DATE,
            source=SOURCE,
            ladder=LADDER,
            concurrent_streams=(1, 2, 4, 8),
            capacity_streams=4,
            segments=100,
            contended=False,
        ),
        coefficients=tuple(_coefficient(key, middle, spread) for key, middle in middles.items()),
        draws=Draws(columns=tuple(middles), rows=tuple(tuple(row) for row in rows.tolist())),
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
