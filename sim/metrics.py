"""Metrics: pure functions from the records of one replication to one number each.

A metric is a row of `METRICS`: its component, unit, meaning and function. A value that does not exist in a run,
such as a hit ratio without a request, is NaN and stays out of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from scenarios.catalogue import Catalogue
from scenarios.scenario import Scenario
from sim.capacity import rated
from sim.cost import egress_usd, months, node_usd
from sim.node_plan import RESOURCE_NAMES
from sim.records import REFUSED, Replication
from sim.stream_cost import origin_cpu_s, startup_s


class Case(NamedTuple):
    """What a metric may read."""

    run: Replication
    scenario: Scenario
    catalogue: Catalogue


class Metric(NamedTuple):
    """One line of the answer."""

    component: str
    unit: str
    meaning: str
    value: Callable[[Case], float]
    needs: tuple[str, ...] = ()
    """Coefficients without which there is no such line."""


def _ratio(above: float, below: float) -> float:
    return above / below if below else math.nan


def _sum(case: Case, column: str) -> float:
    return float(case.run.ticks[column].sum())


def _peak(case: Case, column: str) -> float:
    return float(case.run.ticks[column].max())


def _bps(case: Case, column: str) -> float:
    return _peak(case, column) * 8.0 / case.scenario.horizon.tick_s


def nodes_peak(case: Case) -> float:
    """Return the most transcode nodes that were paid for at the same time, at a tick."""
    ticks = case.run.ticks
    return float((ticks["nodes_booting"] + ticks["nodes_ready"] + ticks["nodes_draining"]).max())


def start_wait_p95_s(case: Case) -> float:
    """Return the 95th percentile, over broadcasts placed after the start, of publish → first segment listed."""
    rows = case.run.broadcasts
    waits = (rows["placed_s"] - rows["publish_s"])[(rows["publish_s"] >= 0) & rows["placed_s"].notna()]
    first_segment_s = startup_s(case.run.world.values, case.scenario.ladder)
    return float(np.quantile(waits, 0.95)) + first_segment_s if len(waits) else math.nan


def refused_fraction(case: Case) -> float:
    """Return the share of broadcasts that asked after the start and were refused or gave up."""
    rows = case.run.broadcasts[case.run.broadcasts["publish_s"] >= 0]
    lost = rows["outcome"].isin([outcome.text for outcome in REFUSED])
    return _ratio(float(lost.sum()), float(len(rows)))


def transcode_usd_per_month(case: Case) -> float:
    """Return what the transcode nodes cost in a month."""
    return float(node_usd(case.run.nodes, case.run.horizon_s).sum()) * _months(case)


def usd_per_stream_hour(case: Case) -> float:
    """Return the transcode nodes' price per hour of transcoded broadcast."""
    stream_hours = case.run.tally.service_area_s / 3600.0
    return _ratio(transcode_usd_per_month(case) / _months(case), stream_hours)


def ingest_usd_per_month(case: Case) -> float:
    """Return what the ingest nodes cost in a month."""
    hours = case.scenario.prices.hours_per_month
    return case.scenario.platform.ingest.nodes * case.run.ingest.price_usd_per_hour * hours


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
    by_deliveries = _peak(case, "chat_deliveries") / case.scenario.horizon.tick_s / per_node_s
    by_connections = _peak(case, "chat_connections") / spec.connections_per_node
    return float(math.ceil(max(by_deliveries, by_connections) / spec.planning_utilisation))


def chat_usd_per_month(case: Case) -> float:
    """Return what the chat nodes cost in a month, all of them all the time."""
    node = rated(case.catalogue.instances[case.scenario.platform.chat.instance])
    return chat_nodes(case) * node.price_usd_per_hour * case.scenario.prices.hours_per_month


def egress_usd_per_month(case: Case) -> float:
    """Return what delivery to viewers, chat included, costs in a month."""
    delivered = (_sum(case, "egress_bytes") + _sum(case, "chat_delivered_bytes")) * _months(case)
    return egress_usd(case.catalogue.egress[case.scenario.prices.egress], delivered)


def _months(case: Case) -> float:
    return months(case.run.horizon_s, case.scenario.prices.hours_per_month)


def _stands_at(resource: str) -> Callable[[Case], float]:
    return lambda case: case.run.plan.utilisation()[resource]


METRICS: dict[str, Metric] = {
    "nodes_peak": Metric("transcode", "nodes", "nodes needed at the highest moment", nodes_peak),
    "broadcasts_per_node": Metric(
        "transcode", "broadcasts", "broadcasts a node holds", lambda case: float(case.run.plan.broadcasts)
    ),
    **{
        f"full_node_{resource}": Metric("transcode", "1", f"planned {name} in use on a full node", _stands_at(resource))
        for resource, name in RESOURCE_NAMES.items()
    },
    "broadcasts_peak": Metric(
        "transcode",
        "broadcasts",
        "most in service at once",
        lambda case: _peak(case, "broadcasts_in_service"),
    ),
    "start_wait_p95_s": Metric("transcode", "s", "publish → first segment, 95th percentile", start_wait_p95_s),
    "segment_publish_s": Metric(
        "transcode",
        "s",
        "closing frame → segment, mean on a full node",
        lambda case: case.run.plan.segment_publish_s,
    ),
    "refused_fraction": Metric("ingest", "1", "broadcasts refused or given up", refused_fraction),
    "viewers_peak": Metric("audience", "viewers", "most served at once", lambda case: _peak(case, "viewers_served")),
    "unserved_viewer_fraction": Metric(
        "audience",
        "1",
        "viewer-time on broadcasts that were not in service",
        lambda case: _ratio(_sum(case, "viewers_unserved"), _sum(case, "viewers_wanted")),
    ),
    "segment_hit_ratio": Metric(
        "cdn",
        "1",
        "segment requests served by a cluster's cache",
        lambda case: _ratio(_sum(case, "segment_hits"), _sum(case, "segment_requests")),
    ),
    "playlist_hit_ratio": Metric(
        "cdn",
        "1",
        "playlist requests served fresh from a cluster's cache",
        lambda case: _ratio(_sum(case, "playlist_hits"), _sum(case, "playlist_requests")),
    ),
    "byte_hit_ratio": Metric(
        "cdn",
        "1",
        "delivered bytes that were not fetched from the next tier",
        lambda case: 1.0 - _ratio(_sum(case, "egress_missed_bytes"), _sum(case, "egress_bytes")),
    ),
    "egress_peak_bps": Metric("cdn", "bit/s", "to viewers, busiest tick", lambda case: _bps(case, "egress_bytes")),
    "origin_egress_peak_bps": Metric(
        "origin", "bit/s", "from the origin, busiest tick", lambda case: _bps(case, "origin_egress_bytes")
    ),
    "origin_cores_peak": Metric(
        "origin",
        "cores",
        "cores of the measured kind in use at the origin, busiest tick",
        origin_cores_peak,
        ("origin_cpu_s_per_request tls", "origin_cpu_s_per_byte tls"),
    ),
    "chat_deliveries_peak_per_s": Metric(
        "chat",
        "1/s",
        "messages delivered, busiest tick",
        lambda case: _peak(case, "chat_deliveries") / case.scenario.horizon.tick_s,
    ),
    "chat_nodes": Metric("chat", "nodes", "chat nodes for the peak", chat_nodes),
    "transcode_usd_per_month": Metric("cost", "USD/month", "transcode nodes", transcode_usd_per_month),
    "ingest_usd_per_month": Metric("cost", "USD/month", "ingest nodes", ingest_usd_per_month),
    "chat_usd_per_month": Metric("cost", "USD/month", "chat nodes", chat_usd_per_month),
    "egress_usd_per_month": Metric("cost", "USD/month", "delivery to viewers", egress_usd_per_month),
    "usd_per_stream_hour": Metric("cost", "USD/h", "transcode nodes per hour of broadcast", usd_per_stream_hour),
}


def measure(case: Case) -> pd.DataFrame:
    """Return every metric of one replication: component, metric, unit, value, one row each.

    A resource that the transcode nodes do not have, such as engines without an accelerator, has no row; nor has a
    metric whose coefficients or node sizes the profile lacks.
    """
    lacking = {f"full_node_{resource}" for resource in RESOURCE_NAMES.keys() - set(case.run.plan.resources)}
    if math.isnan(case.run.plan.segment_publish_s):
        lacking.add("segment_publish_s")
    rows = [
        (case.run.replication, metric.component, name, metric.unit, metric.value(case))
        for name, metric in METRICS.items()
        if name not in lacking and all(key in case.run.world.values for key in metric.needs)
    ]
    return pd.DataFrame(rows, columns=["replication", "component", "metric", "unit", "value"])


def summarise(values: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Summarise each metric over replications, in the order of `METRICS`.

    Two intervals, both Student's t over independent replications. That of the mean narrows with more
    replications. That of a day is where the next single day lies, in a world drawn from the profile: the noise of
    the day and the ignorance of the profile, which replications do not shrink. Both are cut off where
    nothing can be: no metric is negative, no fraction above 1.

    Returns:
        Columns component, metric, unit, mean, low, high (of the mean), day_low, day_high, replications.
    """
    rows = []
    for (component, name, unit), group in values.groupby(["component", "metric", "unit"], sort=False):
        known = group["value"].dropna().to_numpy()
        mean = float(known.mean()) if known.size else math.nan
        half = day = math.nan
        if known.size > 1:
            spread = stats.t.ppf((1 + confidence) / 2, known.size - 1) * known.std(ddof=1)
            half = float(spread / math.sqrt(known.size))
            day = float(spread * math.sqrt(1 + 1 / known.size))
        ends = np.array([mean - half, mean + half, mean - day, mean + day])
        possible = np.clip(ends, 0.0, 1.0 if unit == "1" else math.inf)
        rows.append((component, name, unit, mean, *possible.tolist(), known.size))
    columns = ["component", "metric", "unit", "mean", "low", "high", "day_low", "day_high", "replications"]
    return pd.DataFrame(rows, columns=columns)
