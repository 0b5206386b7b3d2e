"""A workload for tests, and what is drawn of it."""

from __future__ import annotations

from typing import Any

from scenarios.scenario import Horizon
from scenarios.workload import Workload
from sim.components.audience import Audience
from sim.components.broadcast_traits import draw_table
from sim.components.broadcasts import BroadcastTable
from sim.sampling import stream

HORIZON = Horizon(start_hour=0.0, horizon_s=7200.0, tick_s=30.0)
SOURCE = {"width": 1920, "height": 1080, "fps": 60.0, "bitrate_bps": 6e6}
SMALL_SOURCE = {"width": 1280, "height": 720, "fps": 30.0, "bitrate_bps": 3e6}


def workload(broadcasts: dict[str, Any] | None = None, audience: dict[str, Any] | None = None, **more: Any) -> Workload:
    """Return 500 broadcasts of an hour each and 100,000 viewers at every hour; keywords add to or replace parts."""
    return Workload.model_validate(
        {
            "source": SOURCE,
            "broadcasts": {
                "peak_concurrent": 500.0,
                "duration": {"kind": "exponential", "mean_s": 3600.0},
                "start_curve": {"kind": "constant"},
                **(broadcasts or {}),
            },
            "audience": {
                "peak_viewers": 100_000.0,
                "curve": {"kind": "constant"},
                "mean_session_s": 1200.0,
                "rung_shares": {"720p30": 1.0},
                **(audience or {}),
            },
            **more,
        }
    )


def table(spec: Workload, seed: int = 1, horizon: Horizon = HORIZON) -> BroadcastTable:
    """Return the broadcasts of a seed."""
    return draw_table(spec, horizon, lambda name: stream(seed, 0, name))


def audience(
    spec: Workload, broadcasts: BroadcastTable | None = None, seed: int = 1, horizon: Horizon = HORIZON
) -> Audience:
    """Return the audience of a seed, before its first step."""
    return Audience(
        spec.audience,
        horizon,
        table(spec, seed, horizon) if broadcasts is None else broadcasts,
        lambda name: stream(seed, 0, name),
        regions=spec.regions,
        events=spec.events,
    )
