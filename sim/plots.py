"""Figures of a result, each titled by the question it answers; they change no global state of matplotlib.

Lines are means over replications, bands and whiskers the 95 % interval of that mean, as in the table.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from scenarios.errors import NotReady
from sim.bands import Band, day, ratio_over_day, share
from sim.capacity import RESOURCES
from sim.format import SCALES, interval_text
from sim.metrics import METRICS, summarise
from sim.results import RunResult

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MultipleLocator
except ModuleNotFoundError as error:
    raise NotReady("plots need matplotlib, which is not installed: pip install 'headroom[report]'") from error

# Okabe and Ito (2008): told apart with every common colour vision, and in grey.
BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8a8f98"
INK, FAINT = "#24292f", "#dfe3e8"
STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "font.size": 9,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a name such as `$5_{` is a name
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
    "ytick.left": False,
}
WIDTH_IN = 7.6
NARROW_RANGE = 20.0
"""Largest ÷ smallest value up to which lines share a linear axis."""

Plot = Callable[[RunResult], Figure]


class Line(NamedTuple):
    """One labelled line with its band."""

    label: str
    band: Band
    colour: str
    style: str = "-"


def _styled(plot: Plot) -> Plot:
    @functools.wraps(plot)
    def with_style(result: RunResult) -> Figure:
        with matplotlib.rc_context(STYLE):
            return plot(result)

    return with_style


@_styled
def fleet(result: RunResult) -> Figure:
    """Return broadcasts and transcode nodes over the day, one above the other."""
    figure, (above, below) = _stacked("How many nodes does the day need?", rows=2, height_in=5.2)
    _lines(
        above,
        [
            Line("in service", day(result, "broadcasts_in_service"), BLUE),
            Line("wanted", day(result, "broadcasts_wanted"), INK, ":"),
        ],
    )
    above.set_ylabel("broadcasts")
    paid = day(result, "nodes_booting", "nodes_ready", "nodes_draining")
    _lines(
        below, [Line("paid for", paid, VERMILION), Line("ready", day(result, "nodes_ready"), GREEN, "--")]
    )
    below.set_ylabel("transcode nodes")
    _peak(below, result, "nodes_peak")
    _hours(below, result)
    return figure


@_styled
def audience(result: RunResult) -> Figure:
    """Return viewers and egress over the day: to the viewers, and from the origin."""
    figure, (above, below) = _stacked(
        "How large is the audience, and how much of it does the origin see?", rows=2, height_in=5.2
    )
    _lines(above, [Line("served", day(result, "viewers_served"), BLUE)])
    above.set_ylabel("viewers")
    _peak(above, result, "viewers_peak")
    bits = 8.0 / result.scenario.horizon.tick_s
    to_viewers, from_origin = day(result, "egress_bytes") * bits, day(result, "origin_egress_bytes") * bits
    size, unit = next(scale for scale in SCALES["bit/s"] if np.nanmax(to_viewers.mean) >= scale[0] or scale[0] == 1)
    _lines(
        below,
        [
            Line("to viewers", to_viewers * (1 / size), BLUE),
            Line("from the origin", from_origin * (1 / size), VERMILION),
        ],
        log_if_wide=True,
    )
    below.set_ylabel(f"egress, {unit}")
    _hours(below, result)
    return figure


@_styled
def hit_ratios(result: RunResult) -> Figure:
    """Return the hit ratios of segments and playlists over the day."""
    figure, (axes,) = _stacked("How often does the CDN already hold what is asked for?", rows=1, height_in=2.9)
    kinds = {"segment": BLUE, "playlist": VERMILION}
    lines = [
        Line(f"{kind}s", ratio_over_day(result, f"{kind}_hits", f"{kind}_requests") * 100.0, colour)
        for kind, colour in kinds.items()
    ]
    _lines(axes, lines)
    axes.set_ylim(0, 100)
    _name_ends(axes, lines)
    axes.set_ylabel("requests served by the cache, %")
    _hours(axes, result)
    return figure


@_styled
def cost(result: RunResult) -> Figure:
    """Return the month's cost: nodes beside delivery, then the nodes apart, each on an axis of its own."""
    parts = {name: f"{name}_usd_per_month" for name in ("transcode", "ingest", "chat", "egress")}
    nodes = [parts[name] for name in ("transcode", "ingest", "chat")]
    values = result.values.pivot(index="replication", columns="metric", values="value")
    delivery = _usd(values[parts["egress"]])
    figure, (above, below) = _stacked("Where does the month's money go?", rows=2, height_in=3.6, shared=False)
    _bars(
        above,
        {"all nodes": _usd(values[nodes].sum(axis=1)), METRICS[parts["egress"]].meaning: delivery},
        {"all nodes": BLUE},
    )
    _bars(
        below,
        {METRICS[metric].meaning: _usd(values[metric]) for metric in nodes},
        dict.fromkeys((METRICS[metric].meaning for metric in nodes), BLUE),
    )
    below.set_title("The nodes alone, on their own axis", color=BLUE)
    for axes in (above, below):
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    below.set_xlabel("USD per month")
    return figure


@_styled
def full_node(result: RunResult) -> Figure:
    """Return what stands at how much of its planned capacity on a full node, the binding resource first."""
    figure, (axes,) = _stacked("What fills a transcode node first?", rows=1, height_in=2.3)
    rows = result.summary.set_index("metric")
    order = sorted(RESOURCES, key=lambda resource: resource != result.binding)
    bars = {
        RESOURCE_NAMES[resource]: share(*rows.loc[f"full_node_{resource}", ["mean", "low", "high"]])
        for resource in order
    }
    _bars(axes, bars, {RESOURCE_NAMES[result.binding]: VERMILION}, rest=GREY)
    axes.set_xlim(0, max(100.0, *(row.high for row in rows.itertuples() if row.unit == "1")))
    held = interval_text(*rows.loc["broadcasts_per_node", ["mean", "low", "high", "unit"]])[0]
    allowed = result.scenario.platform.transcode.planning_utilisation
    axes.set_xlabel(f"% of what planning may use ({allowed:.0%} of the node), at {held} a node")
    return figure
