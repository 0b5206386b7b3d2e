"""How the platform serves what is asked of it: nodes, waits, viewers, caches, the origin and chat."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from sim.capacity import rated
from sim.metrics.case import Case, Metric, peak, peak_bps, ratio, total, unstable_after_s
from sim.node_plan import RESOURCE_NAMES
from sim.records import REFUSED
from sim.stream_cost import origin_cpu_s, startup_s

ORIGIN_COEFFICIENTS = {"origin_cpu_s_per_request tls", "origin_cpu_s_per_byte tls"}


def nodes_peak(case: Case) -> float:
    """Return the most transcode nodes that were paid for at the same time, at a tick."""
    ticks = case.run.ticks
    return float((ticks["nodes_booting"] + ticks["nodes_ready"] + ticks["nodes_draining"]).max())


def start_wait_p95_s(case: Case) -> float:
    """Return the 95th percentile, over broadcasts placed after the start, of publish → first segment listed.

    NaN where the system is unstable: such a wait is one of the horizon, not of the platform.
    """
    if not math.isnan(unstable_after_s(case)):
        return math.nan
    rows = case.run.broadcasts
    waits = (rows["placed_s"] - rows["publish_s"])[(rows["publish_s"] >= 0) & rows["placed_s"].notna()]
    first_segment_s = startup_s(case.run.world.values, case.scenario.ladder)
    return float(np.quantile(waits, 0.95)) + first_segment_s if len(waits) else math.nan


def refused_fraction(case: Case) -> float:
    """Return the share of broadcasts that asked after the start and were refused or gave up."""
    rows = case.run.broadcasts[case.run.broadcasts["publish_s"] >= 0]
    lost = rows["outcome"].isin([outcome.text for outcome in REFUSED])
    return ratio(float(lost.sum()), float(len(rows)))


def origin_cores_peak(case: Case) -> float:
    """Return the cores that an origin like the measured one has in use at the busiest tick, over TLS."""
    ticks = case.run.ticks
    cpu_s = origin_cpu_s(
        case.run.world.values,
        requests=(ticks["segment_origin_fetches"] + ticks["playlist_origin_fetches"]).to_numpy(float),
        sent_bytes=ticks["origin_egress_bytes"].to_numpy(float),
        transport="tls",
    )
    return float(cpu_s.max()) / case.scenario.horizon.tick_s


def chat_nodes(case: Case) -> float:
    """Return the chat nodes for the peak: by deliveries or by connections, whichever asks for more."""
    spec = case.scenario.platform.chat
    per_node_s = spec.deliveries_per_vcpu_s * rated(case.catalogue.instances[spec.instance]).vcpus
    by_deliveries = peak(case, "chat_deliveries") / case.scenario.horizon.tick_s / per_node_s
    by_connections = peak(case, "chat_connections") / spec.connections_per_node
    return float(math.ceil(max(by_deliveries, by_connections) / spec.planning_utilisation))


def _stands_at(resource: str) -> Callable[[Case], float]:
    return lambda case: case.run.plan.utilisation()[resource]


def _has(resource: str) -> Callable[[Case], bool]:
    return lambda case: resource in case.run.plan.resources


SERVING: dict[str, Metric] = {
    "nodes_peak": Metric("transcode", "nodes", "most nodes at the same time", nodes_peak),
    "broadcasts_per_node": Metric(
        "transcode", "broadcasts", "broadcasts a node holds", lambda case: case.run.places_per_node
    ),
    **{
        f"full_node_{resource}": Metric(
            "transcode", "1", f"planned {name} in use on a full node", _stands_at(resource), _has(resource)
        )
        for resource, name in RESOURCE_NAMES.items()
    },
    "broadcasts_peak": Metric(
        "transcode",
        "broadcasts",
        "most in service at once",
        lambda case: peak(case, "broadcasts_in_service"),
    ),
    "start_wait_p95_s": Metric("transcode", "s", "publish → first segment, 95th percentile", start_wait_p95_s),
    "segment_publish_s": Metric(
        "transcode",
        "s",
        "closing frame → segment, mean on a full node",
        lambda case: case.run.plan.segment_publish_s,
        lambda case: not math.isnan(case.run.plan.segment_publish_s),
    ),
    "refused_fraction": Metric("ingest", "1", "broadcasts refused or given up", refused_fraction),
    "viewers_peak": Metric(
        "audience", "viewers", "most served at once", lambda case: peak(case, "viewers_served"), of_viewers=True
    ),
    "unserved_viewer_fraction": Metric(
        "audience",
        "1",
        "viewer-time on broadcasts that were not in service, or lost with one",
        lambda case: ratio(
            total(case, "viewers_unserved") + total(case, "viewers_away"), total(case, "viewers_wanted")
        ),
        of_viewers=True,
    ),
    "segment_hit_ratio": Metric(
        "cdn",
        "1",
        "segment requests served by a cluster's cache",
        lambda case: ratio(total(case, "segment_hits"), total(case, "segment_requests")),
        of_viewers=True,
    ),
    "playlist_hit_ratio": Metric(
        "cdn",
        "1",
        "playlist requests served fresh from a cluster's cache",
        lambda case: ratio(total(case, "playlist_hits"), total(case, "playlist_requests")),
        of_viewers=True,
    ),
    "byte_hit_ratio": Metric(
        "cdn",
        "1",
        "delivered bytes that were not fetched from the next tier",
        lambda case: 1.0 - ratio(total(case, "egress_missed_bytes"), total(case, "egress_bytes")),
        of_viewers=True,
    ),
    "egress_peak_bps": Metric(
        "cdn", "bit/s", "to viewers, busiest tick", lambda case: peak_bps(case, "egress_bytes"), of_viewers=True
    ),
    "edge_busiest_utilisation": Metric(
        "cdn",
        "1",
        "network of the busiest edge in use, busiest tick",
        lambda case: peak(case, "edge_busiest_utilisation"),
        lambda case: case.scenario.platform.cdn.edge_nic_bps is not None,
        of_viewers=True,
    ),
    "origin_egress_peak_bps": Metric(
        "origin",
        "bit/s",
        "from the origin, busiest tick",
        lambda case: peak_bps(case, "origin_egress_bytes"),
        of_viewers=True,
    ),
    "origin_cores_peak": Metric(
        "origin",
        "cores",
        "cores of the measured kind in use at the origin, busiest tick",
        origin_cores_peak,
        lambda case: case.run.world.values.keys() >= ORIGIN_COEFFICIENTS,
        of_viewers=True,
    ),
    "chat_deliveries_peak_per_s": Metric(
        "chat",
        "1/s",
        "messages delivered, busiest tick",
        lambda case: peak(case, "chat_deliveries") / case.scenario.horizon.tick_s,
        of_viewers=True,
    ),
    "chat_nodes": Metric("chat", "nodes", "chat nodes for the peak", chat_nodes, of_viewers=True),
}
