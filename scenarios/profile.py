"""The calibration profile: what `fit` writes and the simulator reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import IsoDate, Name, PositiveCount, Seconds, SpecModel, Text
from scenarios.coefficient import Coefficient
from scenarios.errors import CalibrationError, Problem, ScenarioError
from scenarios.held_out import HeldOutErrors
from scenarios.ladder import Ladder, Source
from scenarios.machine import EncoderFacts, MachineFacts
from scenarios.reading.load import load
from scenarios.reading.phrases import did_you_mean

PROFILES = Path(__file__).parent / "profiles"


class MeasuredLadder(SpecModel):
    """One ladder that was run, and how many streams of it were."""

    name: Text
    source: Source
    ladder: Ladder
    content: Text
    """What the clip showed: `camera`."""
    preset: Text
    start: Literal["staggered", "aligned"]
    concurrent_streams: Annotated[tuple[PositiveCount, ...], Field(min_length=1)]
    """Every load that was run, ascending."""
    capacity_streams: PositiveCount | None
    """The largest of them whose backlog did not grow; None if no larger one was seen to fail."""
    overloaded_streams: PositiveCount | None
    """The next one above it, whose backlog grew."""


class Range(SpecModel):
    """Smallest and largest of what was measured."""

    low: float
    high: float

    def holds(self, value: float, *, slack: float = 0.0) -> bool:
        """Return whether a value lies within, or beyond an end by no more than that part of it."""
        return self.low * (1.0 - slack) <= value <= self.high * (1.0 + slack)


class Measured(SpecModel):
    """The range within which the profile was measured, and holds."""

    bundles: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Identity of each measurement bundle."""
    date: IsoDate
    ladders: Annotated[tuple[MeasuredLadder, ...], Field(min_length=1)]
    """The chief first: its content is the reference."""
    utilisation: Range
    """Share of all cores in use, over all runs."""
    segments: PositiveCount
    """Segments behind the figures, warm-up excluded."""
    contended: bool
    """Other load disturbed a run; the intervals are wider for it."""
    reference_cpu_s: Annotated[float, Field(gt=0)] | None = None
    """Median CPU time of the fixed job before each run: how fast the machine was; None where it was not run."""

    @property
    def chief(self) -> MeasuredLadder:
        """The first ladder."""
        return self.ladders[0]

    @property
    def source_pixels(self) -> Range:
        """Pixels of a source frame."""
        return _range([float(one.source.pixels) for one in self.ladders])

    @property
    def rung_pixels(self) -> Range | None:
        """Pixels of an encoded frame; None if all rungs were copied."""
        pixels = [float(rung.pixels) for one in self.ladders for rung in one.ladder.encoded]
        return _range(pixels) if pixels else None

    @property
    def fps(self) -> Range:
        """Frame rates of sources and rungs."""
        rungs = [rung.fps for one in self.ladders for rung in one.ladder.rungs]
        return _range([*rungs, *(one.source.fps for one in self.ladders)])

    @property
    def source_bps(self) -> Range:
        """Bitrates of sources."""
        return _range([one.source.bitrate_bps for one in self.ladders])

    @property
    def contents(self) -> tuple[str, ...]:
        """What the clips showed, the reference first."""
        return tuple(dict.fromkeys(one.content for one in self.ladders))


def _range(values: list[float]) -> Range:
    return Range(low=min(values), high=max(values))


class NodeSize(SpecModel):
    """What the node model makes of the chief ladder on so many cores, from the middles of the coefficients.

    Nothing of it was measured: a queue at sixteen cores is another one than at two, and no curve can be copied.
    """

    cores: PositiveCount
    capacity_streams: PositiveCount
    """The largest number of streams whose backlog does not grow."""
    usable_core_fraction: Annotated[float, Field(gt=0, le=1)]
    """Share of all cores in use then."""
    segment_publish_half_s: Seconds
    """Mean segment publish latency at half that number."""
    segment_publish_full_s: Seconds
    """And at 0.8 of it."""
    overloaded_lag_s_per_s: Annotated[float, Field(ge=0)]
    """What a second adds to the lag of every stream at 1.5 times that number, rounded up."""


class Draws(SpecModel):
    """Joint bootstrap draws: a row is one world in which every coefficient has one value."""

    columns: tuple[Text, ...]
    rows: Annotated[tuple[tuple[float, ...], ...], Field(min_length=2, max_length=10_000)]


class Profile(SpecModel):
    """The coefficients of one machine and one encoder."""

    headroom_profile: Literal[2]
    """Version of this file's schema."""
    name: Name
    machine: MachineFacts
    encoder: EncoderFacts
    measured: Measured
    nodes: tuple[NodeSize, ...] = ()
    """By cores, ascending; empty where the node model was not run."""
    held_out: HeldOutErrors | None = None
    """How far it was off on loads that its fit has not seen; null where that was not measured."""
    coefficients: tuple[Coefficient, ...]
    draws: Draws

    @model_validator(mode="after")
    def _draws_match(self) -> Profile:
        keys = tuple(coefficient.key for coefficient in self.coefficients)
        if len(set(keys)) != len(keys):
            raise ValueError("a coefficient stands twice")
        if self.draws.columns != keys:
            raise ValueError("draws.columns must name every coefficient, in their order")
        if any(len(row) != len(keys) for row in self.draws.rows):
            raise ValueError(f"every row of draws must have {len(keys)} values")
        return self

    @model_validator(mode="after")
    def _nodes_rise(self) -> Profile:
        cores = [node.cores for node in self.nodes]
        if cores != sorted(set(cores)):
            raise ValueError("nodes must rise in cores")
        return self

    def coefficient(self, name: str, of: str = "") -> Coefficient:
        """Return one coefficient.

        Raises:
            CalibrationError: the profile has none of that name for that.
        """
        key = f"{name} {of}".strip()
        for coefficient in self.coefficients:
            if coefficient.key == key:
                return coefficient
        known = sorted({c.of for c in self.coefficients if c.name == name and c.of})
        raise CalibrationError(
            f"profile {self.name}: no {name}{f' for {of}' if of else ''}"
            + (f"; it was measured for {', '.join(known)}" if known else "")
            + "; measure what it comes from (docs/coefficients.md) and fit again, or choose another profile"
        )

    def row(self, index: int) -> dict[str, float]:
        """Return draw `index` (modulo the number of draws) as a mapping of coefficient key to value."""
        return dict(zip(self.draws.columns, self.draws.rows[index % len(self.draws.rows)], strict=True))

    def middle(self) -> dict[str, float]:
        """Return the middle of every coefficient by key."""
        return {coefficient.key: coefficient.middle for coefficient in self.coefficients}


def load_profile(name_or_path: str) -> Profile:
    """Return a shipped profile by its name, or one from a file.

    Raises:
        ScenarioError: no such profile or file, or its content is wrong.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = PROFILES / f"{name_or_path}.yaml"
        shipped = sorted(file.stem for file in PROFILES.glob("*.yaml"))
        if path.stem not in shipped:
            hint = did_you_mean(name_or_path, shipped, otherwise=f"shipped: {', '.join(shipped) or 'none'}")
            raise ScenarioError([Problem(name_or_path, None, None, "", "no shipped profile has this name", hint)])
    return load(path, Profile, library=None).value
