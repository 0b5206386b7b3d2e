"""From published engine tables to engine-seconds per pixel: table × clock ÷ reference clock, and how far that is sure.

The interval is the product of the published ranges, and never under ±15 %. A range is sampled by a position in it:
0 is its slow end, ½ its middle, 1 its fast end, straight in the logarithm between them. Each position is a number of
its own, so that what types have in common (a GPU, a preset) is one number for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scenarios.accelerator import TABLE_PIXELS, DecodeSpeeds, DensityAsic, EncodeSpeeds, EngineTable, NvencGpu
from scenarios.coefficient import COEFFICIENTS, Coefficient, Provenance
from scenarios.errors import CalibrationError
from scenarios.ladder import Picture

LEAST_WIDTH = 0.15
"""Half-width that no carried figure goes under."""
Position = Callable[[str], float]
"""Name of a source of ignorance → where in its range it stands: 0 the costly end, 1 the cheap one."""


@dataclass(frozen=True)
class Range:
    """A positive number that is known between two ends."""

    low: float
    middle: float
    high: float

    def __mul__(self, other: Range) -> Range:
        return Range(self.low * other.low, self.middle * other.middle, self.high * other.high)

    def at(self, position: float) -> float:
        """Return the number at a position of [0, 1]."""
        if position <= 0.5:
            return self.low * math.pow(self.middle / self.low, 2 * position)
        return self.middle * math.pow(self.high / self.middle, 2 * position - 1)

    def slack(self) -> Range:
        """Return the factor that this range lacks to be ±15 % wide; 1 at each end that is."""
        low = min(1.0, (1 - LEAST_WIDTH) * self.middle / self.low)
        return Range(low, 1.0, max(1.0, (1 + LEAST_WIDTH) * self.middle / self.high))


def of_coefficient(coefficient: Coefficient) -> Range:
    """Return the range of a coefficient."""
    return Range(coefficient.low, coefficient.middle, coefficient.high)


def preset_speed(table: EngineTable, codec: str, preset: str) -> Range:
    """Return frames per second of 1920x1080 at the table's clock; an unpublished preset lies between its neighbours.

    Raises:
        CalibrationError: the table has no such codec.
    """
    known = next((rows for name, rows in table.encode.frames_per_s.items() if name == codec), None)
    if known is None:
        raise CalibrationError(f"engines of {table.name} do not encode {codec}; choose another codec or type")
    rows: dict[str, float] = {name: frames for name, frames in known.items()}
    if preset in rows:
        return Range(*[rows[preset]] * 3)
    number = int(preset[1:])
    ends = sorted((rows[f"p{number - 1}"], rows[f"p{number + 1}"]))
    return Range(ends[0], math.sqrt(ends[0] * ends[1]), ends[1])


def encode_rate(gpu: NvencGpu, table: EngineTable, codec: str, preset: str) -> tuple[Range, Range]:
    """Return pixels per second of one encoding engine: from the preset, and from the clock."""
    clock = of_coefficient(gpu.coefficient("video_clock_hz"))
    return _pixels(preset_speed(table, codec, preset)), _ratio(clock, table.encode.reference_clock_hz)


def decode_rate(gpu: NvencGpu, table: EngineTable, codec: str) -> tuple[Range, Range]:
    """Return pixels per second of one decoding engine: at the table's clock, and the ratio of clocks.

    Raises:
        CalibrationError: the table has no such codec.
    """
    rows: dict[str, float] = {name: frames for name, frames in table.decode.frames_per_s.items()}
    if codec not in rows:
        raise CalibrationError(f"engines of {table.name} do not decode {codec}; choose another codec or type")
    clock = of_coefficient(gpu.coefficient("video_clock_hz"))
    return _pixels(Range(*[rows[codec]] * 3)), _ratio(clock, table.decode.reference_clock_hz)


def encode_coefficient(gpu: NvencGpu, table: EngineTable, codec: str, preset: str) -> Coefficient:
    """Return `encode_engine_s_per_pixel` of one engine, for a codec and preset."""
    speed, clock = encode_rate(gpu, table, codec, preset)
    return _scaled("encode_engine_s_per_pixel", f"{codec} {preset}", speed * clock, gpu, *_cited(table.encode))


def decode_coefficient(gpu: NvencGpu, table: EngineTable, codec: str) -> Coefficient:
    """Return `decode_engine_s_per_pixel` of one engine, for a codec."""
    speed, clock = decode_rate(gpu, table, codec)
    return _scaled("decode_engine_s_per_pixel", codec, speed * clock, gpu, *_cited(table.decode))


def draw_s_per_pixel(speed: Range, clock: Range, *, model: str, setting: str, position: Position) -> float:
    """Return engine-seconds per pixel at the positions of what is not known.

    Args:
        speed: pixels per second at the table's clock.
        clock: clock of the GPU ÷ that of the table.
        model: the GPU; its clock is one number for encoding and decoding.
        setting: codec and preset; where an unpublished preset lies is one number for all GPUs.
        position: where each source of ignorance stands.
    """
    slack = (speed * clock).slack()
    rate = (
        speed.at(position(f"speed of {setting}"))
        * clock.at(position(f"video clock of {model}"))
        * slack.at(position(f"engine table for {model}"))
    )
    return 1.0 / rate


def soc_share(asic: DensityAsic, picture: Picture) -> Range:
    """Return the share of a SoC that one stream of a picture takes, as rates: low is the cheapest.

    A published picture takes what was published. Between two of them the share lies on the line by pixels per
    second. A smaller one takes as much as the smallest, as shares shrink slower than pictures do.

    Raises:
        CalibrationError: the picture has more pixels per second than any published one.
    """
    known = sorted(
        (_pixel_rate(c.of), c.low, c.middle, c.high) for c in asic.coefficients if c.name == "soc_s_per_stream_s"
    )
    rate = max(picture.pixel_rate, known[0][0])
    if rate > known[-1][0]:
        raise CalibrationError(
            f"{asic.title}: nothing is published of a picture as large as {picture.label}; "
            "drop the rung, or choose a type whose engines are described by pixels"
        )
    above = next(index for index, row in enumerate(known) if row[0] >= rate)
    if above == 0:
        return Range(*known[0][1:])
    below, over = known[above - 1], known[above]
    part = (rate - below[0]) / (over[0] - below[0])
    return Range(*(a + part * (b - a) for a, b in zip(below[1:], over[1:], strict=True)))


def _pixel_rate(label: str) -> float:
    size, fps = label.split("@")
    width, height = size.split("x")
    return int(width) * int(height) * float(fps)


def _pixels(frames: Range) -> Range:
    return frames * Range(*[float(TABLE_PIXELS)] * 3)


def _ratio(clock: Range, reference_hz: float) -> Range:
    return clock * Range(*[1.0 / reference_hz] * 3)


def _cited(speeds: EncodeSpeeds | DecodeSpeeds) -> tuple[Provenance, float]:
    return speeds.provenance, speeds.reference_clock_hz


def _scaled(name: str, of: str, rate: Range, gpu: NvencGpu, table: Provenance, reference_hz: float) -> Coefficient:
    whole = rate * rate.slack()
    clock = gpu.coefficient("video_clock_hz").provenance
    return Coefficient(
        name=name,
        of=of,
        unit=COEFFICIENTS[name].unit,
        middle=1.0 / whole.middle,
        low=1.0 / whole.high,
        high=1.0 / whole.low,
        provenance=Provenance(
            kind="scaled",
            source=f"{table.source}; × video_clock_hz ({clock.kind}) ÷ {reference_hz / 1e6:,.0f} MHz",
            date=max(table.date, clock.date),
        ),
    )
