"""Accelerators that encode video: what was published of their engines, and what had to be assumed.

An engine table says what one engine of an architecture does in a second at a clock; an accelerator names its table,
its own clock and the number of its engines. The rule that joins them is `sim.engines`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import Name, SpecModel, Text
from scenarios.coefficient import Coefficient, Provenance
from scenarios.errors import CalibrationError
from scenarios.ladder import Codec

PublishedPreset = Literal["p1", "p3", "p5", "p7"]
NvencPreset = Literal["p1", "p2", "p3", "p4", "p5", "p6", "p7"]
Frames = Annotated[float, Field(gt=0, le=1e6)]
ClockHz = Annotated[float, Field(gt=0, le=1e11)]
TABLE_PIXELS = 1920 * 1080
"""Pixels of the frames that engine tables count."""


class EncodeSpeeds(SpecModel):
    """Frames of 1920x1080 that one encoding engine finishes in a second, by codec and preset."""

    reference_clock_hz: ClockHz
    frames_per_s: dict[Codec, dict[PublishedPreset, Frames]]
    provenance: Provenance


class DecodeSpeeds(SpecModel):
    """Frames of 1920x1080 that one decoding engine finishes in a second, by codec."""

    reference_clock_hz: ClockHz
    frames_per_s: dict[Codec, Frames]
    provenance: Provenance


class EngineTable(SpecModel):
    """One file of `scenarios/engines`: the published speeds of an architecture's engines."""

    name: Name
    encode: EncodeSpeeds
    decode: DecodeSpeeds


class _Described(SpecModel):
    """What the kinds of accelerators with figures share."""

    model: Name
    """As instance types name it."""
    title: Text
    coefficients: tuple[Coefficient, ...]

    def coefficient(self, name: str, of: str = "") -> Coefficient:
        """Return one coefficient.

        Raises:
            CalibrationError: the file of the accelerator has none of that name.
        """
        found = self.find(name, of)
        if found is None:
            raise CalibrationError(
                f"{self.title}: no {name}{f' for {of}' if of else ''}; "
                f"add it with its source to scenarios/accelerators/{self.model}.yaml"
            )
        return found

    def find(self, name: str, of: str = "") -> Coefficient | None:
        """Return one coefficient, or None where the accelerator has none of that name."""
        return next((c for c in self.coefficients if (c.name, c.of) == (name, of)), None)

    @model_validator(mode="after")
    def _stands_once(self) -> _Described:
        keys = [coefficient.key for coefficient in self.coefficients]
        if len(set(keys)) != len(keys):
            raise ValueError("a coefficient stands twice")
        return self


class NvencGpu(_Described):
    """A GPU with NVENC and NVDEC engines."""

    kind: Literal["nvenc"]
    table: Name
    """Its architecture's table in `scenarios/engines`."""


class DensityAsic(_Described):
    """An ASIC of which no more is published than how many streams of one picture each of its SoCs carries."""

    kind: Literal["density"]
    codecs: tuple[Codec, ...]


class NoEncoder(SpecModel):
    """A GPU that cannot encode video at all."""

    kind: Literal["no encoder"]
    model: Name
    title: Text
    provenance: Provenance


Encoding = NvencGpu | DensityAsic
"""An accelerator that encodes."""
Accelerator = Annotated[NvencGpu | DensityAsic | NoEncoder, Field(discriminator="kind")]


class AcceleratorFile(SpecModel):
    """One file of `scenarios/accelerators`."""

    accelerator: Accelerator


class CpuFamilies(SpecModel):
    """One file of `scenarios/cpus`: how far each family may stand from what its CoreMark says."""

    coefficients: tuple[Coefficient, ...]
