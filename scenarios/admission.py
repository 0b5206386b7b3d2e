"""Who gets a place on the transcode fleet, and what becomes of those who find none."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Crowd, Ratio, SpecModel


class Open(SpecModel):
    """First come, first served; without room a broadcast waits for `queue_deadline_s`, then it is refused."""

    kind: Literal["open"] = "open"


class SourceOnly(SpecModel):
    """As `open`, but who finds no place goes on without a ladder: its viewers get the source as it is sent."""

    kind: Literal["source_only"]


class PartnersFirst(SpecModel):
    """Partners overtake all others in the queue, and some room is for them alone; others go on without a ladder.

    Twitch in 2015: the ladder is guaranteed to partners, others have it when capacity allows.
    """

    kind: Literal["partners_first"]
    reserved_share: Ratio = 0.1
    """Share of the places of the ready fleet that only partners may take; assumed."""


class ViewerThreshold(SpecModel):
    """A ladder only for partners and for channels that expect so many viewers; others go on without one."""

    kind: Literal["viewer_threshold"]
    viewers: Crowd


Admission = Annotated[Open | SourceOnly | PartnersFirst | ViewerThreshold, Field(discriminator="kind")]
