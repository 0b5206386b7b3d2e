"""One figure of a trace: what was counted, the fitted day, where 90 % of days lie, and the events."""

from __future__ import annotations

import numpy as np

from scenarios.errors import NotReady
from sim.bands import Band
from sim.curves import DAY_S
from sim.plot_axes import BLUE, GREY, INK, STYLE, VERMILION, Line, draw_lines, stacked
from sim.sampling import Floats
from sim.trace_report import TraceReport

try:
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MultipleLocator
except ModuleNotFoundError as error:
    raise NotReady("plots need matplotlib, which is not installed: pip install 'headroom[report]'") from error

MOST_TIMES = 8
"""Named below the trace: eight dates fill the width."""


def trace_figure(report: TraceReport) -> Figure:
    """Return the trace over its fit; after the training also the fit with the events laid over it."""
    at_s, fit = report.at_s, report.fit
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = stacked("Would the first days have foreseen the later ones?", heights_in=(3.2,))
        events = [window.event() for window in report.windows]
        lines = [Line("fitted", Band(at_s / 3600, fit.middle(at_s), *fit.band(at_s)), BLUE)]
        if events:
            over = np.where(report.later, fit.middle(at_s, events), np.nan)
            lines.append(Line("with events", _line(at_s, over), VERMILION, "--"))
        lines.append(Line("counted", _line(at_s, report.levels), INK, ":"))
        draw_lines(axes, lines, label=report.trace.column)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.axvline(fit.until_s / 3600, color=GREY, linewidth=0.8)
        axes.annotate(
            "fitted up to here",
            (fit.until_s / 3600, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            color=GREY,
        )
        for window in report.windows:
            axes.axvspan(window.from_s / 3600, window.to_s / 3600, color=GREY, alpha=0.15, linewidth=0)
        axes.set_xlim(at_s[0] / 3600, at_s[-1] / 3600)
        _name_times(axes, report)
        axes.set_xlabel("time of the trace; the band holds 90 % of ordinary days")
        figure.draw_without_rendering()
    return figure


def _name_times(axes: Axes, report: TraceReport) -> None:
    """Name times of the day, with the day below each midnight; on a long trace the days alone."""
    days = (report.at_s[-1] - report.at_s[0]) / DAY_S
    step_days = next((step for step in (0.125, 0.25, 0.5, 1, 2, 7, 14) if days / step <= MOST_TIMES), 28)

    def name(hour: float, _: object) -> str:
        day, time = report.clock(hour * 3600).rsplit(" ", 1)
        if step_days >= 1:
            return day.rstrip(",")
        return f"{time}\n{day.rstrip(',')}" if time == "00:00" else time

    axes.xaxis.set_major_locator(MultipleLocator(24.0 * step_days))
    axes.xaxis.set_major_formatter(FuncFormatter(name))


def _line(at_s: Floats, values: Floats) -> Band:
    return Band(at_s / 3600, values, values, values)
