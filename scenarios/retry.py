"""How whoever was cut off asks again: players and publishers alike."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from scenarios.base import PositiveSeconds, Ratio, SpecModel

Wait = Annotated[PositiveSeconds, Field(ge=0.1, le=600)]


class Retry(SpecModel):
    """Waits that grow by a factor up to a cap, each spread evenly around its middle.

    The n-th try comes min(first_s · factor^(n-1), cap_s) · (1 ± jitter) after the try before it, the first after the
    interruption. All figures are assumed; the ranges are those of players and encoders in use: hls.js 1.7 waits 1 s,
    doubles and stops at 8 s; the player page of this project waits 1 s, grows by half, spreads by a quarter and stops
    at 5 s.
    """

    first_s: Wait = 1.0
    """Assumed, 0.5 s to 10 s."""
    factor: Annotated[float, Field(ge=1.1, le=10)] = 2.0
    """Assumed, 1.5 to 2. A wait that does not grow has a `cap_s` of `first_s`."""
    cap_s: Wait = 30.0
    """Assumed, 5 s to 60 s."""
    jitter: Ratio = 0.5
    """Assumed, 0 to 1; without it a crowd asks in one beat."""
    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    """Tries before it gives up; without it, it never does."""

    @model_validator(mode="after")
    def _cap_not_below_first(self) -> Retry:
        if self.cap_s < self.first_s:
            raise ValueError(f"cap_s ({self.cap_s:g}) is below first_s ({self.first_s:g})")
        return self

    @property
    def waits_s(self) -> tuple[float, ...]:
        """Middles of the waits, one before each try; without `attempts` up to the one that repeats for ever."""
        waits = [self.first_s]
        while len(waits) < self.attempts if self.attempts else waits[-1] < self.cap_s:
            waits.append(min(waits[-1] * self.factor, self.cap_s))
        return tuple(waits)
