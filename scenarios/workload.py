"""What the platform is asked to carry: broadcasts going live, their audience, their chat."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import (
    ByteCount,
    Crowd,
    Moment,
    Name,
    PerSecond,
    PositiveRatio,
    PositiveSeconds,
    Ratio,
    SpecModel,
)
from scenarios.curves import ConstantCurve, Curve, HarmonicCurve, HourlyCurve, TraceCurve
from scenarios.events import DayNoise, Event, Raid, RandomRaids
from scenarios.ladder import Source
from scenarios.law import DurationLaw, Exponential, mean_s

__all__ = [
    "Audience",
    "Broadcasts",
    "ChatTraffic",
    "ConstantCurve",
    "Content",
    "Curve",
    "HarmonicCurve",
    "HourlyCurve",
    "Popularity",
    "Region",
    "SourceShare",
    "Star",
    "TraceCurve",
    "Workload",
]

SHARE_AGREES = 1e-6
MEAN_AGREES = 0.01
SHORTEST_MEAN_S = 10.0
"""Of broadcasts: their rate is a step function of seconds at the finest."""


class Broadcasts(SpecModel):
    """Broadcasters going live as a non-homogeneous Poisson process."""

    peak_concurrent: Crowd
    """Expected number live at the same time at the highest moment of the day."""
    duration: DurationLaw
    start_curve: Curve
    """How the rate of going live moves over the day; scaled so that `peak_concurrent` is reached."""
    start_curve_is: Literal["rate", "concurrent"] = "rate"
    """What `start_curve` shows: the rate of going live, or, as a trace of streams has it, the number live.

    The rate is then the one whose number live comes nearest to the curve, given the durations.
    """
    partner_share: Ratio = 0.0
    """Share of channels, the most popular ones, whose broadcasters are partners of the platform."""

    @model_validator(mode="after")
    def _no_flashes(self) -> Broadcasts:
        mean = mean_s(self.duration)
        if mean < SHORTEST_MEAN_S:
            raise ValueError(f"a broadcast of {mean:g} s on average; at least {SHORTEST_MEAN_S:g} s")
        return self


class Star(SpecModel):
    """A broadcast with a name and an audience of its own, beside those that popularity draws."""

    name: Name
    viewers: Crowd | None = None
    """How many watch it; the rest of the platform shares what is left of the curve."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Instead of `viewers`: its share of everybody who watches."""
    from_s: Moment = 0.0
    """Going live, in seconds after the start of the run; may be before it."""
    to_s: Moment
    """Its broadcaster stops."""
    ramp_s: PositiveSeconds = 600.0
    """Its audience gathers evenly over this time; assumed (300 to 3,600 s)."""

    @model_validator(mode="after")
    def _one_size_and_one_way_of_time(self) -> Star:
        if (self.viewers is None) == (self.share is None):
            raise ValueError(f"star {self.name!r} needs either viewers or share")
        if self.to_s <= max(self.from_s, 0.0):
            raise ValueError(f"star {self.name!r} ends before it begins, or before the run does")
        return self


class Popularity(SpecModel):
    """Zipf-Mandelbrot: the channel of rank r draws an audience in proportion to (r + shift)^-exponent."""

    exponent: Annotated[float, Field(gt=0, le=5)] = 1.144
    shift: Annotated[float, Field(ge=0, le=1e6)] = 76.3
    channels: Annotated[int, Field(ge=1, le=10**8)] = 162_625
    """Number of ranks; each broadcast is of a channel drawn evenly from them."""
    zero_viewer_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of channels, the least popular ones, that nobody at all watches."""
    stars: Annotated[tuple[Star, ...], Field(max_length=100)] = ()
    """Broadcasts that the law of ranks does not know: it has no single very large one."""


class Audience(SpecModel):
    """Viewers of the whole platform, and how they choose."""

    peak_viewers: Crowd
    """Concurrent viewers at the highest moment of the day."""
    curve: Curve
    """How the number of viewers moves over the day."""
    mean_session_s: PositiveSeconds
    """Mean time a viewer stays: the time scale on which the fluid follows."""
    session: DurationLaw | None = None
    """Law of the time a viewer stays, of that mean; exponential if not given.

    It decides how the viewers of a raid leave. The audience of a broadcast is a fluid whose viewers leave at the rate
    1 ÷ mean whatever the law: exact in equilibrium, and after a sudden change only for the exponential law.
    """
    popularity: Popularity = Popularity()
    rung_shares: dict[str, Ratio]
    """Share of viewers on each rung of the ladder; they sum to 1.

    Where a source leaves a rung out, its viewers take the nearest below it, or above where there is none.
    """
    noise: DayNoise = DayNoise()
    raids: Annotated[tuple[Raid, ...], Field(max_length=10_000)] = ()
    random_raids: RandomRaids | None = None

    @property
    def session_law(self) -> DurationLaw:
        """The law of sessions."""
        return self.session or Exponential(kind="exponential", mean_s=self.mean_session_s)

    @model_validator(mode="after")
    def _session_has_its_mean(self) -> Audience:
        mean = mean_s(self.session_law)
        if abs(mean - self.mean_session_s) > MEAN_AGREES * self.mean_session_s:
            raise ValueError(f"session has the mean {mean:g} s, but mean_session_s is {self.mean_session_s:g}")
        return self

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Audience:
        total = sum(self.rung_shares.values())
        if abs(total - 1) > SHARE_AGREES:
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


class SourceShare(SpecModel):
    """One kind of source, and how many broadcasters send it."""

    source: Source
    share: PositiveRatio


class Content(SpecModel):
    """How much harder or easier to encode one broadcast is than another: a lognormal factor of mean 1."""

    cv: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Standard deviation ÷ mean; 0 makes all alike."""


class Region(SpecModel):
    """Where people are: its evening comes when its own clocks say so.

    With regions, hours of the scenario (`start_hour`) are UTC, and each curve runs by each region's local time.
    """

    name: Name
    share: PositiveRatio
    """Of everybody: of viewers and of broadcasters alike. The sum over regions still peaks at the stated peaks."""
    utc_offset_h: Annotated[float, Field(ge=-12, le=14)] = 0.0
    affinity: Ratio = 0.6
    """Share of the viewers of this region's broadcasts who are in it, the others are where people watch just then;
    assumed (0.3 to 0.95: a language spoken in one region has the most)."""


class Workload(SpecModel):
    """The demand of a scenario."""

    source: Source
    """What every broadcaster sends, unless `source_mix` says more."""
    source_mix: Annotated[tuple[SourceShare, ...], Field(max_length=16)] = ()
    """Kinds of sources by their share of broadcasters; empty: all send `source`."""
    content: Content = Content()
    regions: Annotated[tuple[Region, ...], Field(max_length=64)] = ()
    events: Annotated[tuple[Event, ...], Field(max_length=64)] = ()
    broadcasts: Broadcasts
    audience: Audience
    chat: ChatTraffic = ChatTraffic()

    @property
    def sources(self) -> tuple[Source, ...]:
        """The kinds of sources; `BroadcastTable.source` counts through them."""
        return tuple(kind.source for kind in self.source_mix) or (self.source,)

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Workload:
        for key, parts in (("source_mix", self.source_mix), ("regions", self.regions)):
            total = sum(part.share for part in parts)
            if parts and abs(total - 1) > SHARE_AGREES:
                raise ValueError(f"the shares of {key} sum to {total:g}; they must sum to 1")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Workload:
        for what, parts in (
            ("region", self.regions),
            ("event", self.events),
            ("star", self.audience.popularity.stars),
        ):
            names = [part.name for part in parts]
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"{what} {name!r} stands twice; give each its own name")
        return self
