"""What a node of each type holds: the range of what nobody measured, its middle, and which of them was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.capacity_review.result import Review
from sim.capacity_review.review_axes import key, log_numbers, name_rows, titled
from sim.node_plan import RESOURCE_NAMES
from sim.plot_axes import BLUE, NARROW_RANGE, VERMILION, styled
from sim.results import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEASURED, CARRIED_OVER = BLUE, VERMILION


class _Held(NamedTuple):
    """Broadcasts of a node, and what is full first."""

    low: float
    middle: float
    high: float
    binds: str
    is_measured: bool


@styled
def node_holds(review: Review) -> Figure:
    """Return the broadcasts that a node of each type holds: range and middle, measured or carried over."""
    names = list(review.standings.index)
    held = [_held(review.result(name)) for name in names]
    figure = titled("How many broadcasts does a node of each type hold?", height_in=0.3 * len(held) + 1.3)
    axes = figure.subplots()
    for place, one in enumerate(held):
        colour = MEASURED if one.is_measured else CARRIED_OVER
        axes.plot([one.low, one.high], [place, place], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
        axes.plot(one.middle, place, "o", color=colour, markersize=6)
        axes.annotate(_text(one), (one.high, place), xytext=(7, 0), textcoords="offset points", va="center")
    name_rows(axes, [name if name in review.finals else f"{name} (dropped)" for name in names])
    least, most = min(one.low for one in held), max(one.high for one in held)
    if least > 0 and most / least > NARROW_RANGE:
        log_numbers(axes)
        axes.set_xlim(0.8 * least, most * (most / least) ** 0.6)
        axes.set_xlabel("broadcasts on a node (log axis)")
    else:
        axes.set_xlim(0, 1.6 * most)
        axes.set_xlabel("broadcasts on a node")
    kinds = [(MEASURED, "measured", True), (CARRIED_OVER, "carried over from the measured machine", False)]
    handles = [
        key(label, color=colour, marker="o", linewidth=4)
        for colour, label, is_measured in kinds
        if any(one.is_measured is is_measured for one in held)
    ]
    figure.legend(handles=handles, loc="outside lower left", frameon=False, ncols=2)
    return figure


def _held(result: RunResult) -> _Held:
    """Return the range of what nobody measured; of a measured node the range of 95 % of its worlds."""
    if (held := result.held) is not None:
        binds = " or ".join(RESOURCE_NAMES[name] for name in held.binds)
        return _Held(held.low, held.middle, held.high, binds, is_measured=False)
    row = result.summary.set_index("metric").loc["broadcasts_per_node"]
    low, mean, high = (float(row[end]) for end in ("day_low", "mean", "day_high"))
    low, high = (mean, mean) if low != low else (low, high)
    return _Held(low, mean, high, RESOURCE_NAMES[result.binding], is_measured=True)


def _text(one: _Held) -> str:
    low, middle, high = (f"{end:.3g}" for end in (one.low, one.middle, one.high))
    between = f" ({low} … {high})" if low != high else ""
    return f"{middle}{between}, then {one.binds} {'are' if one.binds.endswith('s') else 'is'} full"
