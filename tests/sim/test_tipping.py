"""A decision flips where it must: inside its bracket, told with its noise, and refused where nothing can be varied."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from platforms import scenario
from profiles import profile
from typer.testing import CliRunner

from headroom import application
from scenarios.errors import ScenarioError
from sim.bracket import Look, TippingPoint, search
from sim.results import to_json
from sim.tipping import tipping_point
from sim.varied import Span, number_text, parse_span, with_value, with_values

SHORT = {
    "horizon.horizon_s": 600.0,
    "horizon.tick_s": 60.0,
    "workload.broadcasts.peak_concurrent": 20.0,
    "platform.transcode.min_nodes": 10,
    "platform.transcode.autoscaler": {"kind": "fixed"},  # the same node-hours every day: only prices differ
}
POOL = {"name": "nodes", "purchase": "reserved"}
DISCOUNT = "platform.transcode.pools.nodes.discount"
LISTED, OFFERED = 0.1, 0.13
FLIPS_AT = 1 - LISTED / OFFERED
"""Nodes at 0.13 USD/h less a discount cost what nodes at 0.1 USD/h do, whatever the fleet."""


def on(price, pools=()):
    return scenario(**SHORT, **{"platform.transcode.node_price_usd_per_hour": price, "platform.transcode.pools": pools})


@pytest.fixture(scope="module")
def by_discount():
    first, second = on(LISTED), on(OFFERED, [POOL])
    return tipping_point(first, second, profile(), Span(DISCOUNT, 0, 0.8), replications=2, steps=7)


def test_a_discount_flips_the_decision_where_the_prices_meet(by_discount):
    left, right = by_discount.bracket
    assert by_discount.verdict == "flips"
    assert left.value < FLIPS_AT < right.value
    assert right.value - left.value == pytest.approx(0.8 / 2**5)
    assert by_discount.crossing == pytest.approx(FLIPS_AT, rel=1e-9)  # the cost is linear in the discount
    assert (left.sign, right.sign) == (1, -1)
    with pytest.raises(AssertionError):  # planted: the discount taken off the other price
        assert by_discount.crossing == pytest.approx(OFFERED / LISTED - 1, rel=1e-2)


def test_the_answer_is_one_sentence_and_plain_data(by_discount):
    text = by_discount.text()
    assert text.startswith("'transcode nodes' flips between 0.225 and 0.25 of platform.transcode.pools.nodes.discount")
    assert "at about 0.2308 in the mean: at 0 the second has" in text
    assert text.endswith("USD/month less")
    found = json.loads(to_json(by_discount.document()))
    assert found["between"] == pytest.approx([0.225, 0.25])
    assert len(found["looks"]) == 7


def test_what_does_not_flip_and_what_changes_nothing_is_told():
    first, second = on(LISTED), on(OFFERED, [POOL])
    small = tipping_point(first, second, profile(), Span(DISCOUNT, 0, 0.2), replications=2)
    assert (small.verdict, len(small.looks)) == ("does not flip", 2)
    nothing = tipping_point(first, first, profile(), Span("horizon.start_hour", 1, 2), replications=2)
    assert nothing.verdict == "cannot be told"
    assert "nothing differs" in nothing.text()


def test_a_threshold_flips_at_the_price_that_is_the_budget():
    """With one price, a month costs price × node-hours: the budget divided by those."""
    usd = tipping_point(1.0, on(1.0), profile(), Span("platform.transcode.node_price_usd_per_hour", 1, 2), steps=2)
    node_hours = (usd.looks[0].difference + 1.0) / 1.0
    path = "platform.transcode.node_price_usd_per_hour"
    found = tipping_point(0.5 * node_hours, on(1.0), profile(), Span(path, "0.1 USD/h", "1 USD/h"), steps=6)
    assert found.crossing == pytest.approx(0.5, rel=1e-9)
    assert f"against {0.5 * node_hours:,.0f} USD/month flips between" in found.text()
    assert "USD/h of platform" in found.text()


def noisy(flip, blind):
    """Differences that fall through 0 at `flip`, with an interval `blind` wide to either side."""
    return lambda value: Look(value, flip - value, flip - value - blind, flip - value + blind)


def test_the_part_that_the_days_do_not_tell_is_stated():
    found = TippingPoint("a.b", "nodes_peak", "first", search(noisy(0.4, 0.1), 0.0, 1.0, steps=12))
    (left, right), (one, other) = found.bracket, found.undecided
    assert left.value <= 0.3 <= one <= other <= 0.5 <= right.value
    assert right.value - left.value < 0.25
    assert found.crossing == pytest.approx(0.4)
    assert "these days do not tell which" in found.text()
    with pytest.raises(AssertionError):  # planted: noise as wide as the range leaves nothing to bracket
        assert TippingPoint("a.b", "nodes_peak", "first", search(noisy(0.4, 1.0), 0.0, 1.0)).bracket


@pytest.mark.parametrize("flip", [0.05, 0.95])
def test_where_only_one_end_is_told_the_value_up_to_which_it_is_told_is_found(flip):
    found = TippingPoint("a.b", "nodes_peak", "first", search(noisy(flip, 0.3), 0.0, 1.0, steps=12))
    exact = 0.35 if flip == 0.05 else 0.65
    assert found.verdict == "cannot be told"
    assert found.edge == pytest.approx(exact, abs=0.005)
    assert ("can be told from" if flip == 0.05 else "can be told up to") in found.text()
    assert found.document()["told_up_to_or_from"] == found.edge


def test_whole_numbers_stay_whole_and_stop_side_by_side():
    found = search(noisy(6.5, 0.01), 1, 40, steps=20)
    assert all(isinstance(look.value, int) for look in found)
    assert {6, 7} <= {look.value for look in found}


def test_a_value_that_is_unknown_is_told_as_null():
    look = Look(1.0, math.nan, math.nan, math.nan)
    document = TippingPoint("a", "nodes_peak", "first", (look, look._replace(value=2.0))).document()
    assert document["looks"][0] == {"value": 1.0, "difference": None, "low": None, "high": None}


def test_a_value_is_set_as_the_language_sets_it():
    changed = with_value(scenario(), "platform.transcode.boot.low_s", "1 min")
    assert changed.platform.transcode.boot.low_s == 60.0
    assert number_text("platform.transcode.boot.low_s", 60.0) == "60 s"
    assert number_text("a.auth_limit_per_s", 2.0) == "2 1/s"
    assert parse_span("a.b=1 min..0.5 h") == Span("a.b", "1 min", "0.5 h")
    assert parse_span("a.b=1..2.5") == Span("a.b", 1, 2.5)


def test_several_values_are_set_at_once_and_judged_together():
    plain = scenario()
    horizon_s, tick_s = plain.horizon.horizon_s, plain.horizon.tick_s
    changed = with_values(plain, {"horizon.horizon_s": "10 s", "horizon.tick_s": 5, "platform.transcode.pools": [POOL]})
    assert (changed.horizon.horizon_s, changed.horizon.tick_s) == (10.0, 5.0)
    assert [pool.name for pool in changed.platform.transcode.pools] == ["nodes"]
    assert (plain.horizon.horizon_s, plain.horizon.tick_s) == (horizon_s, tick_s)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"horizon.horizon_s": "10 s"}, r"^set: horizon\.tick_s: longer than horizon_s; choose a tick"),
        ({"platform.cdn.cluster": 4}, r"^set: platform\.cdn\.cluster: unknown key.*did you mean 'clusters'"),
        ({"platform.cdn.clusters": "many"}, r"^set: platform\.cdn\.clusters: "),
        ({"title.words": 2}, r"^set: title\.words: there is nothing inside"),
        ({"horizon.tick_s": 5, "horizon": {"horizon_s": 10}}, r"^set: horizon: undoes 'horizon.tick_s', set above"),
    ],
)
def test_values_that_may_not_stand_there_are_refused_with_a_reason(changes, told):
    with pytest.raises(ScenarioError, match=told):
        with_values(scenario(), changes)


@pytest.mark.parametrize(
    ("flip", "metric", "told"),
    [
        ("a.b", "nodes_peak", "'a.b' is no PATH=LOW..HIGH"),
        ("platform.transcode.pools.spto.discount=0..1", "nodes_peak", "no item of the list is named 'spto'"),
        ("platform.transcode.bot=0..1", "nodes_peak", "platform.transcode.bot: unknown key.*did you mean 'boot'"),
        ("platform.transcode.pools.nodes.discount=0..2", "nodes_peak", "at most 1"),
        ("platform.transcode.boot.low_s=1 GB..2 GB", "nodes_peak", "--flip: .*a time is needed"),
        ("platform.transcode.boot.low_s=2 min..1 min", "nodes_peak", "2 min is not below 1 min"),
        ("horizon.horizon_s=10..20", "nodes_peak", "longer than horizon_s"),
        ("title=a..b", "nodes_peak", "no number stands there"),
        ("platform.transcode.boot.low_s=1..2", "nodes_pek", "--by: nodes_pek: .*did you mean 'nodes_peak'"),
        ("platform.transcode.boot.low_s=1..2", "moved", "has nothing of moved"),
    ],
)
def test_what_cannot_be_varied_is_refused_with_a_reason(flip, metric, told):
    with pytest.raises(ScenarioError, match=told):
        tipping_point(on(LISTED), on(LISTED, [POOL]), profile(), parse_span(flip), metric=metric, replications=2)


def test_the_command_tells_the_flip(tmp_path):
    (tmp_path / "first.yaml").write_text(
        "extends: baseline\nset:\n  horizon.horizon_s: 10 min\n  workload.broadcasts.peak_concurrent: 20\n"
    )
    pools = "  platform.transcode.pools: [{name: nodes, price_usd_per_hour: 0.1 USD/h}]\n"
    (tmp_path / "second.yaml").write_text("extends: first.yaml\nset:\n" + pools)
    files = [str(tmp_path / name) for name in ("first.yaml", "second.yaml")]
    flip = ["--flip", "platform.transcode.pools.nodes.price_usd_per_hour=0.05..0.12 USD/h", "--replications", "2"]
    done = CliRunner().invoke(application(), ["compare", *files, *flip, "--json", "-q"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["flip"]
    assert np.interp(0.085, found["between"], [0.0, 1.0]) not in (0.0, 1.0)  # the baseline's price lies between
    assert found["mean_is_0_at"] == pytest.approx(0.085, rel=1e-9)
    done = CliRunner().invoke(application(), ["run", files[0], *flip, "-q"])
    assert "needs --below" in str(done.exception)
