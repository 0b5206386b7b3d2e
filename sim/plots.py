"""Figures of a result, each titled by the question it answers; no global state of matplotlib changes.

Lines are means over replications. A band is where 95 % of days lie; a whisker is the 95 % interval of the mean.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from scenarios.errors import NotReady
from sim.answer import days_text, value_text
from sim.bands import level, ratio
from sim.format import SCALES, range_text
from sim.metrics import METRICS, summarise
from sim.node_plan import RESOURCE_NAMES
from sim.plot_axes import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    Bar,
    Level,
    Line,
    draw_bars,
    draw_lines,
    draw_moments,
    hours,
    stacked,
    styled,
)
from sim.results import RunResult

try:
    import matplotlib
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise NotReady("plots need matplotlib, which is not installed: pip install 'headroom[report]'") from error

NODE_COSTS = ("transcode_usd_per_month", "ingest_usd_per_month", "chat_usd_per_month")
DELIVERY_COST = "egress_usd_per_month"

Plot = Callable[[RunResult], Figure]


@styled
def fleet(result: RunResult) -> Figure:
    """Return broadcasts and transcode nodes over the day, one above the other."""
    figure, (above, below) = stacked("How many nodes does the day need?", heights_in=(2.1, 2.4))
    in_service = Line("in service", level(result, "broadcasts_in_service"), BLUE)
    wanted = Line("wanted", level(result, "broadcasts_wanted"), INK, ":")
    draw_lines(above, [in_service, wanted], label="broadcasts")
    paid = Line("paid for", level(result, "nodes_booting", "nodes_ready", "nodes_draining"), VERMILION)
    ready = Line("ready", level(result, "nodes_ready"), GREEN, "--")
    draw_lines(below, [paid, ready], label="transcode nodes", mark=_peak(result, "nodes_peak"))
    moments, start_hour = result.failures(), result.scenario.horizon.start_hour
    draw_moments(above, start_hour + moments["at_s"] / 3600.0, moments["what"])
    draw_moments(below, start_hour + moments["at_s"] / 3600.0, [""] * len(moments))
    hours(below, start_hour=result.scenario.horizon.start_hour, horizon_s=result.scenario.horizon.horizon_s)
    return figure


@styled
def audience(result: RunResult) -> Figure:
    """Return viewers over the day, and egress to them and from the origin."""
    horizon = result.scenario.horizon
    figure, (above, below) = stacked("How many watch, and what must the origin send for them?", heights_in=(1.9, 2.4))
    served = Line("served", level(result, "viewers_served"), BLUE)
    draw_lines(above, [served], label="viewers", mark=_peak(result, "viewers_peak"))
    to_viewers, from_origin = level(result, "egress_bytes"), level(result, "origin_egress_bytes")
    peak_bps = float(np.nanmax(to_viewers.mean)) * 8.0 / horizon.tick_s
    size, unit = next((scale for scale in SCALES["bit/s"] if peak_bps >= scale[0]), SCALES["bit/s"][-1])
    factor = 8.0 / horizon.tick_s / size
    lines = [
        Line("to viewers", to_viewers.scaled(factor), BLUE),
        Line("from the origin", from_origin.scaled(factor), VERMILION),
    ]
    draw_lines(below, lines, label=f"egress, {unit}")
    hours(below, start_hour=horizon.start_hour, horizon_s=horizon.horizon_s)
    return figure


@styled
def hit_ratios(result: RunResult) -> Figure:
    """Return the hit ratios of segments and playlists over the day."""
    horizon = result.scenario.horizon
    figure, (axes,) = stacked("How often does a cluster's cache hold what is asked for?", heights_in=(2.6,))
    lines = [
        Line("segments", ratio(result, "segment_hits", "segment_requests").scaled(100.0), BLUE),
        Line("playlists", ratio(result, "playlist_hits", "playlist_requests").scaled(100.0), VERMILION),
    ]
    draw_lines(axes, lines, label="hit ratio, %", top=100.0)
    hours(axes, start_hour=horizon.start_hour, horizon_s=horizon.horizon_s)
    return figure


@styled
def cost(result: RunResult) -> Figure:
    """Return a month's cost: all nodes beside delivery, then the nodes alone on an axis of their own."""
    figure, (above, below) = stacked("Where does a month's money go?", heights_in=(1.2, 1.6), share_x=False)
    draw_bars(above, [_all_nodes(result), _usd(result, DELIVERY_COST, VERMILION)])
    draw_bars(below, [_usd(result, metric, BLUE) for metric in NODE_COSTS])
    below.set_title("The nodes alone, on an axis of their own", color=BLUE)
    below.set_xlabel("USD per month")
    return figure


@styled
def full_node(result: RunResult) -> Figure:
    """Return how much of its plan each resource has in use on a full node, the binding one first."""
    figure, (axes,) = stacked("What fills a transcode node first?", heights_in=(2.2,))
    rows = result.summary.set_index("metric")
    bars = []
    there = [resource for resource in RESOURCE_NAMES if f"full_node_{resource}" in rows.index]
    for resource in sorted(there, key=lambda resource: resource != result.binding):
        mean, low, high, unit = rows.loc[f"full_node_{resource}", ["mean", "low", "high", "unit"]]
        colour = VERMILION if resource == result.binding else GREY
        text = value_text(mean, low, high, unit)
        bars.append(Bar(RESOURCE_NAMES[resource], mean * 100, low * 100, high * 100, text, colour))
    draw_bars(axes, bars)
    axes.set_xlim(0, max(100.0, axes.get_xlim()[1]))
    held = result.texts("broadcasts_per_node").value
    allowed = result.scenario.platform.transcode.planning_utilisation
    axes.set_xlabel(f"% in use of what planning allows ({allowed * 100:g} % of the capacity), with {held} on it")
    return figure


PLOTS: dict[str, Plot] = {
    "fleet": fleet,
    "full_node": full_node,
    "cost": cost,
    "audience": audience,
    "hit_ratios": hit_ratios,
}
"""Every plot, in the order of a report."""
OF_VIEWERS = ("cost", "audience", "hit_ratios")
"""Those that a result of the control plane alone does not have."""


def svg(figure: Figure, *, salt: str) -> str:
    """Return a figure as an SVG document: equal figures and salts give equal text.

    Args:
        figure: what to draw.
        salt: makes the identifiers inside; different figures of one page need different ones.
    """
    file = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # Glyphs as paths: a page looks the same on a machine without our font.
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata=nothing)
    return file.getvalue()


def _peak(result: RunResult, metric: str) -> Level:
    row = result.summary.set_index("metric").loc[metric]
    days = days_text(result, metric)
    return Level(
        row["mean"], f"highest moment: {result.texts(metric).value}" + (f", {days} on 95 % of days" if days else "")
    )


def _usd(result: RunResult, metric: str, colour: str) -> Bar:
    row = result.summary.set_index("metric").loc[metric]
    if metric in result.ranges:
        low, high = result.ranges[metric]
        return Bar(METRICS[metric].meaning, row["mean"], low, high, result.texts(metric).value, colour)
    return _usd_bar(METRICS[metric].meaning, row, colour)


def _all_nodes(result: RunResult) -> Bar:
    """Return the bar of the nodes' sum, with an interval of its own: the parts vary together."""
    parts = result.values[result.values["metric"].isin(NODE_COSTS)]
    sums = parts.groupby("replication", as_index=False)["value"].sum(min_count=len(NODE_COSTS))
    total = summarise(sums.assign(component="cost", metric="all nodes", unit="USD/month")).loc[0]
    if "transcode_usd_per_month" not in result.ranges:
        return _usd_bar("all nodes", total, BLUE)
    means = result.summary.set_index("metric")["mean"]
    low, high = (
        end + float(means["ingest_usd_per_month"] + means["chat_usd_per_month"])
        for end in result.ranges["transcode_usd_per_month"]
    )
    return Bar("all nodes", float(total["mean"]), low, high, range_text(low, high, "USD"), BLUE)


def _usd_bar(label: str, row: pd.Series[Any], colour: str) -> Bar:
    mean, low, high = (float(row[end]) for end in ("mean", "low", "high"))
    return Bar(label, mean, low, high, value_text(mean, low, high, "USD"), colour)
