"""How the figures of a review look: a colour for each type, and rows that are named at their left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sim.capacity_review.result import Review
from sim.plot_axes import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, WIDTH_IN

OF_TYPES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)

MOST_TICKS = 5


def colours_of(review: Review) -> dict[str, str]:
    """Return a colour for each finalist, the cheapest first."""
    ranked = [name for name in review.standings.index if name in review.finals]
    return dict(zip(ranked, itertools.cycle(OF_TYPES), strict=False))


def titled(title: str, *, height_in: float) -> Figure:
    """Return an empty figure under its title, the question that it answers."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    figure.suptitle(title, x=0.008, ha="left", fontsize=11, fontweight="bold")
    return figure


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Make rows of an axes whose numbers run along x, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)
    whole_numbers(axes)


def whole_numbers(axes: Axes, *, most_ticks: int = MOST_TICKS) -> None:
    """Write the numbers of the x axis with commas between thousands, so few that long ones have room."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(most_ticks))


def usd_text(usd: float) -> str:
    """Return dollars: whole ones from 10 on."""
    return f"{usd:,.0f}" if usd >= 10 else f"{usd:.2g}"


def month_text(usd: float, low: float, high: float, *, is_range: bool) -> str:
    """Return dollars with their interval, or their range alone."""
    value, *ends = (usd_text(one) for one in (usd, low, high))
    if ends[0] == ends[1]:
        return f"{value} USD"
    between = f"{ends[0]} … {ends[1]}"
    return f"{between} USD" if is_range else f"{value} USD ({between})"


def short_way(way: str) -> str:
    """Return a way to buy without what it is made of in brackets."""
    return way.partition(" (")[0]
