"""Figures of a review, each titled by the question it answers; a type has one colour in all of them.

Types stand from the cheapest on. A whisker is the 95 % interval of a mean, or the
range of what nobody measured; a band is where 95 % of days lie.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sim.bands import level
from sim.capacity_review.measure_next import Influence
from sim.capacity_review.node_plot import node_holds
from sim.capacity_review.pareto_plot import pareto
from sim.capacity_review.result import Review
from sim.capacity_review.review_axes import (
    colours_of,
    month_text,
    name_rows,
    short_way,
    titled,
    usd_text,
    whole_numbers,
)
from sim.metrics import METRICS
from sim.plot_axes import BLUE, FAINT, GREY, INK, VERMILION, Bar, Line, draw_bars, draw_lines, hours, stacked, styled
from sim.ranges import COST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BANDS = 3
"""Beyond so many lines only the leader's has a band, so that bands do not cover each other."""
MOST_SOURCES = 8
"""Of ignorance, in a figure."""
BAR_IN = 0.21
"""Height of a bar and what separates it from the next."""
LABEL_WIDTH = 36
"""Of the name of a source of ignorance, in characters."""

Plot = Callable[[Review], "Figure"]


@styled
def fleet(review: Review) -> Figure:
    """Return the nodes that are paid for over the day, by finalist."""
    figure, (axes,) = stacked("How many nodes does each type need over the day?", heights_in=(3.2,))
    colours = colours_of(review)
    lines = []
    for name in colours:
        paid = level(review.finals[name], "nodes_booting", "nodes_ready", "nodes_draining")
        with_band = len(colours) <= MOST_BANDS or name == review.leader
        lines.append(Line(name, paid, colours[name], "-" if with_band else "--"))
    draw_lines(axes, lines, label="transcode nodes paid for")
    horizon = review.scenario.horizon
    hours(axes, start_hour=horizon.start_hour, horizon_s=horizon.horizon_s)
    return figure


@styled
def cost(review: Review) -> Figure:
    """Return a month's cost: the nodes by type and way to buy, beside ingest and chat; delivery on its own axis."""
    nodes = [*_transcode_bars(review), _part(review, "ingest_usd_per_month"), _part(review, "chat_usd_per_month")]
    heights_in = (BAR_IN * len(nodes) + 0.3, 2 * BAR_IN + 0.5)
    figure, (above, below) = stacked("Where does a month's money go?", heights_in=heights_in, share_x=False)
    draw_bars(above, nodes)
    draw_bars(below, [_part(review, "egress_usd_per_month")])
    below.set_title("Delivery, on an axis of its own", color=INK)
    below.set_xlabel("USD per month")
    above.margins(y=0.02)
    below.set_ylim(-0.8, 0.8)
    for axes in (above, below):
        axes.set_xlim(0, axes.get_xlim()[1] * 1.08)
        whole_numbers(axes, most_ticks=4)
    return figure


@styled
def sensitivity(review: Review) -> Figure:
    """Return how far each source of ignorance moves the leader's chance to be cheapest, and what it is worth."""
    shown = review.influences[:MOST_SOURCES]
    title = "Which unknown could change the choice, and what is it worth to know?"
    figure = titled(title, height_in=0.36 * len(shown) + 1.5)
    if not any(one.seen_usd_per_month > 0 for one in shown):
        moved = figure.subplots()
        moved.set_title("To know any one of them is worth 0 USD per month: the choice stays the same")
        _draw_ends(moved, shown, review)
        return figure
    moved, worth = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1.0))
    _draw_ends(moved, shown, review)
    _draw_worth(worth, shown)
    return figure


def _transcode_bars(review: Review) -> list[Bar]:
    colours = colours_of(review)
    rows = review.purchases.set_index("instance", drop=False)
    bars = []
    for name, colour in colours.items():
        for row in rows.loc[[name]].to_dict("records"):
            usd, low, high = (float(row[end]) for end in (COST, f"{COST}_low", f"{COST}_high"))
            text = month_text(usd, low, high, is_range=row["is_range"])
            bars.append(Bar(f"{name}, {short_way(row['way'])}", usd, low, high, text, colour))
    return bars


def _part(review: Review, metric: str) -> Bar:
    """Return the bar of a part of the platform that is the same whatever the type; of the leader's days."""
    row = review.finals[review.leader].summary.set_index("metric").loc[metric]
    mean, low, high = (float(row[end]) for end in ("mean", "low", "high"))
    return Bar(METRICS[metric].meaning, mean, low, high, month_text(mean, low, high, is_range=False), GREY)


def _draw_ends(axes: Axes, shown: Sequence[Influence], review: Review) -> None:
    """Draw the leader's chance at the two ends of each source, around its chance over all draws."""
    now = 100.0 * review.joint_chances[review.leader].value if review.leader in review.joint_chances else math.nan
    noise = 100.0 * max((one.null_moves for one in shown), default=0.0)
    axes.axvspan(now - noise / 2, now + noise / 2, color=FAINT, zorder=0)
    axes.axvline(now, color=GREY, linewidth=0.9)
    for place, one in enumerate(shown):
        colour = VERMILION if one.moves else GREY
        ends = (one.costly.leader_is_cheapest, one.cheap.leader_is_cheapest)
        axes.plot([100 * end.value for end in ends], [place, place], color=colour, linewidth=6, solid_capstyle="butt")
        for end, offset, face in zip(ends, (-0.13, 0.13), (INK, "white"), strict=True):
            axes.plot([100 * end.low, 100 * end.high], [place + offset] * 2, color=INK, linewidth=0.8)
            axes.plot(100 * end.value, place + offset, "o", color=INK, markerfacecolor=face, markersize=4.5)
    name_rows(axes, [textwrap.fill(one.meaning, LABEL_WIDTH) for one in shown])
    axes.set_xlim(-2, 102)
    axes.set_xlabel(f"{review.leader} is the cheapest, % of draws\n● costly end   ○ cheap end   grey: noise")


def _draw_worth(axes: Axes, shown: Sequence[Influence]) -> None:
    values = np.array([one.seen_usd_per_month for one in shown])
    colours = [BLUE if one.usd_per_month > 0 else GREY for one in shown]
    axes.barh(range(len(shown)), values, color=colours, height=0.5)
    noise = max((one.null_high_usd_per_month for one in shown), default=0.0)
    axes.axvline(noise, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    for place, one in enumerate(shown):
        text = usd_text(one.usd_per_month) if one.usd_per_month > 0 else "0"
        end = max(float(values[place]), noise if one.usd_per_month <= 0 else 0.0)
        axes.annotate(text, (end, place), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_xlim(0, max(1.35 * max(noise, float(values.max(initial=0.0))), 1.0))
    axes.set_xlabel("USD per month\ndashed: noise")
    axes.set_title("worth knowing")
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    whole_numbers(axes, most_ticks=3)


PLOTS: dict[str, Plot] = {
    "pareto": pareto,
    "fleet": fleet,
    "cost": cost,
    "node": node_holds,
    "sensitivity": sensitivity,
}
"""Every plot, in the order of a report."""
