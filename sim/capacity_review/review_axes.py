"""How the figures of a review look: a colour for each type, and rows that are named at their left."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from scenarios.errors import NotReady
from sim.capacity_review.result import Review
from sim.plot_axes import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, WIDTH_IN

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
except ModuleNotFoundError as error:
    raise NotReady("plots need matplotlib, which is not installed: pip install 'headroom[report]'") from error

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


def log_numbers(axes: Axes) -> None:
    """Make the x axis logarithmic, with ticks at 1, 2 and 5."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    whole_numbers(axes)  # a change of scale takes them away


def key(label: str, **looks: Any) -> Line2D:
    """Return an entry of a legend; looks as of a line."""
    return Line2D([], [], label=label, **looks)


def with_halo(text: Text) -> None:
    """Make a text readable where it lies on lines."""
    text.set(fontweight="bold", fontsize=10, zorder=4, path_effects=[withStroke(linewidth=3, foreground="white")])


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
