"""What goes wrong, or is done, at a known moment: lost zones, spot storms, deploys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Name, PositiveRatio, PositiveSeconds, Ratio, Seconds, SpecModel, Text


class _AtMoment(SpecModel):
    """Something that begins at a moment of the run."""

    name: Text = ""
    """As a report calls it; its kind if empty."""
    at_s: Seconds
    """Since the start of the run."""


class ZoneLoss(_AtMoment):
    """Zones vanish at once, with all their transcode and ingest nodes, and come back empty.

    All zones of a region together are the loss of a region.
    """

    kind: Literal["zone_loss"]
    zones: Annotated[tuple[Name, ...], Field(min_length=1)]
    duration_s: PositiveSeconds = 3600.0
    """Until nodes can be had there again."""
    cdn_regions: tuple[Name, ...] = ()
    """Regions whose CDN clusters are lost as well, for as long; they come back with empty caches."""


class SpotStorm(_AtMoment):
    """The provider takes back a share of the spot and preemptible nodes within a short time, and sells no more."""

    kind: Literal["spot_storm"]
    share: PositiveRatio = 0.5
    """Of the nodes that are there; each is hit by its own draw. Assumed, 0.1 to 1."""
    over_s: Seconds = 300.0
    """Within which the notices are given; assumed."""
    zones: tuple[Name, ...] = ()
    """Only in these; everywhere if empty."""
    duration_s: Seconds = 1800.0
    """From its start, how long no spot node can be had there; assumed, 10 min to hours."""


class RollingDeploy(_AtMoment):
    """Every node that is there is replaced by a new one, some at a time.

    It waits while fewer nodes are ready than are wanted, so that a platform that is short of nodes holds it up.
    """

    kind: Literal["rolling_deploy"]
    surge: PositiveRatio = 0.25
    """Nodes beyond the fleet, as a share of it, that start before as many old ones drain. Kubernetes: 25 %."""
    drain_deadline_s: Seconds | None = None
    """A broadcast still on an old node then is interrupted; null waits for its end."""
    migrate: bool = False
    """Broadcasts move from an old node as soon as there is room."""


class NodeLoss(_AtMoment):
    """Some nodes die at once without notice: a bad kernel, a rack, an operator's mistake."""

    kind: Literal["node_loss"]
    share: Ratio = 0.1
    """Of the ready nodes."""


Failure = Annotated[ZoneLoss | SpotStorm | RollingDeploy | NodeLoss, Field(discriminator="kind")]
