"""How the transcode fleet grows and shrinks."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import NOT_EMPTY, PositiveCount, PositiveRatio, PositiveSeconds, Ratio, Seconds, SpecModel
from scenarios.hpa_autoscaler import HpaAutoscaler

__all__ = [
    "Autoscaler",
    "FixedFleet",
    "HpaAutoscaler",
    "PredictiveAutoscaler",
    "QueueAutoscaler",
    "ScheduleAutoscaler",
    "Step",
    "UtilisationAutoscaler",
]


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


class Step(SpecModel):
    """From an hour of the day on, so many nodes."""

    hour: Annotated[float, Field(ge=0, lt=24)]
    """Local time of day."""
    nodes: PositiveCount


class ScheduleAutoscaler(SpecModel):
    """A table of the day, the same every day; the last step goes on over midnight.

    It does not look at the fleet, so that it knows nothing of an evening that is larger than it was planned for.
    """

    kind: Literal["schedule"]
    steps: Annotated[tuple[Step, ...], NOT_EMPTY, Field(max_length=288)]
    ahead_s: Seconds = 0.0
    """Each step is taken this much earlier: what a node needs from its order until it is ready."""
    sync_period_s: PositiveSeconds = 15.0

    @model_validator(mode="after")
    def _rising(self) -> ScheduleAutoscaler:
        hours = [step.hour for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(hours)):
            raise ValueError("the hours of its steps must rise")
        return self


class PredictiveAutoscaler(SpecModel):
    """Orders for the load that Holt's linear smoothing expects `ahead_s` from now.

    It sees what a controller sees, the load up to now, and nothing of the scenario's curves. The desired number of
    nodes is ceil(max(forecast, load now) ÷ (broadcasts per node × target_utilisation)): whoever is live keeps a place,
    so that a forecast of less frees nothing early. The time constants are assumed (`level_s` 60 to 600, `trend_s` 300
    to 3600); a shorter `trend_s` follows sooner and overshoots further.
    """

    kind: Literal["predictive"]
    ahead_s: Seconds = 300.0
    """How far ahead: what a node needs from its order until it is ready."""
    level_s: PositiveSeconds = 120.0
    """Time constant of the smoothed load: its weight for the newest value is 1 - exp(-sync_period_s ÷ level_s)."""
    trend_s: PositiveSeconds = 900.0
    """Time constant of the smoothed slope."""
    target_utilisation: PositiveRatio = 0.9
    sync_period_s: PositiveSeconds = 60.0
    scale_in_window_s: Seconds = 300.0
    """Scale in only to the highest desired number of this look-back."""


class UtilisationAutoscaler(SpecModel):
    """Keeps the share of taken places at a target, as target tracking of a cloud or KEDA does.

    Every `sync_period_s` the desired number of nodes is ceil(broadcasts in service ÷ (broadcasts per node ×
    target_utilisation)): out at once, in not before `scale_in_cooldown_s` have passed since the last change. It does
    not see who waits: a full fleet looks 100 % taken however long the queue is, so that it grows at most by
    1 ÷ target_utilisation until new nodes are ready. Target and periods are assumed.
    """

    kind: Literal["utilisation"]
    target_utilisation: PositiveRatio = 0.7
    sync_period_s: PositiveSeconds = 60.0
    scale_in_cooldown_s: Seconds = 300.0


Autoscaler = Annotated[
    FixedFleet | QueueAutoscaler | HpaAutoscaler | ScheduleAutoscaler | PredictiveAutoscaler | UtilisationAutoscaler,
    Field(discriminator="kind"),
]
