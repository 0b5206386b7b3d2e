"""Laws of random durations, as a scenario names them. `sim.sampling` turns them into numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import PositiveSeconds, Seconds, SpecModel

Variation = Annotated[float, Field(gt=0, le=20)]


class Constant(SpecModel):
    """Always the same duration."""

    kind: Literal["constant"]
    mean_s: Seconds


class Exponential(SpecModel):
    """Memoryless; coefficient of variation 1."""

    kind: Literal["exponential"]
    mean_s: PositiveSeconds


class Lognormal(SpecModel):
    """Heavy-tailed: the usual law of broadcasts and of viewing sessions."""

    kind: Literal["lognormal"]
    mean_s: PositiveSeconds
    cv: Variation
    """Standard deviation ÷ mean."""


class Weibull(SpecModel):
    """Between exponential and heavy-tailed: a shape below 1 has the longer tail."""

    kind: Literal["weibull"]
    mean_s: PositiveSeconds
    shape: Annotated[float, Field(ge=0.2, le=20)]


class Uniform(SpecModel):
    """Any duration of an interval alike: what is assumed when only a range is known."""

    kind: Literal["uniform"]
    low_s: Seconds
    high_s: Seconds

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.high_s < self.low_s:
            raise ValueError(f"high_s ({self.high_s:g}) is below low_s ({self.low_s:g})")
        return self


class Observed(SpecModel):
    """The durations of a list, each alike: a measured sample instead of a fitted law."""

    kind: Literal["observed"]
    values_s: Annotated[tuple[PositiveSeconds, ...], Field(min_length=1, max_length=100_000)]


DurationLaw = Annotated[Constant | Exponential | Lognormal | Weibull | Uniform | Observed, Field(discriminator="kind")]


def mean_s(law: DurationLaw) -> float:
    """Return the mean of a law."""
    if isinstance(law, Uniform):
        return (law.low_s + law.high_s) / 2
    if isinstance(law, Observed):
        return sum(law.values_s) / len(law.values_s)
    return law.mean_s
