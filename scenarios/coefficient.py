"""The coefficients through which measurements enter the simulator: one table, checked against docs and code."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, get_args

from pydantic import Field, model_validator

from scenarios.base import IsoDate, SpecModel, Text

ProvenanceKind = Literal["measured", "datasheet", "scaled", "assumed"]
FROM_STRONG_TO_WEAK = get_args(ProvenanceKind)
"""Kinds of provenance, as far as they carry."""


class CoefficientKind(NamedTuple):
    """What a coefficient is, who measures it and who uses it.

    Attributes:
        unit: as printed.
        per: "machine", or what there is one value for: each "content", "transport", "picture", "rung", "codec" (and
            preset, where it is encoded) or "cpu" (a CPU family).
        meaning: one line.
        producer: module that measures or fits it.
        consumer: module of `sim` that uses it.
    """

    unit: str
    per: Literal["machine", "content", "transport", "picture", "rung", "codec", "cpu"]
    meaning: str
    producer: str
    consumer: str


FIT = "sim.calibration.fit"
COST = "sim.stream_cost"
CAPACITY = "sim.capacity"
REPLAY = "sim.calibration.replay"
ACCELERATOR = "scenarios.accelerator"
ENGINES = "sim.engines"


def _law(unit: str, meaning: str, consumer: str = COST) -> CoefficientKind:
    """Return one number of a machine that `fit` finds."""
    return CoefficientKind(unit, "machine", meaning, FIT, consumer)


COEFFICIENTS = {
    "base_cpu_s_per_s": _law("core-s/s", "CPU of the process each second, however many streams it has", CAPACITY),
    "ingest_cpu_s_per_frame": _law("core-s", "receiving one frame: chunk parsing and hand-over"),
    "ingest_cpu_s_per_byte": _law("core-s/B", "receiving one byte more"),
    "decode_cpu_s_per_frame": _law("core-s", "decoding one frame, whatever its size"),
    "decode_cpu_s_per_pixel": _law("core-s/px", "decoding, for each pixel of the source"),
    "decode_cpu_s_per_byte": _law("core-s/B", "decoding, for each byte of the frame"),
    "scale_cpu_s_per_frame": _law("core-s", "handing one frame to the scaler; all there is at the source's own size"),
    "scale_cpu_s_per_source_pixel": _law("core-s/px", "scaling, for each pixel of the source"),
    "scale_cpu_s_per_rung_pixel": _law("core-s/px", "scaling, for each pixel of the rung"),
    "encode_cpu_s_per_frame": _law("core-s", "encoding one frame, whatever its size"),
    "encode_cpu_s_per_pixel": _law("core-s/px", "encoding, for each pixel of the rung"),
    "mux_cpu_s_per_frame": _law("core-s", "muxing one frame of a rung into segments, whatever its size"),
    "mux_cpu_s_per_byte": _law("core-s/B", "muxing, for each byte of the frame"),
    "other_cpu_s_per_job": _law("core-s", "CPU beside the stages, for each decoding, encoding and muxing of a frame"),
    "audio_cpu_s_per_stream_s": _law("core-s/stream-s", "passing the audio of one stream on"),
    "decode_content_factor": CoefficientKind(
        "1", "content", "decoding of this content ÷ that of the reference content", FIT, COST
    ),
    "encode_content_factor": CoefficientKind(
        "1", "content", "encoding of this content ÷ that of the reference content", FIT, COST
    ),
    "cpu_growth_with_load": _law("1", "rise of every CPU time from an idle machine to one with all cores in use"),
    "usable_core_fraction": _law("1", "share of all cores in use at the most streams that hold", CAPACITY),
    "rss_bytes_of_process": _law("B", "resident memory of the process without a stream", CAPACITY),
    "rss_bytes_per_stream": _law("B", "resident memory of one more stream, whatever its size"),
    "rss_bytes_per_pixel": _law("B/px", "resident memory for each pixel of a stream's source and encoded rungs"),
    "startup_overhead_s": _law("s", "start-up beyond the first segment's length"),
    "authorisation_s": _law("s", "from a publisher's connection to its acceptance, an endpoint asked for it"),
    "origin_cpu_s_per_request": CoefficientKind("core-s", "transport", "serving one request", FIT, COST),
    "origin_cpu_s_per_byte": CoefficientKind("core-s/B", "transport", "serving, for each byte sent", FIT, COST),
    "decode_cpu_cv": _law("1", "coefficient of variation of a frame's decoding, keyframes apart", REPLAY),
    "encode_cpu_cv": _law("1", "coefficient of variation of a frame's scaling and encoding, keyframes apart", REPLAY),
    "encode_keyframe_factor": _law("1", "scaling and encoding a keyframe ÷ a mean frame", REPLAY),
    "decode_cpu_cv_content_factor": CoefficientKind(
        "1", "content", "variation of this content's decoding ÷ that of the reference content", FIT, COST
    ),
    "encode_cpu_cv_content_factor": CoefficientKind(
        "1", "content", "variation of this content's scaling and encoding ÷ that of the reference content", FIT, COST
    ),
    "encode_keyframe_content_factor": CoefficientKind(
        "1", "content", "keyframe factor of this content's encoding ÷ that of the reference content", FIT, COST
    ),
    "mux_keyframe_factor": _law("1", "muxing the frame that opens a segment ÷ a mean frame", REPLAY),
    "generator_cpu_s_per_frame": _law("core-s", "sending one frame, by the load generator on the same cores", REPLAY),
    "waker_core_share": _law("1", "share of threads' wake-ups that stay on the waker's core", REPLAY),
    "idle_pull_delay_s": _law("s", "mean time until an idle core takes a thread that waits at another", REPLAY),
    "wake_up_s": _law("s", "until an idle core runs a thread that woke up on it", REPLAY),
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
UNLESS_MEASURED = {
    "audio_cpu_s_per_stream_s",
    "authorisation_s",
    "origin_cpu_s_per_request",
    "origin_cpu_s_per_byte",
}
"""Coefficients that a profile may lack, as not every measurement has what they come from. What needs one refuses."""


class Provenance(SpecModel):
    """What a coefficient rests on."""

    kind: ProvenanceKind
    source: Text
    """Bundle, datasheet, what it was scaled from and by which ratio, or why it was assumed."""
    date: IsoDate


class Coefficient(SpecModel):
    """A number with its interval, unit and provenance; never a bare number."""

    name: Text
    of: Text = ""
    """What it is about: a content such as `screen`, a transport (`plain`, `tls`), a picture as `1280x720@30`, a codec
    and preset as `h264 p4`, a CPU family; empty for the machine.
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
