"""How a level moves over the day: constant, by hours, by harmonics, or as a trace has it. Only ratios matter."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import Moment, SpecModel, Text
from scenarios.trace_rows import faults, whole_days_s

Level = Annotated[float, Field(ge=0, le=1e9)]
Hour = Annotated[float, Field(ge=0, lt=24)]
MOST_SAMPLES = 200_000
MINUTES = 1_440
LOWEST = -1e-9
"""A harmonic curve that only touches 0 may miss it by rounding."""


class ConstantCurve(SpecModel):
    """The same level at every hour."""

    kind: Literal["constant"] = "constant"


class HourlyCurve(SpecModel):
    """A level for each hour of the day, joined by straight lines; repeats every 24 hours."""

    kind: Literal["hourly"]
    levels: Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=24, max_length=24)]
    """Relative levels at 0:00, 1:00 … 23:00 local time; only their ratios matter."""

    @model_validator(mode="after")
    def _somewhere_positive(self) -> HourlyCurve:
        if max(self.levels) <= 0:
            raise ValueError("every hourly level is 0; at least one must be positive")
        return self


class Harmonic(SpecModel):
    """One wave of a day."""

    order: Annotated[int, Field(ge=1, le=12)]
    """Waves a day: 1 for the swing of 24 hours, 2 for one of 12."""
    amplitude: Annotated[float, Field(ge=0, le=2)]
    """Half the way from trough to peak, as a part of the mean level."""
    peak_hour: Hour
    """Local hour of a peak."""


class HarmonicCurve(SpecModel):
    """1 + Σ amplitude · cos(2π order (hour - peak_hour) / 24): smooth, of mean 1, repeats every 24 hours."""

    kind: Literal["harmonic"]
    harmonics: Annotated[tuple[Harmonic, ...], Field(min_length=1, max_length=12)]

    @model_validator(mode="after")
    def _nowhere_negative(self) -> HarmonicCurve:
        minute = min(range(MINUTES), key=lambda minute: self.level(minute / 60))
        if self.level(minute / 60) < LOWEST:
            low, clock = self.level(minute / 60), f"{minute // 60:02d}:{minute % 60:02d}"
            raise ValueError(f"the harmonics go below 0 at {clock}, to {low:.3g} of the mean; lower the amplitudes")
        return self

    def level(self, hour: float) -> float:
        """Return the level at a local hour; the mean of a day is 1."""
        return 1.0 + sum(
            wave.amplitude * math.cos(2 * math.pi * wave.order * (hour - wave.peak_hour) / 24)
            for wave in self.harmonics
        )


class TraceCurve(SpecModel):
    """Samples as somebody has them, joined by straight lines.

    A trace of whole days repeats; any other must cover the run. The reader of scenarios takes `at_s` and `levels`
    from `file`; where they are written, as `resolve` writes them, no file is read.
    """

    kind: Literal["trace"]
    file: Text | None = None
    """A CSV file beside or below the scenario: a head line, the time in the first column (ISO, or seconds)."""
    column: Text | None = None
    """Which column holds the level; not needed where there is only one. `sum` adds all of them."""
    utc_offset_h: Annotated[float, Field(ge=-14, le=14)] = 0.0
    """Added to the times of the trace to have local ones: 2 for a file in UTC of a place at UTC+2."""
    at_s: Annotated[tuple[Moment, ...], Field(max_length=MOST_SAMPLES)] = ()
    """Times as the file has them, from 0:00 of its first day on."""
    levels: Annotated[tuple[Level, ...], Field(max_length=MOST_SAMPLES)] = ()
    """What was counted, one for each time."""

    @model_validator(mode="after")
    def _a_trace(self) -> TraceCurve:
        if not self.at_s and not self.levels:
            raise ValueError("a trace without samples; name its file, and open the scenario from its own file")
        if len(self.at_s) != len(self.levels):
            raise ValueError(f"{len(self.at_s)} times and {len(self.levels)} levels; each time has one level")
        for index, message, hint in faults(self.at_s, self.levels):
            raise ValueError(f"sample {index + 1}: {message}" + (f"; {hint}" if hint else ""))
        if max(self.levels) <= 0:
            raise ValueError("every level of the trace is 0; at least one must be positive")
        return self

    @property
    def period_s(self) -> float | None:
        """After how many seconds it repeats; None for a trace that is no whole number of days."""
        return whole_days_s(self.at_s)

    @property
    def covers_h(self) -> tuple[float, float]:
        """First and last local hour, counted from 0:00 of the first day of the trace."""
        return self.at_s[0] / 3600 + self.utc_offset_h, self.at_s[-1] / 3600 + self.utc_offset_h


Curve = Annotated[ConstantCurve | HourlyCurve | HarmonicCurve | TraceCurve, Field(discriminator="kind")]
