"""The calibration profile: what `fit` writes and the simulator reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import IsoDate, Name, PositiveCount, SpecModel, Text
from scenarios.coefficient import Coefficient
from scenarios.errors import CalibrationError, Problem, ScenarioError
from scenarios.held_out import HeldOutErrors
from scenarios.ladder import Ladder, Source
from scenarios.machine import EncoderFacts, MachineFacts
from scenarios.reading.load import load
from scenarios.reading.phrases import did_you_mean

PROFILES = Path(__file__).parent / "profiles"


class Measured(SpecModel):
    """The range within which the profile was measured, and holds."""

    bundles: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Identity of each measurement bundle."""
    date: IsoDate
    source: Source
    ladder: Ladder
    concurrent_streams: Annotated[tuple[PositiveCount, ...], Field(min_length=2)]
    """Every load that was run, ascending."""
    capacity_streams: PositiveCount
    """The largest of them whose backlog did not grow."""
    segments: PositiveCount
    """Segments behind the figures, warm-up excluded."""
    contended: bool
    """Other load disturbed a run; the intervals are wider for it."""


class Draws(SpecModel):
    """Joint bootstrap draws: a row is one world in which every coefficient has one value."""

    columns: tuple[Text, ...]
    rows: Annotated[tuple[tuple[float, ...], ...], Field(min_length=2, max_length=10_000)]


class Profile(SpecModel):
    """The coefficients of one machine and one encoder."""

    headroom_profile: Literal[1]
    """Version of this file's schema."""
    name: Name
    machine: MachineFacts
    encoder: EncoderFacts
    measured: Measured
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

    def coefficient(self, name: str, of: str = "") -> Coefficient:
        """Return one coefficient.

        Raises:
            CalibrationError: the profile has none of that name for that picture or rung.
        """
        key = f"{name} {of}".strip()
        for coefficient in self.coefficients:
            if coefficient.key == key:
                return coefficient
        known = sorted({c.of for c in self.coefficients if c.name == name and c.of})
        raise CalibrationError(
            f"profile {self.name}: no {name}{f' for {of}' if of else ''}"
            + (f"; it was measured for {', '.join(known)}" if known else "")
            + "; measure a ladder with that rung (`headroom measure`), or choose another profile"
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
