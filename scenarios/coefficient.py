"""The coefficients through which measurements enter the simulator: one table, checked against docs and code."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from scenarios.base import IsoDate, SpecModel, Text


class CoefficientKind(NamedTuple):
    """What a coefficient is, who measures it and who uses it.

    Attributes:
        unit: as printed.
        per: "machine", "picture" (one value for each source picture), "rung", "codec" (and preset, where it is
            encoded) or "cpu" (a CPU family).
        meaning: one line.
        producer: module that measures or fits it.
        consumer: module of `sim` that uses it.
    """

    unit: str
    per: Literal["machine", "picture", "rung", "codec", "cpu"]
    meaning: str
    producer: str
    consumer: str


FIT = "sim.calibration.fit"
CAPACITY = "sim.capacity"
REPLAY = "sim.calibration.replay"
ACCELERATOR = "scenarios.accelerator"
ENGINES = "sim.engines"

COEFFICIENTS = {
    "ingest_cpu_s_per_stream_s": CoefficientKind(
        "core-s/stream-s",
        "machine",
        "RTMP connection, chunk parsing and hand-over of one stream",
        FIT,
        CAPACITY,
    ),
    "decode_cpu_s_per_frame": CoefficientKind("core-s", "picture", "decoding one source frame", FIT, CAPACITY),
    "scale_cpu_s_per_frame": CoefficientKind("core-s", "rung", "scaling one source frame to a rung", FIT, CAPACITY),
    "encode_cpu_s_per_frame": CoefficientKind("core-s", "rung", "encoding one frame of a rung", FIT, CAPACITY),
    "mux_cpu_s_per_frame": CoefficientKind("core-s", "rung", "muxing one frame of a rung into segments", FIT, CAPACITY),
    "other_cpu_s_per_stream_s": CoefficientKind(
        "core-s/stream-s", "machine", "CPU of the process that no stage accounts for", FIT, CAPACITY
    ),
    "cpu_growth_at_capacity": CoefficientKind(
        "1",
        "machine",
        "rise of the CPU per stream from one stream to the largest number that holds",
        FIT,
        CAPACITY,
    ),
    "usable_core_fraction": CoefficientKind(
        "1", "machine", "share of all cores in use at the largest number of streams that holds", FIT, CAPACITY
    ),
    "rss_bytes_per_stream": CoefficientKind("B", "machine", "resident memory one more stream takes", FIT, CAPACITY),
    "startup_s": CoefficientKind(
        "s",
        "machine",
        "from an accepted publish until every rung lists its first segment",
        FIT,
        "sim.metrics",
    ),
    "segment_publish_s": CoefficientKind(
        "s", "machine", "mean segment publish latency of a single stream", FIT, REPLAY
    ),
    "decode_cpu_cv": CoefficientKind("1", "picture", "coefficient of variation of a frame's decoding", FIT, REPLAY),
    "encode_cpu_cv": CoefficientKind(
        "1",
        "rung",
        "coefficient of variation of a frame's scaling and encoding, keyframes apart",
        FIT,
        REPLAY,
    ),
    "decode_keyframe_factor": CoefficientKind("1", "picture", "decoding a keyframe ÷ a mean frame", FIT, REPLAY),
    "encode_keyframe_factor": CoefficientKind("1", "rung", "encoding a keyframe ÷ a mean frame", FIT, REPLAY),
    "cpu_speed_agreement": CoefficientKind(
        "1", "cpu", "speed of a CPU family ÷ what its CoreMark says", "scenarios.catalogue", "sim.capacity"
    ),
    "video_clock_hz": CoefficientKind(
        "Hz", "machine", "clock of a GPU's video engines under load", ACCELERATOR, ENGINES
    ),
    "encode_engines": CoefficientKind("1", "machine", "NVENC engines of a GPU", ACCELERATOR, "sim.accelerated"),
    "decode_engines": CoefficientKind("1", "machine", "NVDEC engines of a GPU", ACCELERATOR, "sim.accelerated"),
    "encode_sessions": CoefficientKind(
        "1",
        "machine",
        "NVENC sessions the driver opens at once; none where there is no cap",
        ACCELERATOR,
        "sim.accelerated",
    ),
    "gpu_memory_bytes_per_rung": CoefficientKind(
        "B", "machine", "GPU memory of one rung's decoder, session and surfaces", ACCELERATOR, "sim.accelerated"
    ),
    "encode_engine_s_per_pixel": CoefficientKind(
        "engine-s/pixel", "codec", "one NVENC engine, one pixel", ENGINES, "sim.accelerated"
    ),
    "decode_engine_s_per_pixel": CoefficientKind(
        "engine-s/pixel", "codec", "one NVDEC engine, one pixel", ENGINES, "sim.accelerated"
    ),
    "socs_per_card": CoefficientKind("1", "machine", "SoCs of an ASIC card", ACCELERATOR, "sim.accelerated"),
    "soc_s_per_stream_s": CoefficientKind(
        "SoC-s/stream-s",
        "picture",
        "share of a SoC that decoding and encoding this picture takes",
        ACCELERATOR,
        ENGINES,
    ),
}


class Provenance(SpecModel):
    """What a coefficient rests on."""

    kind: Literal["measured", "datasheet", "scaled", "assumed"]
    source: Text
    """Bundle, datasheet, what it was scaled from and by which ratio, or why it was assumed."""
    date: IsoDate


class Coefficient(SpecModel):
    """A number with its interval, unit and provenance; never a bare number."""

    name: Text
    of: Text = ""
    """What it is about: `1280x720@30` or `copied 1280x720@30`, a codec and preset as `h264 p4`, a CPU family.

    Empty for the machine.
    """
    unit: Text
    middle: Annotated[float, Field(ge=0, le=1e15)]
    low: Annotated[float, Field(ge=0, le=1e15)]
    high: Annotated[float, Field(ge=0, le=1e15)]
    """95 % interval, both ends within it."""
    provenance: Provenance

    @property
    def key(self) -> str:
        """Name and subject: the column of the coefficient among the draws."""
        return f"{self.name} {self.of}".strip()

    @model_validator(mode="after")
    def _known_and_ordered(self) -> Coefficient:
        kind = COEFFICIENTS.get(self.name)
        if kind is None:
            raise ValueError(f"no coefficient is called {self.name!r}; the catalogue is docs/coefficients.md")
        if kind.unit != self.unit:
            raise ValueError(f"{self.name} is in {kind.unit}, not in {self.unit}")
        if (kind.per == "machine") != (self.of == ""):
            raise ValueError(f"{self.name} is per {kind.per}; of: {self.of!r} does not fit")
        if not self.low <= self.middle <= self.high:
            raise ValueError(f"{self.key}: the middle lies outside low … high")
        return self
