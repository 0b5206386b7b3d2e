"""The nodes of the transcode fleet: how they are bought, where they stand, and how long they are to be had."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenarios.base import Count, Name, PositiveSeconds, Ratio, Seconds, SpecModel, UsdPerHour

Purchase = Literal["on_demand", "reserved", "spot", "preemptible"]
Band = Literal["<5%", "5-10%", "10-15%", "15-20%", ">20%"]
HOURS_PER_MONTH = 730.0
MONTHLY_SHARE: dict[Band, float] = {"<5%": 0.025, "5-10%": 0.075, "10-15%": 0.125, "15-20%": 0.175, ">20%": 0.25}
"""Middle of the bands in which AWS Spot Advisor publishes the share of nodes taken back within a month.

The last one has no upper end; 0.25 is assumed.
"""


class Interruptions(SpecModel):
    """How a provider takes single nodes back. Storms, which take many at once, are `failures`."""

    per_hour: Annotated[float, Field(ge=0, le=100)] | None = None
    """Rate at which one node is taken back; instead of `band`."""
    band: Band | None = None
    """Spot Advisor's band. 15-20 % a month is a rate of 0.00026 an hour."""
    notice_s: Seconds = 120.0
    """From the notice until the node is gone. EC2 spot: 120 s (awsdocs/amazon-ec2-user-guide). Preemptible: 30 s,
    assumed."""
    max_life_s: PositiveSeconds | None = None
    """A node is taken back at this age at the latest. Preemptible: 24 h, assumed."""

    @model_validator(mode="after")
    def _one_rate(self) -> Interruptions:
        if self.per_hour is not None and self.band is not None:
            raise ValueError("per_hour and band say the same in two ways; keep one of them")
        return self

    @property
    def rate_per_s(self) -> float:
        """Rate at which one node is taken back: of the band, -ln(1 - monthly share) spread over the month."""
        if self.band is not None:
            return -math.log1p(-MONTHLY_SHARE[self.band]) / HOURS_PER_MONTH / 3600.0
        return (self.per_hour or 0.0) / 3600.0


DEFAULT_INTERRUPTIONS: dict[Purchase, Interruptions | None] = {
    "on_demand": None,
    "reserved": None,
    "spot": Interruptions(band="15-20%"),
    "preemptible": Interruptions(band="15-20%", notice_s=30.0, max_life_s=86_400.0),
}
"""Where a pool says nothing: g4dn.xlarge in us-east-1 stood in the band of 15-20 % (Spot Advisor, 2025-06-28)."""


class NodePool(SpecModel):
    """Nodes of one type, bought in one way, spread over zones."""

    name: Name
    instance: Name | None = None
    """A type of the catalogue; `transcode.instance` if null."""
    encode_on: Literal["accelerator", "cpu"] | None = None
    """As `transcode.encode_on`, for this pool; that one's if null and the instance is the same."""
    purchase: Purchase = "on_demand"
    zones: tuple[Name, ...] = ()
    """Some of `transcode.zones`; all of them if empty."""
    min_nodes: Count = 0
    """Always held, in all zones together; under an HPA only while it wants as many."""
    available_max: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """The most that are to be had in each zone; null for no such limit."""
    weight: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Nodes beyond all pools' `min_nodes` are shared out in proportion; what one cannot have goes to the others."""
    launch_failure: Ratio = 0.0
    """Share of orders that come to nothing, at the end of their scheduling; assumed."""
    price_usd_per_hour: UsdPerHour | None = None
    """Of a node; the type's on-demand price × (1 - discount) if null."""
    discount: Ratio = 0.0
    """Off the on-demand price, assumed. Reserved for a year: 0.3 to 0.4; spot g4dn.xlarge: 0.64 (Spot Advisor,
    2025-06-28), the guide says 0.7."""
    interruptions: Interruptions | None = None
    """If null, those usual for the way it is bought: none on demand, the band of g4dn.xlarge for spot."""

    @property
    def taken_back(self) -> Interruptions | None:
        """How its nodes are taken back; None where they are not."""
        return self.interruptions or DEFAULT_INTERRUPTIONS[self.purchase]


class Drain(SpecModel):
    """What becomes of the broadcasts of a node that is to go, by scale-in or a deploy."""

    choose: Literal["emptiest", "newest"] = "emptiest"
    """Which node goes first when the fleet shrinks. A ReplicaSet does not look at load: `newest` is nearest to it."""
    migrate: bool = False
    """Broadcasts move at once to other nodes with room, as they do on a provider's notice; otherwise they stay."""
    deadline_s: Seconds | None = None
    """What is still there then is interrupted; null waits until the last broadcast has ended. A pod's
    terminationGracePeriodSeconds is 30 unless it says otherwise."""


class Migration(SpecModel):
    """What moving a broadcast to another node costs, while its publisher stays connected to ingest."""

    on_notice: bool = True
    """Broadcasts of a node that is taken back move to other nodes as soon as there is room."""
    gap_segments: Annotated[float, Field(ge=0, le=1000)] = 1.0
    """Segments that its viewers miss: the encoder starts at the next keyframe; assumed, 1 to 3."""
