"""What the platform is asked to carry: broadcasts going live, their audience, their chat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import ByteCount, Crowd, PerSecond, PositiveRatio, PositiveSeconds, Ratio, SpecModel
from scenarios.ladder import Source
from scenarios.law import DurationLaw


class ConstantCurve(SpecModel):
    """The same level at every hour."""

    kind: Literal["constant"] = "constant"


class HourlyCurve(SpecModel):
    """A level for each hour of the day, joined by straight lines; repeats every 24 hours."""

    kind: Literal["hourly"]
    levels: Annotated[tuple[Annotated[float, Field(ge=0, le=1e6)], ...], Field(min_length=24, max_length=24)]
    """Relative levels at 0:00, 1:00 … 23:00 local time; only their ratios matter."""

    @model_validator(mode="after")
    def _somewhere_positive(self) -> HourlyCurve:
        if max(self.levels) <= 0:
            raise ValueError("every hourly level is 0; at least one must be positive")
        return self


Curve = Annotated[ConstantCurve | HourlyCurve, Field(discriminator="kind")]


SHORTEST_MEAN_S = 10.0
"""Of broadcasts: their rate is a step function of seconds at the finest."""


class Broadcasts(SpecModel):
    """Broadcasters going live as a non-homogeneous Poisson process."""

    peak_concurrent: Crowd
    """Expected number live at the same time at the highest moment of the day."""
    duration: DurationLaw
    start_curve: Curve
    """How the rate of going live moves over the day; scaled so that `peak_concurrent` is reached."""

    @model_validator(mode="after")
    def _no_flashes(self) -> Broadcasts:
        if self.duration.mean_s < SHORTEST_MEAN_S:
            raise ValueError(f"a broadcast of {self.duration.mean_s:g} s on average; at least {SHORTEST_MEAN_S:g} s")
        return self


class Popularity(SpecModel):
    """Zipf-Mandelbrot: the channel of rank r draws an audience in proportion to (r + shift)^-exponent."""

    exponent: Annotated[float, Field(gt=0, le=5)] = 1.144
    shift: Annotated[float, Field(ge=0, le=1e6)] = 76.3
    channels: Annotated[int, Field(ge=1, le=10**8)] = 162_625
    """Number of ranks; each broadcast is of a channel drawn evenly from them."""


class Audience(SpecModel):
    """Viewers of the whole platform, and how they choose."""

    peak_viewers: Crowd
    """Concurrent viewers at the highest moment of the day."""
    curve: Curve
    """How the number of viewers moves over the day."""
    mean_session_s: PositiveSeconds
    """Mean time a viewer stays: the time scale on which the fluid follows."""
    popularity: Popularity = Popularity()
    rung_shares: dict[str, Ratio]
    """Share of viewers on each rung of the ladder; they sum to 1."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Audience:
        total = sum(self.rung_shares.values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"rung_shares sum to {total:g}; they must sum to 1")
        return self


class ChatTraffic(SpecModel):
    """Messages written in the rooms: a Cox process, burstier than Poisson."""

    messages_per_viewer_s: PerSecond = 0.0004
    """Mean rate of one viewer."""
    burst_variance: Annotated[float, Field(ge=0, le=100)] = 0.62
    """Variance of the unit-mean intensity X(t) that multiplies the rate of a room."""
    burst_correlation_s: PositiveSeconds = 29.0
    """Exponential correlation time of X(t)."""
    connected_share: PositiveRatio = 1.0
    """Share of viewers who hold a chat connection."""
    message_bytes: ByteCount = 300.0
    """Size of a delivered message on the wire."""


class Workload(SpecModel):
    """The demand of a scenario."""

    source: Source
    broadcasts: Broadcasts
    audience: Audience
    chat: ChatTraffic = ChatTraffic()
