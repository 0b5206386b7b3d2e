"""A small review for tests: two hours of a few dozen broadcasts on three types, with few days and draws."""

from __future__ import annotations

import functools
from typing import Any

import platforms
import profiles
import pytest

from sim.capacity_review import finals, stages
from sim.capacity_review.result import Review

TYPES = ("g4dn.xlarge", "c7i.4xlarge", "c7g.4xlarge")
SPOT = {"name": "spot", "purchase": "spot", "discount": 0.6, "weight": 2.0, "interruptions": {"per_hour": 0.4}}
POOLS = ({"name": "sure", "min_nodes": 1}, SPOT)


@functools.cache
def small_review() -> Review:
    """Return the one that tests share, as it takes seconds."""
    return reviewed()


def reviewed(types: tuple[str, ...] = TYPES, **changes: Any) -> Review:
    """Return a review of the small platform; changes as of `platforms.scenario`."""
    few = {
        "horizon.horizon_s": 3600.0,
        "platform.transcode.instance": types[0],
        "platform.transcode.node_price_usd_per_hour": None,
        "platform.transcode.nic_bps": None,
        "platform.transcode.pools": POOLS,
        "slo": {"refused_fraction": 0.05, "share_of_days": 0.5},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "REPLICATIONS", 4)
        patch.setattr(stages, "DRAWS", 100)
        patch.setattr(finals, "LEAST", 3)
        patch.setattr(finals, "MOST", 3)
        return stages.review(platforms.scenario(**few | changes), profiles.profile(), types, replications=10)
