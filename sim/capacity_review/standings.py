"""One row for each type of a review: what a node holds, fleet, cost, promise, and what all that rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from scenarios.catalogue import load_catalogue
from scenarios.coefficient import FROM_STRONG_TO_WEAK
from scenarios.scenario import Scenario
from sim.capacity_review.screening import values_of
from sim.carried import carried_coefficients
from sim.fleet_plan import kinds_of_nodes
from sim.node_plan import RESOURCE_NAMES
from sim.ranges import COST
from sim.results import RunResult
from sim.sampling import stream
from sim.slo_attainment import Attainment
from sim.statistics.intervals import mean_interval, ratio_interval

MEANS = ("interrupted", "moved", "viewer_hours_lost", "unserved_viewer_fraction", "refused_fraction")
"""Metrics of which a row has the mean; what the platform, or the engine, has nothing of is NaN."""


class Price(NamedTuple):
    """What an hour of a node costs on demand, and when that was true; None where the scenario assumes it."""

    usd_per_hour: float
    source: str
    date: str | None


def standing(name: str, result: RunResult, promise: Attainment) -> dict[str, Any]:
    """Return the row of a type.

    Columns: instance; replications; places, places_low, places_high (broadcasts a node holds: mean, and the range of
    what nobody measured, NaN where it was); binding; stands_at (resource → share in use on a full node); nodes_peak and
    transcode_usd_per_month, each with `_low` and `_high`: 95 % interval of the mean, or the range; is_range;
    nodes_least and nodes_most (over the day, mean over days); usd_per_stream_hour with `_low` and `_high` (bootstrap of
    the ratio, or the range); the means of `MEANS`; price_usd_per_hour, price_source, price_date; kept_days, kept_low,
    kept_high; rests_on.
    """
    mean = result.summary.set_index("metric")["mean"]
    price = list_price(result.scenario)
    row: dict[str, Any] = {"instance": name, "replications": result.replications, "places": mean["broadcasts_per_node"]}
    row["places_low"], row["places_high"] = result.ranges.get("broadcasts_per_node", (math.nan, math.nan))
    row |= {"binding": result.binding, "stands_at": _stands_at(result), "is_range": bool(result.ranges)}
    for metric in ("nodes_peak", COST):
        row |= _with_ends(result, metric)
    row["nodes_least"], row["nodes_most"] = _over_the_day(result)
    row |= dict(zip(_ends("usd_per_stream_hour"), _usd_per_stream_hour(result), strict=True))
    row |= {metric: float(mean.get(metric, math.nan)) for metric in MEANS}
    row |= {f"price_{field}": value for field, value in price._asdict().items()}
    row |= {"kept_days": promise.share.value, "kept_low": promise.share.low, "kept_high": promise.share.high}
    return row | {"rests_on": rests_on(result.scenario)}


def list_price(scenario: Scenario) -> Price:
    """Return the on-demand price of the scenario's own type of node."""
    spec = scenario.platform.transcode
    instance = load_catalogue().instances[spec.instance]
    if spec.node_price_usd_per_hour is not None:
        return Price(spec.node_price_usd_per_hour, "assumed by the scenario", None)
    cited = instance.citations["price"]
    assert instance.price_usd_per_hour is not None
    return Price(instance.price_usd_per_hour, cited.source, cited.date.isoformat())


def rests_on(scenario: Scenario) -> str:
    """Return the kinds of provenance of what a node holds, from strong to weak, such as `measured, scaled, assumed`.

    A type that was not measured rests on the measured profile, on what is scaled to it, and on the assumed CoreMark of
    the measured machine.
    """
    found = {"measured"}
    for kind in kinds_of_nodes(scenario):
        carried = carried_coefficients(kind, load_catalogue())
        found |= {coefficient.provenance.kind for coefficient in carried}
        found |= {"assumed"} if carried else set()
    return ", ".join(kind for kind in FROM_STRONG_TO_WEAK if kind in found)


def others_stand_at(row: Mapping[str, Any]) -> str:
    """Return what the resources that do not bind stand at on a full node, in words."""
    others = [(name, share) for name, share in row["stands_at"].items() if name != row["binding"]]
    return ", ".join(f"{RESOURCE_NAMES[name]} {share:.0%}" for name, share in sorted(others, key=lambda one: -one[1]))


def _stands_at(result: RunResult) -> dict[str, float]:
    rows = result.summary[result.summary["metric"].str.startswith("full_node_")]
    return {
        metric.removeprefix("full_node_"): float(at) for metric, at in zip(rows["metric"], rows["mean"], strict=True)
    }


def _ends(metric: str) -> tuple[str, str, str]:
    return metric, f"{metric}_low", f"{metric}_high"


def _with_ends(result: RunResult, metric: str) -> dict[str, float]:
    value, low, high = mean_interval(values_of(result, metric))
    low, high = result.ranges.get(metric, (max(low, 0.0), high))
    return dict(zip(_ends(metric), (value, low, high), strict=True))


def _over_the_day(result: RunResult) -> tuple[float, float]:
    """Return the fewest and the most nodes that are paid for at a tick of the mean day."""
    ticks = result.ticks
    paid = ticks["nodes_booting"] + ticks["nodes_ready"] + ticks["nodes_draining"]
    day = paid.groupby(ticks["t_s"]).mean()
    return float(day.min()), float(day.max())


def _usd_per_stream_hour(result: RunResult) -> tuple[float, float, float]:
    """Return Σ dollars ÷ Σ hours of broadcast over the replications, with the interval of a bootstrap; or the range."""
    usd, per_hour = values_of(result, COST), values_of(result, "usd_per_stream_hour")
    if np.isnan(per_hour).any():  # a day without an hour of broadcast
        return math.nan, math.nan, math.nan
    stream_hours = usd / per_hour  # of a month, up to one factor that all replications share
    found = ratio_interval(usd, stream_hours, stream(result.seed, 0, "bootstrap"))
    low, high = result.ranges.get("usd_per_stream_hour", (found.low, found.high))
    return found.value, low, high


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a table, by type."""
    return pd.DataFrame(rows).set_index("instance", drop=False)
