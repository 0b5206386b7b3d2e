"""What a measurement is worth: closed forms where the source decides, 0 where it cannot."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scenarios import CalibrationError
from sim.capacity_review.decision import chances_of_cheapest, choice_now
from sim.capacity_review.measure_next import BINS, influences, meaning
from sim.sampling import stream

LEVEL = 1_000.0


def uniforms(draws, seed=1, **names):
    """One uniform position for each source; a keyword says which candidates it touches."""
    positions = pd.DataFrame({name: stream(seed, 0, name).random(draws) for name in names})
    return positions, {name: tuple(touched) for name, touched in names.items()}


def found(costs, positions, touches, among="ab", **how):
    how = {"leader": choice_now(costs, list(among)).candidate, "permutations": 400} | how
    of_all = influences(costs, positions, touches, among=list(among), seed=1, **how)
    return {one.source: one for one in of_all}


def unit_loss(difference, sd):
    z = difference / sd
    return sd * (stats.norm.pdf(z) - z * stats.norm.sf(z))


def unit_loss_of_bins(difference, sd):
    """The same where not the normal number is known but which of ten equal bins it lies in."""
    ends = stats.norm.pdf(stats.norm.ppf(np.linspace(0.0, 1.0, BINS + 1)))
    means = BINS * (ends[:-1] - ends[1:])
    return float(np.maximum(-(difference + sd * means), 0.0).mean())


def normal_race(difference, strong_sd, weak_sd, draws=20_000):
    """The certain a against b, which costs `difference` more in the mean and varies by two independent sources."""
    positions, touches = uniforms(draws, strong="b", weak="b")
    normal = stats.norm.ppf(positions)
    b = LEVEL + difference - strong_sd * normal[:, 0] - weak_sd * normal[:, 1]
    return pd.DataFrame({"a": np.full(draws, LEVEL), "b": b}), positions, touches


@pytest.mark.parametrize("difference", [0.0, 20.0])
def test_one_of_two_normal_sources_is_worth_the_unit_normal_loss_of_its_own_deviation(difference):
    costs, positions, touches = normal_race(difference, 40.0, 30.0)
    of = found(costs, positions, touches)
    assert list(of) == ["strong", "weak"]
    noise = 4 * math.hypot(40.0, 30.0) / math.sqrt(len(costs))
    for source, sd in (("strong", 40.0), ("weak", 30.0)):
        worth = of[source].usd_per_month
        assert abs(worth - unit_loss_of_bins(difference, sd)) < noise
        assert worth == pytest.approx(unit_loss(difference, sd), rel=0.1)
        # perfect information on both sources is another figure
        assert abs(worth - unit_loss(difference, math.hypot(40.0, 30.0))) > noise
    both = choice_now(costs, ["a", "b"]).perfect_information_usd_per_month
    assert both == pytest.approx(unit_loss(difference, math.hypot(40.0, 30.0)), rel=0.1)
    assert both > of["strong"].usd_per_month > of["weak"].usd_per_month


def test_a_uniform_source_that_decides_alone_is_worth_all_of_perfect_information():
    positions, touches = uniforms(20_000, only="b")
    costs = pd.DataFrame({"a": LEVEL, "b": LEVEL + 80.0 * (0.5 - positions["only"])})
    only = found(costs, positions, touches)["only"]
    assert only.usd_per_month == pytest.approx(10.0, rel=0.03)  # 80 × E max(0, U − 1/2) = 80 ÷ 8
    assert only.usd_per_month == pytest.approx(choice_now(costs, ["a", "b"]).perfect_information_usd_per_month, rel=0.1)
    assert (only.costly.cheapest, only.cheap.cheapest) == ("a", "b")
    leader = choice_now(costs, ["a", "b"]).candidate
    assert {only.costly.flips, only.cheap.flips} == {True, False}
    assert only.leader_moves == (1.0 if leader == "b" else -1.0)
    assert only.moves


def test_the_ends_are_the_outer_tenths_of_the_draws():
    costs, positions, touches = normal_race(20.0, 40.0, 30.0, draws=2_000)
    strong = found(costs, positions, touches)["strong"]
    rank = positions["strong"].rank()
    for end, rows in ((strong.costly, rank <= 200), (strong.cheap, rank > 1_800)):
        there = costs[rows]
        assert end.cheapest == there.mean().idxmin()
        assert end.leader_costs_more_usd == pytest.approx(there["a"].mean() - there.mean().min())
        assert end.leader_is_cheapest == chances_of_cheapest(there, ["a", "b"])["a"]
        # Two sources at two ends and one other candidate are four differences, of which all are to be right.
        paired = stats.ttest_rel(there["a"], there[end.cheapest]) if end.cheapest != "a" else None
        assert end.least_usd == pytest.approx(paired.confidence_interval(1 - 0.05 / 4).low if paired else 0.0)
    assert strong.cheap.flips
    assert not strong.costly.flips
    assert strong.costly.leader_costs_more_usd == strong.costly.least_usd == 0.0


def test_what_all_types_share_moves_every_cost_and_no_order():
    """The anchor: it is most of what varies, and knowing it changes no choice."""
    positions, touches = uniforms(4_000, anchor="abc", own="b")
    factor = 1.5 - positions["anchor"]
    own = 1.0 + 0.2 * (0.5 - positions["own"])
    costs = pd.DataFrame({"a": 1_000.0 * factor, "b": 1_010.0 * factor * own, "c": 1_300.0 * factor})
    assert costs.corrwith(positions["anchor"]).max() < -0.9
    of = found(costs, positions, touches, among="abc")
    anchor = of["anchor"]
    assert anchor.usd_per_month == 0.0
    assert anchor.costly.cheapest == anchor.cheap.cheapest == choice_now(costs, list("abc")).candidate
    assert not any((anchor.costly.flips, anchor.cheap.flips, anchor.moves))
    assert next(iter(of)) == "own"
    assert of["own"].usd_per_month > 10.0


def test_an_anchor_that_moves_one_candidate_alone_is_worth_something():
    positions, touches = uniforms(4_000, anchor="b")
    costs = pd.DataFrame({"a": LEVEL, "b": 1_010.0 * (1.5 - positions["anchor"])})
    assert found(costs, positions, touches)["anchor"].usd_per_month > 50.0


def test_sources_without_influence_read_as_nothing_in_95_of_100_reviews():
    """Two candidates that are as good in the mean: where least means of noise are worth most."""
    reviews, draws, sources = 60, 400, 8
    names = [f"idle {number}" for number in range(sources)]
    seen, null, wrong, flips, moves = [], [], 0, 0, 0
    for review in range(reviews):
        positions, touches = uniforms(draws, seed=review, **dict.fromkeys(names, "ab"))
        rng = stream(review, 1, "costs")
        costs = pd.DataFrame(LEVEL + rng.normal(0.0, 40.0, (draws, 2)), columns=["a", "b"])
        of = found(costs, positions, touches, permutations=200).values()
        seen += [one.seen_usd_per_month for one in of]
        null += [one.null_usd_per_month for one in of]
        wrong += any(one.usd_per_month > 0 for one in of)
        flips += any(one.costly.flips or one.cheap.flips for one in of)
        moves += any(one.moves for one in of)
    most = stats.binom.ppf(0.999, reviews, 0.05)
    assert max(wrong, flips, moves) <= most
    # Without that judgement nearly every one of them would be worth something, as much as the random orders say.
    assert np.mean(np.array(seen) > 0) > 0.9
    assert np.mean(seen) == pytest.approx(np.mean(null), rel=0.15)
    assert np.mean(seen) > 1.0


def test_only_what_touches_the_race_is_looked_at():
    positions, touches = uniforms(200, of_b="bc", of_c="c", of_none="")
    costs = pd.DataFrame({"a": LEVEL, "b": LEVEL + positions["of_b"], "c": 1.0 + positions["of_c"]})
    of = found(costs, positions, touches)
    assert list(of) == ["of_b"]
    assert of["of_b"].touches == ("b",)


def test_a_race_of_one_is_decided():
    positions, touches = uniforms(200, own="a")
    (own,) = found(pd.DataFrame({"a": LEVEL + positions["own"]}), positions, touches, among="a").values()
    assert (own.usd_per_month, own.seen_usd_per_month, own.leader_moves) == (0.0, 0.0, 0.0)
    assert own.costly.cheapest == own.cheap.cheapest == "a"


def test_rows_that_are_drawn_more_than_once_share_a_position():
    """The profile's rows: 20 of them in 2,000 draws."""
    positions, touches = uniforms(2_000, rows="b")
    positions["rows"] = (np.floor(positions["rows"] * 20) + 0.5) / 20
    costs = pd.DataFrame({"a": LEVEL, "b": LEVEL + 80.0 * (0.5 - positions["rows"])})
    assert found(costs, positions, touches)["rows"].usd_per_month == pytest.approx(10.0, rel=0.1)


def test_equal_seeds_give_equal_answers():
    race = normal_race(20.0, 40.0, 30.0, draws=400)
    assert found(*race) == found(*race)


def test_too_few_draws_are_refused():
    with pytest.raises(CalibrationError, match=r"99 joint draws .* draw at least 100"):
        found(*normal_race(20.0, 40.0, 30.0, draws=99))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("engine table for t4", "how well the published engine table holds for t4"),
        ("speed of h264 p4", "where h264 p4 lies between the presets published next to it"),
        ("CPU of c7g", "how well CoreMark tells the speed of CPUs of c7g"),
        ("the profile's joint draws", "what the measurement behind the profile left open"),
    ],
)
def test_a_source_has_a_name_that_a_reader_understands(source, words):
    assert meaning(source) == words


def test_the_ends_are_told_of_the_leader_that_is_named_even_if_the_draws_prefer_another():
    costs, positions, touches = normal_race(100.0, 40.0, 30.0)
    one, other = (found(costs, positions, touches, leader=name)["strong"] for name in "ab")
    assert one.costly.leader_is_cheapest.value == pytest.approx(1 - other.costly.leader_is_cheapest.value)
    assert one.usd_per_month == other.usd_per_month
    assert not one.costly.flips
    assert other.costly.flips
