"""Instance types and prices: data files, each figure with its source and date; duplicates are refused."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from scenarios.accelerator import Accelerator, AcceleratorFile, CpuFamilies, EngineTable
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
from scenarios.coefficient import Coefficient
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.load import load
from scenarios.reading.phrases import did_you_mean

ROOT = Path(__file__).parent
Confidence = Literal["high", "medium", "low", "assumed"]
Entry = TypeVar("Entry", bound=SpecModel)


class Citation(SpecModel):
    """Where a figure was read, and when it was true."""

    source: Text
    date: IsoDate
    confidence: Confidence


class Accelerators(SpecModel):
    """The GPUs or ASIC cards of a node, all of one model."""

    model: Name
    """A file of `scenarios/accelerators`, if one describes it."""
    count: PositiveCount
    memory_bytes: ByteCount | None = None
    """Of each."""


class InstanceType(SpecModel):
    """A machine that can be rented. A figure that is null was looked for and not found."""

    name: Name
    provider: Name
    region: Name | None = None
    vcpus: PositiveCount | None = None
    vcpu_kind: Literal["hyperthread", "core"] | None = None
    cpu: Name | None = None
    """CPU family: types with the same processor share it, and what is not known of it."""
    memory_bytes: ByteCount | None = None
    nic_bps: BitsPerSecond | None = None
    """Baseline: what the network gives all day."""
    nic_burst_bps: BitsPerSecond | None = None
    accelerator: Accelerators | None = None
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
    """Everything that can be named, by name.

    Attributes:
        instances: types of machines.
        egress: price tables.
        engines: speeds of the engines of a GPU architecture.
        accelerators: what is known of each accelerator; not every one that an instance type carries is.
        cpu_agreement: CPU family → its `cpu_speed_agreement`.
    """

    instances: dict[str, InstanceType]
    egress: dict[str, EgressTable]
    engines: dict[str, EngineTable]
    accelerators: dict[str, Accelerator]
    cpu_agreement: dict[str, Coefficient]

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
    for path, family in _files("instances", InstanceFamily):
        for instance in family.instances:
            _enter(instances, instance.name, instance, path)
    egress: dict[str, EgressTable] = {}
    for path, table in _files("prices", EgressTable):
        _enter(egress, table.name, table, path)
    engines: dict[str, EngineTable] = {}
    for path, speeds in _files("engines", EngineTable):
        _enter(engines, speeds.name, speeds, path)
    accelerators: dict[str, Accelerator] = {}
    for path, file in _files("accelerators", AcceleratorFile):
        _enter(accelerators, file.accelerator.model, file.accelerator, path)
    cpu_agreement: dict[str, Coefficient] = {}
    for path, families in _files("cpus", CpuFamilies):
        for coefficient in families.coefficients:
            _enter(cpu_agreement, coefficient.of, coefficient, path)
    return Catalogue(instances, egress, engines, accelerators, cpu_agreement)


def _files(folder: str, model: type[Entry]) -> Iterator[tuple[Path, Entry]]:
    """Yield path and content of each data file of a folder."""
    for path in sorted((ROOT / folder).glob("*.yaml")):
        yield path, load(path, model, library=None).value


def _enter(known: dict[str, Entry], name: str, entry: Entry, path: Path) -> None:
    if name in known:
        raise ScenarioError([Problem(path.name, None, None, name, "stands in two files of the catalogue")])
    known[name] = entry
