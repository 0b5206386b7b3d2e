"""Facts of a machine, as `measure` reads them and a profile carries them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scenarios.base import ByteCount, PositiveCount, SpecModel, Text


class MachineFacts(SpecModel):
    """One machine; null for what it does not tell."""

    cpu_model: Text
    cores: PositiveCount
    """Logical processors the process may run on."""
    memory_bytes: ByteCount
    architecture: Text
    operating_system: Text
    product_name: Text | None = None
    """DMI product name: cloud machines tell their instance type here."""
    clock_hz: Annotated[float, Field(gt=0, le=1e11)] | None = None
    gpus: tuple[Text, ...] = ()
    gpu_driver: Text | None = None


class EncoderFacts(SpecModel):
    """The encoder as it resolved: a profile is worth nothing without them."""

    backend: Text
    preset: Text
    options: dict[str, Text]
    """As handed to the encoder; none was left over."""
    libraries: dict[str, Text]
    """Versions: PyAV, FFmpeg's libraries, x264, driver."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Resolved limits, such as sessions at once; empty where there is none."""
