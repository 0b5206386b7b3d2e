"""What a CDN cache does with requests for an object that it is fetching. `sim.components.cache` has the formulas."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Ratio, SpecModel


class Collapsed(SpecModel):
    """They wait for that one fetch. Hit ratios are results.

    With `proxy_cache_lock` nginx does so for segments, which are new to it, but not for a playlist that has expired.
    """

    kind: Literal["collapsed"] = "collapsed"


class Uncollapsed(SpecModel):
    """Each of them goes on to the next tier, as nginx does by default. Hit ratios are results."""

    kind: Literal["uncollapsed"]


class FixedRatio(SpecModel):
    """Each request is a hit with a typed probability, whoever asked before: what a spreadsheet assumes.

    The shield is typed nowhere: it collapses what clusters miss. Without it the origin answers all of that.
    """

    kind: Literal["fixed_ratio"]
    segment_hit_ratio: Ratio
    """Of requests for segments at a cluster; assumed."""
    playlist_hit_ratio: Ratio
    """Of requests for playlists at a cluster; assumed."""


CachePolicy = Annotated[Collapsed | Uncollapsed | FixedRatio, Field(discriminator="kind")]
