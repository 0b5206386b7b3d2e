"""A pool's own minimum is held whatever the load is: reserved nodes are paid around the clock."""

from __future__ import annotations

import pytest
from platforms import scenario
from profiles import profile

from sim import run

RESERVED = {"name": "kept", "purchase": "reserved", "min_nodes": 60, "available_max": 60, "discount": 0.35}


def test_reserved_nodes_are_held_and_paid_for_through_the_night():
    asked = scenario(
        **{"horizon.horizon_s": 3600.0, "platform.transcode.pools": [RESERVED, {"name": "more"}]},
    )
    result = run(asked, profile(), replications=2)
    usd = result.summary.set_index("metric")["mean"]
    assert result.ticks["nodes_ready"].min() == 60  # 60 broadcasts need about 20
    assert usd["reserved_usd_per_month"] == pytest.approx(60 * 0.085 * 0.65 * 730, rel=1e-9)
    assert usd["on_demand_usd_per_month"] == 0.0
    with pytest.raises(AssertionError):  # planted: paid only while the load asks for them
        assert usd["reserved_usd_per_month"] == pytest.approx(20 * 0.085 * 0.65 * 730, rel=0.5)
