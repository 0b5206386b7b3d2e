"""Instance types and prices: data files, each figure with its source and date; duplicates are refused."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from scenarios.base import (
    BitsPerSecond,
    ByteCount,
    IsoDate,
    Name,
    PositiveCount,
    SpecModel,
    Text,
    UsdPerGB,
    UsdPerHour,
)
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.load import load
from scenarios.reading.phrases import did_you_mean

ROOT = Path(__file__).parent
Confidence = Literal["high", "medium", "low", "assumed"]
Entry = TypeVar("Entry")


class Citation(SpecModel):
    """Where a figure was read, and when it was true."""

    source: Text
    date: IsoDate
    confidence: Confidence


class Accelerator(SpecModel):
    """The GPUs of a node."""

    gpu: Name
    count: PositiveCount
    memory_bytes: ByteCount


class InstanceType(SpecModel):
    """A machine that can be rented. A figure that is null was looked for and not found."""

    name: Name
    provider: Name
    region: Name | None = None
    vcpus: PositiveCount | None = None
    vcpu_kind: Literal["hyperthread", "core"] | None = None
    memory_bytes: ByteCount | None = None
    nic_bps: BitsPerSecond | None = None
    """Baseline: what the network gives all day."""
    nic_burst_bps: BitsPerSecond | None = None
    accelerator: Accelerator | None = None
    coremark: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """CoreMark of all vCPUs together."""
    price_usd_per_hour: UsdPerHour | None = None
    """On demand, Linux."""
    citations: dict[Literal["specification", "price", "coremark"], Citation] = Field(default_factory=dict)
    note: Text = ""

    @property
    def is_this_machine(self) -> bool:
        """True for the machine the profile was measured on, whose facts come from the profile."""
        return self.name == "this-machine"

    @property
    def coremark_per_vcpu(self) -> float | None:
        """CoreMark of one vCPU, or None where either figure is missing."""
        return self.coremark / self.vcpus if self.coremark and self.vcpus else None

    @model_validator(mode="after")
    def _figures_are_cited(self) -> InstanceType:
        figures = {
            "specification": (self.vcpus, self.memory_bytes, self.nic_bps),
            "price": (self.price_usd_per_hour,),
            "coremark": (self.coremark,),
        }
        for topic, values in figures.items():
            if any(value is not None for value in values) and topic not in self.citations:
                raise ValueError(
                    f"{self.name}: its {topic} has no citation; add citations.{topic} with source and date"
                )
        return self


class InstanceFamily(SpecModel):
    """One file of `scenarios/instances`."""

    instances: Annotated[tuple[InstanceType, ...], Field(min_length=1)]


class EgressTier(SpecModel):
    """A step of a volume price."""

    up_to_gb: Annotated[float, Field(gt=0, le=1e15)] | None
    """Monthly volume at which the step ends; null for the last."""
    usd_per_gb: UsdPerGB


class EgressTable(SpecModel):
    """One file of `scenarios/prices`: what a month's delivered bytes cost, each step at its own price."""

    name: Name
    bytes_per_gb: Annotated[float, Field(ge=1e9, le=1.1e9)]
    """1e9, or 1024³ where the provider bills GiB."""
    tiers: Annotated[tuple[EgressTier, ...], Field(min_length=1)]
    citation: Citation

    @model_validator(mode="after")
    def _rising(self) -> EgressTable:
        ends = [tier.up_to_gb for tier in self.tiers]
        if ends[-1] is not None or None in ends[:-1]:
            raise ValueError("only the last tier, and always the last, has up_to_gb: null")
        bounded = [end for end in ends if end is not None]
        if bounded != sorted(set(bounded)):
            raise ValueError("tiers must rise in up_to_gb")
        return self


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be named: instance types and egress price tables, by name."""

    instances: dict[str, InstanceType]
    egress: dict[str, EgressTable]

    @staticmethod
    def suggest(name: str, known: Iterable[str]) -> str:
        """Return a did-you-mean for a dangling name."""
        names = sorted(known)
        return did_you_mean(name, names, otherwise=f"known: {', '.join(names)}")


@functools.cache
def load_catalogue() -> Catalogue:
    """Return the shipped catalogue.

    Raises:
        ScenarioError: a data file is wrong, or two files describe the same name.
    """
    instances: dict[str, InstanceType] = {}
    for path in sorted((ROOT / "instances").glob("*.yaml")):
        for instance in load(path, InstanceFamily, library=None).value.instances:
            _enter(instances, instance.name, instance, path)
    egress: dict[str, EgressTable] = {}
    for path in sorted((ROOT / "prices").glob("*.yaml")):
        table = load(path, EgressTable, library=None).value
        _enter(egress, table.name, table, path)
    return Catalogue(instances, egress)


def _enter(known: dict[str, Entry], name: str, entry: Entry, path: Path) -> None:
    if name in known:
        raise ScenarioError([Problem(path.name, None, None, name, "stands in two files of the catalogue")])
    known[name] = entry
