"""Cost against risk: each type and way to buy as a point, and those that no other is both cheaper and safer than."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from sim.capacity_review.buying import RISK
from sim.capacity_review.result import Review
from sim.capacity_review.review_axes import colours_of, name_rows, titled, usd_text, whole_numbers
from sim.capacity_review.screening import COST
from sim.plot_axes import GREY, INK, styled

OF_WAYS = ("o", "s", "^", "D")
"""Markers."""
TITLE = "What does it cost to leave less viewer-time unserved?"


@styled
def pareto(review: Review) -> Figure:
    """Return cost against viewer-time that is not served, of each finalist and way to buy; or cost alone.

    Where all viewer-time is served by each of them, the points stand one below the other, the cheapest on top.
    """
    points = review.purchases.assign(name=[f"{row.instance}, {row.way}" for row in review.purchases.itertuples()])
    if not (points[RISK] > 0).any():
        return _cost_alone(review, points.sort_values(COST, kind="stable"))
    figure = titled(TITLE, height_in=4.3)
    axes = figure.subplots()
    front = points.set_index("name").loc[list(review.front)]
    axes.step(front[COST], front[RISK] * 100, where="post", color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
    _draw_points(axes, review, points)
    for number, (_, row) in enumerate(front.iterrows(), start=1):
        halo = axes.annotate(f"{number}", (row[COST], row[RISK] * 100), xytext=(5, 6), textcoords="offset points")
        halo.set(fontweight="bold", fontsize=10, zorder=4, path_effects=[withStroke(linewidth=3, foreground="white")])
    axes.set_ylim(-0.03 * axes.get_ylim()[1], None)  # what is at 0 is seen whole
    axes.set_xlim(0, None)
    axes.set_xlabel("transcode nodes, USD per month")
    axes.set_ylabel("viewer-time not served, %")
    whole_numbers(axes)
    axes.grid(True, axis="x")
    _name_what_is_shown(figure, review, front)
    return figure


def _draw_points(axes: Axes, review: Review, points: pd.DataFrame) -> None:
    colours, markers = colours_of(review), _markers(points)
    for row in points.to_dict("records"):
        usd, risk = row[COST], 100 * row[RISK]
        colour = colours[row["instance"]]
        on_front = row["name"] in review.front
        faint: dict[str, Any] = {"color": colour, "linewidth": 1.0, "alpha": 0.7 if on_front else 0.3, "zorder": 2}
        axes.plot([row[f"{COST}_low"], row[f"{COST}_high"]], [risk, risk], **faint)
        axes.plot([usd, usd], [100 * row[f"{RISK}_low"], 100 * row[f"{RISK}_high"]], **faint)
        face = colour if on_front else "white"
        axes.plot(usd, risk, markers[row["way"]], color=colour, markerfacecolor=face, markersize=7, zorder=3)


def _name_what_is_shown(figure: Figure, review: Review, front: pd.DataFrame) -> None:
    """Write the points of the front by their numbers, and what colours and shapes stand for."""
    types = [Line2D([], [], color=colour, linewidth=4, label=name) for name, colour in colours_of(review).items()]
    ways = [
        Line2D([], [], color=INK, marker=marker, linestyle="", markerfacecolor="white", label=way)
        for way, marker in _markers(review.purchases).items()
    ]
    numbered = [
        Line2D([], [], linestyle="", label=f"{number}  {name}: {_usd(row[COST])}, {_share(row[RISK])}")
        for number, (name, row) in enumerate(front.iterrows(), start=1)
    ]
    title = "Nothing else is both cheaper and safer than"
    plain: dict[str, Any] = {"frameon": False, "alignment": "left", "borderaxespad": 0.0}
    figure.legend(handles=numbered, loc="outside lower left", title=title, handlelength=0, handletextpad=0, **plain)
    figure.legend(handles=[*types, *ways], loc="outside right upper", **plain)


def _cost_alone(review: Review, points: pd.DataFrame) -> Figure:
    figure = titled(TITLE, height_in=0.22 * len(points) + 1.2)
    axes = figure.subplots()
    axes.set_title("Nothing: each of them serves all viewer-time, so cost alone decides")
    colours, markers = colours_of(review), _markers(points)
    for place, row in enumerate(points.to_dict("records")):
        colour, low, high = colours[row["instance"]], row[f"{COST}_low"], row[f"{COST}_high"]
        face = colour if row["name"] in review.front else "white"
        axes.plot([low, high], [place, place], color=colour, linewidth=1.2)
        axes.plot(row[COST], place, markers[row["way"]], color=colour, markerfacecolor=face, markersize=7)
        axes.annotate(_usd(row[COST]), (high, place), xytext=(6, 0), textcoords="offset points", va="center")
    name_rows(axes, list(points["name"]))
    axes.set_xlim(0, 1.2 * float(points[f"{COST}_high"].max()))
    axes.set_xlabel("transcode nodes, USD per month")
    return figure


def _markers(points: pd.DataFrame) -> dict[str, str]:
    return dict(zip(dict.fromkeys(points["way"]), itertools.cycle(OF_WAYS), strict=False))


def _usd(value: float) -> str:
    return f"{usd_text(value)} USD/month"


def _share(value: float) -> str:
    return f"{100 * value:.2g} % not served" if value else "all served"
