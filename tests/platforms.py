"""A small platform for tests: two hours, a few dozen broadcasts."""

from __future__ import annotations

from typing import Any

from profiles import LADDER, SOURCE

from scenarios.scenario import Scenario

EVENING = (
    1.2,
    1.1,
    1.0,
    0.9,
    0.8,
    0.7,
    0.6,
    0.6,
    0.6,
    0.6,
    0.6,
    0.7,
    0.8,
    0.9,
    0.9,
    1.0,
    1.1,
    1.2,
    1.3,
    1.3,
    1.4,
    1.4,
    1.3,
    1.2,
)


def scenario(**changes: Any) -> Scenario:
    """Return the small platform; each keyword is a dotted path and replaces one value."""
    data: dict[str, Any] = {
        "headroom": 1,
        "title": "A small platform",
        "question": "How many nodes?",
        "profile": "invented",
        "horizon": {"start_hour": 19.0, "horizon_s": 7200.0, "tick_s": 30.0},
        "workload": {
            "source": SOURCE.model_dump(),
            "broadcasts": {
                "peak_concurrent": 60.0,
                "duration": {"kind": "lognormal", "mean_s": 3600.0, "cv": 1.2},
                "start_curve": {"kind": "hourly", "levels": EVENING},
            },
            "audience": {
                "peak_viewers": 3000.0,
                "curve": {"kind": "hourly", "levels": EVENING},
                "mean_session_s": 1860.0,
                "rung_shares": {"720p30": 0.75, "480p30": 0.25},
            },
        },
        "ladder": LADDER.model_dump(),
        "platform": {
            "ingest": {
                "instance": "c5n.4xlarge",
                "nodes": 1,
                "auth_limit_per_s": 2.0,
                "auth_burst": 5,
                "auth_wait_limit_s": 2.0,
            },
            "transcode": {
                "instance": "this-machine",
                "node_price_usd_per_hour": 0.085,
                "nic_bps": 1e9,
                "min_nodes": 2,
                "max_nodes": 100,
                "boot": {"kind": "uniform", "low_s": 90.0, "high_s": 300.0},
                "queue_deadline_s": 60.0,
                "autoscaler": {"kind": "queue"},
            },
            "cdn": {"clusters": 4},
            "chat": {
                "instance": "c6i.4xlarge",
                "deliveries_per_vcpu_s": 69000.0,
                "connections_per_node": 100_000,
            },
        },
        "prices": {"egress": "cloudfront-us"},
        "replications": 3,
    }
    for path, value in changes.items():
        _set(data, path.split("."), value)
    return Scenario.model_validate(_frozen(data))


def _set(data: Any, steps: list[str], value: Any) -> None:
    for step in steps[:-1]:
        if isinstance(data, dict) and isinstance(data.get(step), tuple):
            data[step] = list(data[step])
        data = data[int(step)] if isinstance(data, list) else data[step]
    data[steps[-1]] = value


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    return value
