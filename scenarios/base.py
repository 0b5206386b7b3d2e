"""The strict frozen model that every part of the language is made of, and its unit-bearing numbers.

A field's name carries its unit (`segment_s`, `egress_bps`). A number stands for that unit; a text may
name another unit of the same dimension (`"500 ms"`, `"6000 kbit/s"`) and is converted on reading.
"""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from scenarios.units import quantity


class SpecModel(BaseModel):
    """A part of a scenario, a catalogue or a profile: unknown keys are refused, nothing is coerced or changed."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class FromFileBeside:
    """Marks a field that holds a mapping: a text there names a file beside the scenario, and stands for its content."""


def _in(unit: str) -> BeforeValidator:
    def convert(value: object) -> object:
        return quantity(value, unit)

    return BeforeValidator(convert)


def _iso_date(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no date; write it as 2026-11-22") from None


def _not_empty(items: tuple[object, ...]) -> tuple[object, ...]:
    if not items:
        raise ValueError("must be a list of at least 1 item")
    return items


NOT_EMPTY = AfterValidator(_not_empty)
"""Of a list: unlike `min_length`, it says nothing where the only item is wrong itself."""
Seconds = Annotated[float, _in("s"), Field(ge=0, le=1e9)]
Moment = Annotated[float, _in("s"), Field(ge=-1e9, le=1e9)]
PositiveSeconds = Annotated[float, _in("s"), Field(gt=0, le=1e9)]
BitsPerSecond = Annotated[float, _in("bit/s"), Field(gt=0, le=1e14)]
ByteCount = Annotated[float, _in("B"), Field(ge=0, le=1e18)]
PerSecond = Annotated[float, _in("1/s"), Field(ge=0, le=1e12)]
PositivePerSecond = Annotated[float, _in("1/s"), Field(gt=0, le=1e12)]
UsdPerHour = Annotated[float, _in("USD/h"), Field(ge=0, le=1e6)]
UsdPerGB = Annotated[float, _in("USD/GB"), Field(ge=0, le=1e3)]
Ratio = Annotated[float, Field(ge=0, le=1)]
PositiveRatio = Annotated[float, Field(gt=0, le=1)]
Crowd = Annotated[float, Field(gt=0, le=1e9)]
Count = Annotated[int, Field(ge=0, le=10**9)]
PositiveCount = Annotated[int, Field(ge=1, le=10**9)]
FramesPerSecond = Annotated[float, Field(gt=0, le=240)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
Text = Annotated[str, Field(max_length=2000)]
IsoDate = Annotated[datetime.date, BeforeValidator(_iso_date)]
