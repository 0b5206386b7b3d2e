"""Cost against risk: each type and way to buy as a point, and those that no other is both cheaper and safer than."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sim.capacity_review.buying import RISK
from sim.capacity_review.result import NO_RISK, Review
from sim.capacity_review.review_axes import (
    colours_of,
    key,
    month_text,
    name_rows,
    short_way,
    titled,
    whole_numbers,
    with_halo,
)
from sim.plot_axes import GREY, INK, styled
from sim.ranges import COST

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

OF_WAYS = ("o", "s", "^", "D")
"""Markers."""
ROOM = 1.6
"""What an axis holds ÷ its largest mean: whiskers beyond would press all points into a corner."""
TITLE = "What does it cost to leave less viewer-time unserved?"


@styled
def pareto(review: Review) -> Figure:
    """Return cost against viewer-time that is not served, of each finalist and way to buy; or cost alone.

    Where all viewer-time is served by each of them, the ways to buy a type stand one below the other.
    """
    points = review.purchases.assign(name=[f"{row.instance}, {row.way}" for row in review.purchases.itertuples()])
    if not (points[RISK] >= NO_RISK).any():
        return _cost_alone(review, points)
    figure = titled(TITLE, height_in=4.3)
    axes = figure.subplots()
    front = points.set_index("name").loc[list(review.front)]
    axes.step(front[COST], front[RISK] * 100, where="post", color=GREY, linewidth=1.0, linestyle=(0, (4, 3)))
    _draw_points(axes, review, points)
    for number, (_, row) in enumerate(front.iterrows(), start=1):
        place = (row[COST], row[RISK] * 100)
        with_halo(axes.annotate(f"{number}", place, xytext=(5, 6), textcoords="offset points"))
    top = min(axes.get_ylim()[1], ROOM * 100 * float(points[RISK].max()))
    axes.set_ylim(-0.03 * top, top)  # what is at 0 is seen whole
    axes.set_xlim(0, min(axes.get_xlim()[1], ROOM * float(points[COST].max())))
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
    types = [key(name, color=colour, linewidth=4) for name, colour in colours_of(review).items()]
    numbered = [
        key(f"{number}  {short_name(row)}: {_usd(row)}, {_share(row[RISK])}", linestyle="")
        for number, (_, row) in enumerate(front.iterrows(), start=1)
    ]
    title = "Nothing else is both cheaper and safer than"
    plain: dict[str, Any] = {"frameon": False, "alignment": "left", "borderaxespad": 0.0}
    figure.legend(handles=numbered, loc="outside lower left", title=title, handlelength=0, handletextpad=0, **plain)
    figure.legend(handles=[*types, *_ways(review.purchases)], loc="outside right upper", **plain)


def _cost_alone(review: Review, points: pd.DataFrame) -> Figure:
    colours, markers = colours_of(review), _markers(points)
    figure = titled(TITLE, height_in=0.17 * len(colours) * len(markers) + 1.2)
    axes = figure.subplots()
    axes.set_title(f"Nothing: each of them leaves less than {100 * NO_RISK:g} % unserved, so cost alone decides")
    apart = dict(zip(markers, np.linspace(-0.3, 0.3, len(markers)), strict=True))
    for row in points.to_dict("records"):
        colour = colours[row["instance"]]
        place = list(colours).index(row["instance"]) + apart[row["way"]]
        face = colour if row["name"] in review.front else "white"
        axes.plot([row[f"{COST}_low"], row[f"{COST}_high"]], [place, place], color=colour, linewidth=1.2)
        axes.plot(row[COST], place, markers[row["way"]], color=colour, markerfacecolor=face, markersize=6)
    name_rows(axes, list(colours))
    axes.set_xlim(0, None)
    axes.set_xlabel("transcode nodes, USD per month")
    figure.legend(handles=_ways(points), loc="outside lower left", frameon=False, ncols=len(markers))
    return figure


def _ways(points: pd.DataFrame) -> list[Line2D]:
    return [
        key(short_way(way), color=INK, marker=marker, linestyle="", markerfacecolor="white")
        for way, marker in _markers(points).items()
    ]


def _markers(points: pd.DataFrame) -> dict[str, str]:
    return dict(zip(dict.fromkeys(points["way"]), itertools.cycle(OF_WAYS), strict=False))


def short_name(row: pd.Series[Any]) -> str:
    """Return a point's type and how it is bought."""
    return f"{row['instance']}, {short_way(row['way'])}"


def _usd(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    usd, low, high = (float(row[end]) for end in (COST, f"{COST}_low", f"{COST}_high"))
    return month_text(usd, low, high, is_range=row["is_range"])


def _share(value: float) -> str:
    return f"{100 * value:.2g} % not served" if value >= NO_RISK else "all served"
