"""How our figures look: the palette, and lines over the day and bars that carry their own labels."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from scenarios.errors import NotReady
from sim.bands import Band
from sim.sampling import Floats

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator
except ModuleNotFoundError as error:
    raise NotReady("plots need matplotlib, which is not installed: pip install 'headroom[report]'") from error

# Of Okabe and Ito (2008): told apart with every common colour vision.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE = "#E69F00", "#56B4E9", "#CC79A7"
INK, GREY, FAINT = "#24292f", "#8a8f98", "#e4e7eb"
STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.facecolor": "white",
    "font.size": 8.5,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "text.parse_math": False,  # a name such as `$5_{` is a name
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
}
WIDTH_IN = 7.6
NARROW_RANGE = 20.0
"""Largest ÷ smallest value up to which lines share a linear axis."""
MOST_NUMBERS_BELOW_BARS = 6
"""So many numbers of six digits do not touch on the half of the width that names and figures leave."""
LABEL_GAP = 9.0
"""Height of a line of labels, in points."""

Shown = TypeVar("Shown")


class Line(NamedTuple):
    """A labelled line; only a solid one shows its band, so that bands do not cover each other."""

    label: str
    band: Band
    colour: str
    style: str = "-"


class Level(NamedTuple):
    """A horizontal mark that lines are to be read against."""

    value: float
    text: str


class Bar(NamedTuple):
    """A labelled bar with its interval; `text` says the number."""

    label: str
    value: float
    low: float
    high: float
    text: str
    colour: str


def styled(plot: Callable[[Shown], Figure]) -> Callable[[Shown], Figure]:
    """Return a plot that draws in our style and leaves the settings of matplotlib as they were."""

    @functools.wraps(plot)
    def with_style(shown: Shown) -> Figure:
        with matplotlib.rc_context(STYLE):
            figure = plot(shown)
            figure.draw_without_rendering()  # ticks take their style when they are made, at the latest here
        return figure

    return with_style


def stacked(title: str, *, heights_in: Sequence[float], share_x: bool = True) -> tuple[Figure, list[Axes]]:
    """Return a figure under its title, and its axes from top to bottom.

    Args:
        title: the question the figure answers.
        heights_in: of each axes, in inches.
        share_x: one x axis for all.
    """
    figure = Figure(figsize=(WIDTH_IN, sum(heights_in) + 0.3), layout="constrained")
    figure.suptitle(title, x=0.008, ha="left", fontsize=11, fontweight="bold")
    grid = figure.subplots(len(heights_in), 1, sharex=share_x, squeeze=False, height_ratios=heights_in)
    figure.align_ylabels()
    return figure, list(grid[:, 0])


def draw_lines(
    axes: Axes, lines: Sequence[Line], *, label: str, mark: Level | None = None, top: float | None = None
) -> None:
    """Draw lines over the day from 0 up, each named at its end; a log axis where one would hide another.

    Args:
        axes: where to.
        lines: in the order of drawing.
        label: of the y axis.
        mark: a level to draw across, named above its left end.
        top: end of the y axis; None leaves it to the values.
    """
    for line in lines:
        band = line.band
        axes.plot(band.hour, band.mean, line.style, color=line.colour, linewidth=1.5)
        if line.style == "-":
            axes.fill_between(band.hour, band.low, band.high, color=line.colour, alpha=0.22, linewidth=0)
    axes.set_ylabel(label)
    means = np.concatenate([line.band.mean for line in lines])
    _scale_y(axes, means[means > 0], top=top)
    if mark is not None:
        _draw_mark(axes, mark)
    _name_ends(axes, lines)


def draw_moments(axes: Axes, hours_in: Iterable[float], names: Iterable[str]) -> None:
    """Draw a vertical line at each moment, an hour of the axis, named at its top."""
    for hour, name in zip(hours_in, names, strict=True):
        axes.axvline(hour, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        above = axes.get_xaxis_transform()
        axes.annotate(
            name, (hour, 1.0), xycoords=above, xytext=(3, -2), textcoords="offset points", va="top", color=INK
        )


def draw_bars(axes: Axes, bars: Sequence[Bar]) -> None:
    """Draw horizontal bars from 0, the first on top, with whiskers, each with its number at its end."""
    values = np.nan_to_num([bar.value for bar in bars])
    position = np.arange(len(bars))[::-1]
    axes.barh(position, values, color=[bar.colour for bar in bars], height=0.62)
    for place, bar in zip(position, bars, strict=True):
        end = np.nanmax([bar.value, bar.high, 0.0])
        axes.plot([bar.low, bar.high], [place, place], color=INK, linewidth=1.2, marker="|", markersize=7)
        axes.annotate(bar.text, (end, place), xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(position, [bar.label for bar in bars])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, max(axes.get_xlim()[1], 1e-9))
    axes.xaxis.set_major_locator(MaxNLocator(MOST_NUMBERS_BELOW_BARS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.grid(False, axis="y")
    axes.grid(True, axis="x")
    axes.spines["left"].set_visible(False)


def hours(axes: Axes, *, start_hour: float, horizon_s: float) -> None:
    """Make the x axis the local time of day, in order of simulated time."""
    span = horizon_s / 3600.0
    step = next((step for step in (0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 12.0) if span / step <= 12), 24.0)
    axes.set_xlim(start_hour, start_hour + span)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hour, _: _clock(hour)))
    axes.set_xlabel("local time of day")


def _scale_y(axes: Axes, positive: Floats, *, top: float | None) -> None:
    spread = positive.max() / positive.min() if positive.size else 1.0
    if top is None and spread > NARROW_RANGE:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if spread < 1000 else (1.0,)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel(f"{axes.get_ylabel()} (log axis)")
    else:
        axes.set_ylim(0, top)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _draw_mark(axes: Axes, mark: Level) -> None:
    axes.axhline(mark.value, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(top=max(axes.get_ylim()[1], mark.value * 1.12))
    axes.annotate(
        mark.text,
        (0.008, mark.value),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2.5),
        textcoords="offset points",
    )


def _clock(hour: float) -> str:
    minutes = round(hour * 60.0) % (24 * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _name_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Write each line's name right of its last point, moved apart where they would touch."""
    axes.get_ylim()  # settles limits that are still to follow the values
    height = axes.get_window_extent().height / axes.figure.dpi * 72.0
    place = axes.transData + axes.transAxes.inverted()
    wanted = []
    for line in lines:
        known = line.band.mean[~np.isnan(line.band.mean)]
        if known.size:
            wanted.append((float(place.transform((0.0, known[-1]))[1]), line))
    wanted.sort(key=lambda entry: entry[0])
    lowest = 0.0
    for fraction, line in wanted:
        at = max(fraction, lowest)
        lowest = at + LABEL_GAP * 1.2 / height
        axes.annotate(
            line.label,
            (1.0, at),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=line.colour,
        )
