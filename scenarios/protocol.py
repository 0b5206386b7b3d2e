"""The protocol: what is held out of every fit, named in a committed file before the first one."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from scenarios.base import Name, PositiveCount, PositiveRatio, SpecModel
from scenarios.ladder import Ladder, Source
from scenarios.reading.load import load

HELD_OUT = Path(__file__).parent / "protocols" / "held_out.yaml"


class HeldOutLadder(SpecModel):
    """A ladder that no fit sees, and what its streams send. Its loads are fractions of the N_max found for it."""

    content: Name
    source: Source
    ladder: Ladder


class HeldOutClip(HeldOutLadder):
    """A clip that no fit sees, with a ladder that one may see."""

    loads: Annotated[tuple[PositiveCount, ...], Field(min_length=1)]
    """Streams at once, ascending."""


class Protocol(SpecModel):
    """What is held out, and how it is measured."""

    headroom_protocol: Literal[1]
    segments: PositiveCount
    """Measured at each load, after the warm-up."""
    warm_up_segments: PositiveCount
    repeats: PositiveCount
    """Runs of every load, in rounds: each load once, then each a second time, and so on."""
    search_repeats: PositiveCount
    """Runs, in the search, of the largest load that holds."""
    fractions_of_n_max: Annotated[tuple[PositiveRatio, ...], Field(min_length=1)]
    ladders: Annotated[dict[Name, HeldOutLadder], Field(min_length=1)]
    clips: dict[Name, HeldOutClip]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Protocol:
        twice = sorted(self.ladders.keys() & self.clips.keys())
        if twice:
            raise ValueError(f"{twice[0]!r} names both a ladder and a clip; give each its own name")
        return self

    def loads(self, n_max: int) -> tuple[int, ...]:
        """Return the loads of a ladder whose largest load that holds is `n_max`: at least 1, each once."""
        return tuple(sorted({max(round(fraction * n_max), 1) for fraction in self.fractions_of_n_max}))


class HeldOut(NamedTuple):
    """The protocol and the SHA-256 of its file."""

    protocol: Protocol
    sha256: str


@functools.cache
def held_out_protocol(path: Path = HELD_OUT) -> HeldOut:
    """Return the committed protocol.

    Raises:
        ScenarioError: the file is wrong.
    """
    protocol = load(path, Protocol, library=None).value
    return HeldOut(protocol, hashlib.sha256(path.read_bytes()).hexdigest())
