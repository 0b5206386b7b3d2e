"""What an ordinary day does not have: noise, events of the whole platform, raids on one broadcast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Crowd, Moment, Name, PositiveSeconds, Seconds, SpecModel

Ramp = Annotated[Seconds, Field(ge=1, le=600)]


class DayNoise(SpecModel):
    """How the platform's viewers wander about their curve: an Ornstein-Uhlenbeck process in the logarithm, of mean 1.

    Measured on the ten largest Twitch categories, 2018-06-26 to 29: sd about 0.10, correlation time about 2.7 h.
    """

    sd: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Standard deviation of the logarithm; 0 switches the noise off."""
    correlation_s: PositiveSeconds = 9_720.0
    """Time in which the correlation falls to 1/e."""


class Event(SpecModel):
    """An event of the whole platform, such as a final: a trapezoid in the logarithm of the level.

    The defaults are assumed: ramp 60 min (30 to 90), uplift 1.7 (1.3 to 2.3), hold 60 min (15 to 180), decay 45 min
    (15 to 60). The uplift is what one evening of Twitch in 2018 had over the three days before it.
    """

    name: Name
    at_s: Moment
    """When it begins to be felt, in seconds after the start of the run; may be before it."""
    ramp_s: Seconds = 3_600.0
    """From the ordinary level to the uplift, at an even growth rate; 0 jumps."""
    uplift: Annotated[float, Field(gt=0, le=100)] = 1.7
    """Level ÷ ordinary level while it lasts; below 1 for an event that draws people away."""
    hold_s: Seconds = 3_600.0
    decay_s: Seconds = 2_700.0
    on: Literal["viewers", "broadcasts", "both"] = "viewers"
    """What it multiplies: the wanted viewers, the rate of going live, or both.

    On broadcasts the number live follows with the delay that their durations give it.
    """


class Raid(SpecModel):
    """Viewers that a broadcaster sends to another at once, on top of what the curve asks for."""

    at_s: Seconds
    viewers: Crowd
    ramp_s: Ramp = 30.0
    """They arrive evenly within this time; assumed (10 to 60 s)."""


class RandomRaids(SpecModel):
    """Raids at times of a Poisson process. Nothing here was measured: rate, size and ramp are assumed."""

    per_hour: Annotated[float, Field(gt=0, le=10_000)]
    mean_viewers: Crowd
    cv: Annotated[float, Field(ge=0, le=20)] = 2.0
    """Standard deviation ÷ mean of the size, which is lognormal; 0 makes all raids alike."""
    ramp_s: Ramp = 30.0
