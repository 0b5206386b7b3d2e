"""Plots: what is drawn is what was simulated, and drawing leaves nothing behind."""

from __future__ import annotations

import dataclasses
import sys
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import platforms
import profiles
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

import sim
from scenarios.errors import NotReady
from sim.bands import Band, level, range_of_days, ratio
from sim.metrics import summarise
from sim.plot_axes import BLUE, GREY, STYLE, VERMILION, Bar, Line, draw_bars, draw_lines, stacked
from sim.plots import PLOTS, cost, fleet, full_node, svg
from sim.replication import run
from sim.results import RunResult


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(platforms.scenario(), profiles.profile(), replications=3)


@pytest.fixture(scope="module")
def figures(result) -> dict[str, Figure]:
    return {name: plot(result) for name, plot in PLOTS.items()}


def with_ticks(result: RunResult, **columns: list[float]) -> RunResult:
    """Return the result with two replications of handmade ticks; each column lists first one, then the other."""
    ticks = len(next(iter(columns.values()))) // 2
    frame = pd.DataFrame({"replication": np.repeat([0, 1], ticks), **columns})
    return dataclasses.replace(result, ticks=frame)


def test_a_band_is_where_the_next_day_lies():
    mean, low, high = range_of_days(np.array([[1.0, 2.0, 6.0], [40.0, np.nan, 41.0], [5.0, np.nan, np.nan]]))
    assert mean == pytest.approx([3.0, 40.5, 5.0])
    for row, values in enumerate(([1.0, 2.0, 6.0], [40.0, 41.0])):
        scale = np.std(values, ddof=1) * np.sqrt(1 + 1 / len(values))
        expected = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=scale)
        assert (low[row], high[row]) == pytest.approx((max(expected[0], 0.0), expected[1]))
    assert np.isnan(low[2])
    assert np.isnan(high[2])


def test_bands_are_the_range_of_days_of_the_table(result):
    ticks = with_ticks(result, viewers_served=[30.0, 34.0])
    frame = pd.DataFrame({"component": "audience", "metric": "level", "unit": "viewers", "value": [30.0, 34.0]})
    row = summarise(frame).loc[0]
    band = level(ticks, "viewers_served")
    assert (band.mean[0], band.low[0], band.high[0]) == pytest.approx((row["mean"], row["day_low"], row["day_high"]))


def test_level_averages_over_the_ticks_of_a_bin(result):
    one, other = np.arange(900.0), np.arange(900.0) + 10.0
    band = level(with_ticks(result, viewers_served=[*one, *other]), "viewers_served")
    assert band.mean == pytest.approx((np.arange(300) * 3.0 + 1.0) + 5.0)
    tick_h = result.scenario.horizon.tick_s / 3600.0
    assert band.hour[:2] == pytest.approx([19.0 + 1.5 * tick_h, 19.0 + 4.5 * tick_h])


def test_ratio_is_of_sums_and_absent_where_nobody_asked(result):
    ticks = with_ticks(result, hits=[1.0, 0.0, 3.0, 0.0], requests=[2.0, 0.0, 4.0, 0.0])
    band = ratio(ticks, "hits", "requests")
    assert band.mean[0] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert np.isnan(band.mean[1])


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_asks_a_question_and_names_its_axes(figures, name):
    figure = figures[name]
    assert figure.get_suptitle().endswith("?")
    assert figure.axes[-1].get_xlabel()
    assert all(axes.get_ylabel() or axes.patches for axes in figure.axes)


@pytest.mark.parametrize("name", PLOTS)
def test_no_text_is_read_as_a_formula(figures, name):
    texts = figures[name].findobj(Text)
    assert texts
    assert not any(text.get_parse_math() for text in texts)


def settings() -> dict[str, object]:
    # Only asking for the backend would choose one.
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_drawing_leaves_the_settings_of_matplotlib_alone(result):
    before = settings()
    for plot in PLOTS.values():
        svg(plot(result), salt="salt")
    assert settings() == before
    assert any(before[name] != value for name, value in STYLE.items())


@pytest.mark.parametrize("name", PLOTS)
def test_svg_repeats_to_the_byte_and_holds_no_date(result, figures, name):
    text = svg(figures[name], salt=name)
    assert text == svg(PLOTS[name](result), salt=name)
    assert text != svg(figures[name], salt="another")
    assert "<metadata>" not in text
    assert "dc:date" not in text


@pytest.mark.parametrize("usd", [1.4, 48_000.0, 154_612.0, 818_197.0, 1_774_867.0])
def test_numbers_below_bars_do_not_touch(usd):
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = stacked("Where does the money go?", heights_in=(1.2,))
        low, high = 0.93 * usd, 1.07 * usd
        draw_bars(
            axes, [Bar("delivery to viewers", usd, low, high, f"{usd:,.0f} USD ({low:,.0f} … {high:,.0f})", BLUE)]
        )
        figure.draw_without_rendering()
    shown = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
    inside = [box for box in shown if axes.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= axes.bbox.x1 + 1]
    assert len(inside) >= 3
    assert all(right.x0 - left.x1 > 4 for left, right in pairwise(inside))


def test_fleet_draws_the_ticks_and_the_peak_of_the_table(result):
    above, below = fleet(result).axes
    in_service = result.ticks.pivot(index="t_s", columns="replication", values="broadcasts_in_service")
    assert above.lines[0].get_ydata() == pytest.approx(in_service.mean(axis=1).to_numpy())
    peak = result.summary.set_index("metric")["mean"]["nodes_peak"]
    assert list(below.lines[-1].get_ydata()) == [peak, peak]


def test_time_runs_on_past_midnight():
    scenario = platforms.scenario(**{"horizon.start_hour": 23.0})
    axes = fleet(run(scenario, profiles.profile(), replications=2)).axes[-1]
    assert axes.get_xlim() == (23.0, 25.0)
    label = axes.xaxis.get_major_formatter()
    assert [label(23.5), label(24.0), label(24.75)] == ["23:30", "00:00", "00:45"]


def test_full_node_shows_the_binding_resource_first_and_in_its_own_colour(result):
    (axes,) = full_node(result).axes
    bars = {tick.get_text(): bar for tick, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)}
    assert {name: to_hex(bar.get_facecolor(), keep_alpha=False).upper() for name, bar in bars.items()} == {
        "CPU": VERMILION,
        "memory": GREY.upper(),
        "inbound network": GREY.upper(),
        "outbound network": GREY.upper(),
    }
    rows = result.summary.set_index("metric")
    assert bars["CPU"].get_width() == pytest.approx(rows.loc["full_node_cpu", "mean"] * 100)
    assert bars["CPU"].get_y() == max(bar.get_y() for bar in bars.values())


def test_cost_adds_up_the_nodes_and_keeps_delivery_apart(result):
    above, below = cost(result).axes
    mean = result.summary.set_index("metric")["mean"]
    parts = [mean[f"{name}_usd_per_month"] for name in ("transcode", "ingest", "chat")]
    assert [bar.get_width() for bar in below.patches] == pytest.approx(parts)
    expected = [sum(parts), mean["egress_usd_per_month"]]
    assert [bar.get_width() for bar in above.patches] == pytest.approx(expected)


def flat(value: float) -> Band:
    values = np.full(3, value)
    return Band(np.arange(3.0), values, values, values)


@pytest.mark.parametrize(("small", "scale"), [(60.0, "linear"), (1.0, "log")])
def test_an_axis_is_logarithmic_only_where_a_line_would_vanish(small, scale):
    _, (axes,) = stacked("?", heights_in=(2.0,))
    draw_lines(axes, [Line("large", flat(100.0), BLUE), Line("small", flat(small), GREY)], label="things")
    assert axes.get_yscale() == scale


def test_names_of_equal_lines_do_not_cover_each_other():
    figure, (axes,) = stacked("?", heights_in=(2.0,))
    draw_lines(axes, [Line("one", flat(5.0), BLUE), Line("other", flat(5.0), GREY)], label="things")
    figure.canvas.draw()
    lower, upper = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert upper.y0 >= lower.y1


def test_without_matplotlib_the_reader_is_told_what_to_install(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("plots", "plot_axes"):
        monkeypatch.delitem(sys.modules, f"sim.{name}")
        monkeypatch.delattr(sim, name)
    with pytest.raises(NotReady, match=r"pip install 'headroom\[report\]'"):
        result.plot_fleet()
