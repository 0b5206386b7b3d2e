"""How the transcode fleet grows and shrinks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import PositiveRatio, PositiveSeconds, Ratio, Seconds, SpecModel


class FixedFleet(SpecModel):
    """The fleet stays at `min_nodes`."""

    kind: Literal["fixed"]


class QueueAutoscaler(SpecModel):
    """Follows the queue of broadcasts, waiting and in service.

    Every `sync_period_s` the desired number of nodes is
    ceil(broadcasts in the queue and in service ÷ (broadcasts per node × target_utilisation)). Counting those
    in service matters: a queue of waiting broadcasts alone drains as soon as they are placed, and the fleet
    would be taken away from under them.
    """

    kind: Literal["queue"]
    target_utilisation: PositiveRatio = 0.9
    """Share of the planned places that are to be taken; the rest is spare for arrivals during a boot."""
    sync_period_s: PositiveSeconds = 15.0
    tolerance: Ratio = 0.1
    """Nothing happens while the load of a node ÷ its target is within 1 ± tolerance and nobody waits."""
    scale_in_window_s: Seconds = 300.0
    """Scale in only to the highest desired number of this look-back."""


Autoscaler = Annotated[FixedFleet | QueueAutoscaler, Field(discriminator="kind")]
