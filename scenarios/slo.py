"""What a platform promises: objectives on figures of a day, and on how many days all of them have to hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from scenarios.base import PositiveRatio, Ratio, Seconds, SpecModel


class Slo(SpecModel):
    """Objectives, each the most that a simulated day may have; what a platform has nothing of meets it.

    A day is drawn together with what nobody measured, so a promise that holds in one world only does not hold.
    """

    share_of_days: PositiveRatio = 0.9
    """On how many of the simulated days every objective has to hold; assumed."""
    refused_fraction: Ratio | None = None
    """Share of broadcasts that asked and were refused or gave up."""
    source_only_fraction: Ratio | None = None
    """Share of broadcasts that went on without a ladder."""
    start_wait_p95_s: Seconds | None = None
    """95th percentile of publish → first segment."""
    unserved_viewer_fraction: Ratio | None = None
    """Share of viewer-time on broadcasts that were not in service, or lost with one."""
    interrupted_per_1000_h: Annotated[float, Field(ge=0, le=1e6)] | None = None
    """Interruptions in 1,000 hours of broadcast."""
    late_segment_fraction: Ratio | None = None
    """Share of segments published late by more than one segment."""
    recovery_s: Seconds | None = None
    """From the worst failure until 99 % of its broadcasts are back."""

    @model_validator(mode="after")
    def _says_something(self) -> Slo:
        if not self.objectives:
            raise ValueError(f"no objective; give one or more of {', '.join(OBJECTIVES)}")
        return self

    @property
    def objectives(self) -> dict[str, float]:
        """Metric → the most it may be, in the order above."""
        given = ((name, getattr(self, name)) for name in OBJECTIVES)
        return {name: most for name, most in given if most is not None}


OBJECTIVES = tuple(name for name in Slo.model_fields if name != "share_of_days")
"""Metrics of a run (`sim.metrics`) on which there may be an objective."""
