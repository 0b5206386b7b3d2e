"""Plots of a review: what is drawn is what was found, and no text is cut off or lies on another."""

from __future__ import annotations

import dataclasses
import itertools
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from reviewed import small_review

import sim.capacity_review
from scenarios.errors import NotReady
from sim.capacity_review.buying import RISK
from sim.capacity_review.pareto_plot import pareto
from sim.capacity_review.plots import MOST_SOURCES, PLOTS
from sim.capacity_review.result import Review
from sim.capacity_review.review_axes import colours_of, usd_text
from sim.plot_axes import VERMILION
from sim.plots import svg
from sim.ranges import COST


@pytest.fixture(scope="module")
def review() -> Review:
    return small_review()


@pytest.fixture(scope="module")
def figures(review) -> dict[str, Figure]:
    return {name: plot(review) for name, plot in PLOTS.items()}


@pytest.fixture(scope="module")
def safe(review) -> Review:
    """The review where no viewer-time goes unserved."""
    changes = dict.fromkeys((RISK, f"{RISK}_low", f"{RISK}_high"), 0.0)
    return dataclasses.replace(review, purchases=review.purchases.assign(**changes))


def settings() -> dict[str, object]:
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def shown(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def markers(figure: Figure) -> set[tuple[float, float]]:
    """Return where single points are drawn."""
    lines = figure.axes[0].lines
    return {(line.get_xdata()[0], line.get_ydata()[0]) for line in lines if line.get_marker() in "os^D"}


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_asks_a_question_and_names_its_units(figures, name):
    figure = figures[name]
    assert figure.get_suptitle().endswith("?")
    labels = " ".join(axes.get_xlabel() + axes.get_ylabel() for axes in figure.axes)
    assert any(unit in labels for unit in ("USD per month", "nodes", "broadcasts", "%"))
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", PLOTS)
def test_drawing_repeats_to_the_byte_and_leaves_settings_alone(review, figures, name):
    before = settings()
    assert svg(PLOTS[name](review), salt=name) == svg(figures[name], salt=name)
    assert settings() == before


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Return texts that lie on each other, or over the edge of the figure."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    ticks = {id(label) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for label in _unseen(axis)}
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if id(text) not in ticks]
    found = [
        (one, other)
        for (one, box), (other, next_box) in itertools.combinations(boxes, 2)
        if box.padded(-1.0).overlaps(next_box.padded(-1.0))
    ]
    edge = figure.bbox.padded(1.0)
    return found + [(one, "edge") for one, box in boxes if not (edge.x0 <= box.x0 and box.x1 <= edge.x1)]


def _unseen(axis) -> list[Text]:
    """Return labels of ticks outside the limits, which are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return [
        label
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not low <= tick.get_loc() <= high or not label.get_visible()
    ]


@pytest.mark.parametrize("name", PLOTS)
def test_no_text_is_cut_off_or_lies_on_another(figures, name):
    assert overlaps(figures[name]) == []


def test_texts_that_lie_on_each_other_are_seen():
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "other")
    figure.text(0.99, 0.1, "over the edge")
    assert overlaps(figure) == [("one", "other"), ("over the edge", "edge")]


def test_pareto_draws_each_way_to_buy_and_names_the_front(review, figures):
    rows = review.purchases
    assert markers(figures["pareto"]) == {(row[COST], 100 * row[RISK]) for row in rows.to_dict("records")}
    told = [text for text in shown(figures["pareto"]) if text[0].isdigit() and ":" in text]
    short = [name.removesuffix(" (on demand + spot)") for name in review.front]
    assert [text.split("  ")[1].split(":")[0] for text in told] == short
    filled = [line for line in figures["pareto"].axes[0].lines if line.get_marker() in "os^D"]
    on_front = [line for line in filled if line.get_markerfacecolor() == line.get_color()]
    assert len(on_front) == len(review.front)


def test_without_any_risk_cost_decides_and_the_plot_says_so(safe):
    figure = pareto(safe)
    assert "cost alone decides" in " ".join(shown(figure))
    places = {usd: place for usd, place in markers(figure)}
    for place, name in enumerate(colours_of(safe)):
        own = safe.purchases[safe.purchases["instance"] == name][COST]
        assert {round(places[usd]) for usd in own} == {place}
    assert len(places) == len(safe.purchases)
    assert overlaps(figure) == []
    cheapest = safe.purchases.loc[safe.purchases[COST].idxmin()]
    assert safe.front == (f"{cheapest['instance']}, {cheapest['way']}",)


@pytest.mark.parametrize("name", ["pareto", "cost"])
def test_millions_have_room_and_are_written_out(review, name):
    usd = {column: review.purchases[column] * 5_000 for column in (COST, f"{COST}_low", f"{COST}_high")}
    figure = PLOTS[name](dataclasses.replace(review, purchases=review.purchases.assign(**usd)))
    assert overlaps(figure) == []
    assert not [text for text in shown(figure) if "e+" in text]
    assert any(text.endswith(",000,000") for text in shown(figure))


def test_fleet_draws_the_mean_of_the_paid_nodes_of_each_finalist(review, figures):
    (axes,) = figures["fleet"].axes
    for line, name in zip(axes.lines, colours_of(review), strict=True):
        ticks = review.finals[name].ticks
        paid = ticks["nodes_booting"] + ticks["nodes_ready"] + ticks["nodes_draining"]
        assert line.get_ydata() == pytest.approx(paid.groupby(ticks["t_s"]).mean().to_numpy())
        assert line.get_color() == colours_of(review)[name]
    assert set(colours_of(review)) <= set(shown(figures["fleet"]))


def test_cost_has_a_bar_for_each_way_and_delivery_an_axis_of_its_own(review, figures):
    above, below = figures["cost"].axes
    widths = [bar.get_width() for bar in above.patches]
    assert widths[:-2] == pytest.approx(review.purchases.set_index("instance").loc[[*colours_of(review)], COST])
    means = review.finals[review.leader].summary.set_index("metric")["mean"]
    assert widths[-2:] == pytest.approx([means["ingest_usd_per_month"], means["chat_usd_per_month"]])
    assert [bar.get_width() for bar in below.patches] == pytest.approx([means["egress_usd_per_month"]])


def test_a_node_has_its_range_and_its_middle(review, figures):
    lines = figures["node"].axes[0].lines
    for (bar, dot), name in zip(zip(lines[::2], lines[1::2], strict=True), review.standings.index, strict=True):
        held = review.result(name).held
        assert (*bar.get_xdata(), *dot.get_xdata()) == (held.low, held.high, held.middle)
        assert to_hex(bar.get_color()).upper() == VERMILION
    assert "carried over from the measured machine" in shown(figures["node"])
    assert "measured" not in shown(figures["node"])


def test_sensitivity_draws_both_ends_and_the_noise(review, figures):
    (moved,) = figures["sensitivity"].axes
    first = review.influences[:MOST_SOURCES]
    bars = [line for line in moved.lines if line.get_linewidth() == 6]
    for line, one in zip(bars, first, strict=True):
        ends = [100 * end.leader_is_cheapest.value for end in (one.costly, one.cheap)]
        assert list(line.get_xdata()) == ends
        assert (line.get_color() == VERMILION) == one.moves
    band = moved.patches[0]
    assert band.get_width() == pytest.approx(100 * max(one.null_moves for one in first))
    assert "is worth 0 USD per month" in " ".join(shown(figures["sensitivity"]))


def test_sensitivity_draws_what_knowing_is_worth_where_it_is_worth_something(review):
    worth = [
        dataclasses.replace(one, seen_usd_per_month=90.0, null_high_usd_per_month=50.0) for one in review.influences
    ]
    worth[0] = dataclasses.replace(worth[0], usd_per_month=4_321.4, seen_usd_per_month=4_321.4)
    changed = dataclasses.replace(review)
    changed.__dict__["influences"] = tuple(worth)
    figure = PLOTS["sensitivity"](changed)
    axes = figure.axes[1]
    assert [bar.get_width() for bar in axes.patches] == [4_321.4, *[90.0] * (len(axes.patches) - 1)]
    assert axes.lines[0].get_xdata()[0] == 50.0
    assert [text.get_text() for text in axes.texts] == ["4,321", *["0"] * (len(axes.patches) - 1)]
    assert overlaps(figure) == []


def test_a_type_has_one_colour_and_dollars_no_cents(review):
    colours = colours_of(review)
    assert len(set(colours.values())) == len(colours) == len(review.finals)
    assert next(iter(colours)) == review.standings.index[0]
    assert [usd_text(usd) for usd in (123_456.7, 84.31, 3.456, 0.0)] == ["123,457", "84", "3.5", "0"]
    assert np.all(np.diff(review.standings.loc[list(colours), COST]) >= 0)


def test_without_matplotlib_the_reader_is_told_what_to_install(review, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("plots", "review_axes", "pareto_plot", "node_plot"):
        monkeypatch.delitem(sys.modules, f"sim.capacity_review.{name}")
        monkeypatch.delattr(sim.capacity_review, name)
    with pytest.raises(NotReady, match=r"pip install 'headroom\[report\]'"):
        next(review.plots())
