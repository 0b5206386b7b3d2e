"""How clients come back after a loss: with back-off, or not at all."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from scenarios.base import PositiveCount, PositiveSeconds, Ratio, SpecModel


class Retry(SpecModel):
    """Exponential back-off: the n-th attempt follows first_s × factor^n after the one before, at most cap_s."""

    first_s: PositiveSeconds = 2.0
    """Assumed, 1 to 10 s."""
    factor: Annotated[float, Field(ge=1, le=10)] = 2.0
    cap_s: PositiveSeconds = 60.0
    """Assumed, 10 to 300 s."""
    jitter: Ratio = 0.5
    """A delay is spread evenly over ± this share of itself; assumed."""
    attempts: PositiveCount = 20
    """After so many without success a client stays away."""
