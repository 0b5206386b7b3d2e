"""A review finds what is known beforehand, says how sure it is, and refuses what cannot be judged."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import platforms
import profiles
import pytest

from scenarios.catalogue import load_catalogue
from scenarios.errors import CalibrationError, ScenarioError
from scenarios.slo import OBJECTIVES, Slo
from sim.capacity_review import buying, finals, screening, stages
from sim.capacity_review.candidates import candidates, of_instance
from sim.capacity_review.finals import undecided
from sim.capacity_review.screening import screen
from sim.capacity_review.stages import review
from sim.capacity_review.trials import Trials
from sim.metrics import METRICS
from sim.replication import run
from sim.slo_attainment import attainment

SLO = {"refused_fraction": 0.05, "share_of_days": 0.5}
TYPES = ("this-machine", "c6i.4xlarge", "c7g.4xlarge", "g6.xlarge")
COST = "transcode_usd_per_month"


def platform(**changes):
    short = {"horizon.horizon_s": 1800.0, "workload.broadcasts.peak_concurrent": 40.0, "slo": SLO}
    return platforms.scenario(**short | changes)


@pytest.fixture
def short_stages(monkeypatch):
    """Few days, so that a whole review is a matter of seconds; the counts are tested where they are used."""
    monkeypatch.setattr(stages, "REPLICATIONS", 4)
    monkeypatch.setattr(stages, "DRAWS", 100)
    for name, value in (("LEAST", 3), ("MOST", 4), ("STEP", 1)):
        monkeypatch.setattr(finals, name, value)


def priced(usd_per_hour: float, **changes):
    """The measured machine at a price."""
    return platform(**{"platform.transcode.node_price_usd_per_hour": usd_per_hour} | changes)


def results_of(scenarios, *, days=4, engine="fleet"):
    trials = Trials(scenarios, profiles.profile(), seed=1, engine=engine)
    trials.add(days)
    return trials.results()


# ------------------------------------------------------------------ known answers


def test_a_fleet_of_known_size_costs_what_arithmetic_says():
    """Seven nodes all month: nodes × price × hours, on every day and in every world."""
    fixed = {"platform.transcode.autoscaler": {"kind": "fixed"}, "platform.transcode.min_nodes": 7}
    results = results_of({"dear": priced(0.2, **fixed), "cheap": priced(0.1, **fixed)}, engine="whole")
    for name, price in (("dear", 0.2), ("cheap", 0.1)):
        usd = screening.values_of(results[name], COST)
        assert usd == pytest.approx(np.full(4, 7 * price * 730.0), rel=1e-12)
    assert screen(results, Slo(**SLO)).finalists == ("cheap", "dear")
    assert finals.leader(results, Slo(**SLO)) == "cheap"
    assert undecided(results, Slo(**SLO)) == []


def test_equal_types_at_different_prices_differ_by_the_price_and_nothing_else():
    results = results_of({"list": priced(0.1), "less": priced(0.09), "more": priced(0.2)})
    usd = {name: screening.values_of(result, COST) for name, result in results.items()}
    assert usd["less"] == pytest.approx(usd["list"] * 0.9, rel=1e-12)
    assert usd["more"] == pytest.approx(usd["list"] * 2.0, rel=1e-12)
    assert finals.leader(results, Slo(**SLO)) == "less"


def test_the_cheaper_of_equal_types_is_cheapest_with_certainty_and_equal_ones_share(short_stages, monkeypatch):
    found = small_review(monkeypatch, {"one": priced(0.1), "same": priced(0.1), "dear": priced(0.3)})
    assert {name: chance.value for name, chance in found.chances.items()} == {"one": 0.5, "same": 0.5, "dear": 0.0}
    assert found.chances["one"].low < 0.5 < found.chances["one"].high
    assert {name: chance.value for name, chance in found.joint_chances.items()} == {
        "one": 0.5,
        "same": 0.5,
        "dear": 0.0,
    }
    assert found.choice.perfect_information_usd_per_month == 0.0
    assert all(one.usd_per_month == 0.0 for one in found.influences)


def test_a_type_that_is_worse_in_every_respect_is_on_no_front(short_stages, monkeypatch):
    """Half the room at twice the price."""
    worse = priced(0.2, **{"platform.transcode.planning_utilisation": 0.4})
    found = small_review(monkeypatch, {"good": priced(0.1), "worse": worse})
    assert found.leader == "good"
    assert found.chances["worse"].value == 0.0
    assert not any(name.startswith("worse") for name in found.front)
    assert found.answer()[0].startswith("Of 2 types good carries it at the least cost")


def small_review(monkeypatch, scenarios):
    """A review of given candidates, whatever makes them differ."""
    monkeypatch.setattr(stages, "candidates", lambda *_, **__: scenarios)
    return review(next(iter(scenarios.values())), profiles.profile(), [*scenarios], replications=10)


# ------------------------------------------------------------------ screening and finals


def test_the_screening_drops_who_is_surely_dearer_than_the_third_best_and_nobody_else():
    prices = {"a": 0.1, "b": 0.11, "c": 0.12, "d": 0.5, "e": 0.6}
    results = results_of({name: priced(price) for name, price in prices.items()}, days=8)
    found = screen(results, Slo(**SLO))
    assert found.finalists == ("a", "b", "c")
    assert all(why.startswith("dearer than c, the third best, by ") for why in found.dropped.values())


def test_who_is_not_told_from_the_third_best_goes_on():
    results = results_of({name: priced(price) for name, price in {"a": 0.1, "b": 0.11, "c": 0.12, "d": 0.12}.items()})
    found = screen(results, Slo(**SLO))
    assert found.finalists == ("a", "b", "c", "d")
    assert found.dropped == {}


def test_the_more_types_are_judged_the_surer_each_has_to_be():
    """2.2 standard errors from 0: beyond 5 % of Student's law with 19 degrees of freedom, within 2.5 %."""
    spread = np.tile([-1.0, 1.0], 10)
    difference = spread + 2.2 * spread.std(ddof=1) / np.sqrt(20)
    assert screening._dearer(difference, "c", 1).startswith("dearer than c, the third best, by ")
    assert screening._dearer(difference, "c", 2) == ""


def test_a_difference_that_is_small_and_known_needs_no_further_days():
    rows = pd.DataFrame({"replication": range(10), "metric": COST})
    ripple = np.tile([-1.0, 1.0], 5)
    kind = dataclasses.make_dataclass("Result", ["values"])
    of = {"a": 100.0 + np.zeros(10), "near": 100.1 + ripple, "wide": 100.1 + 30 * ripple}
    results = {name: kind(rows.assign(value=usd)) for name, usd in of.items()}
    assert undecided(results, Slo(**SLO)) == ["wide"]


def test_who_misses_the_promise_is_dropped_however_cheap():
    """One node for forty broadcasts refuses most of them."""
    full = {"platform.transcode.min_nodes": 1, "platform.transcode.max_nodes": 1}
    results = results_of({"tiny": priced(0.001, **full), "enough": priced(0.1)}, days=8)
    found = screen(results, Slo(refused_fraction=0.05, share_of_days=0.9))
    assert found.finalists == ("enough",)
    assert found.dropped["tiny"].startswith(
        "keeps the promise on 0 of 8 days (0 … 36.9 %), 90% wanted; broadcasts refused"
    )


def test_a_promise_that_nobody_can_keep_tells_the_nearest_and_what_binds():
    full = {"platform.transcode.min_nodes": 1, "platform.transcode.max_nodes": 1}
    results = results_of(
        {"tiny": priced(0.1, **full), "small": priced(0.1, **full | {"platform.transcode.max_nodes": 2})}, days=8
    )
    with pytest.raises(ScenarioError) as caught:
        screen(results, Slo(refused_fraction=0.001, share_of_days=0.9))
    text = str(caught.value)
    assert "slo: no type keeps it on 90% of days; the nearest is" in text
    assert "on 0 of 8 days (0 … 36.9 %): broadcasts refused or given up: " in text
    assert "raise platform.transcode.max_nodes" in text


def test_what_binds_may_be_the_front_door():
    shut = {"platform.ingest.auth_limit_per_s": 0.001, "platform.ingest.auth_burst": 1}
    results = results_of({"a": priced(0.1, **shut)}, days=2)
    assert screening.what_binds(results["a"], "refused_fraction").endswith("so raise platform.ingest.auth_limit_per_s")


def test_the_finals_go_on_until_the_leader_is_told_from_the_others():
    clear = Trials({"a": priced(0.1), "b": priced(0.2)}, profiles.profile(), seed=1, engine="fleet")
    ended = finals.hold_finals(clear, Slo(**SLO))
    assert clear.replications == finals.LEAST == 10
    assert ended.stopped.startswith("the leader's cost is told")


def test_who_surely_misses_the_promise_needs_no_further_days(monkeypatch):
    monkeypatch.setattr(finals, "half_width", lambda *_: np.inf)  # no difference is told
    full = {"platform.transcode.min_nodes": 1, "platform.transcode.max_nodes": 1}
    results = results_of({"tiny": priced(0.001, **full), "a": priced(0.1), "b": priced(0.11)}, days=8)
    assert undecided(results, Slo(refused_fraction=0.05, share_of_days=0.9)) == ["b"]


def test_the_finals_end_with_their_budget_and_say_who_is_not_told(monkeypatch):
    """Costs that are pure noise around one mean."""
    rng = np.random.default_rng(5)

    class Noise:
        replications = 0

        def add(self, count, progress=None):
            self.replications += count

        def results(self):
            rows = pd.DataFrame({"replication": range(self.replications), "metric": COST})
            made = {name: rows.assign(value=rng.exponential(100.0, self.replications)) for name in "ab"}
            return {name: dataclasses.make_dataclass("Result", ["values"])(values) for name, values in made.items()}

    trials = Noise()
    ended = finals.hold_finals(trials, Slo(**SLO), most=22)
    assert trials.replications == 22
    assert ended.stopped.startswith("the budget of 22 days is spent; not told from the leader: ")


# ------------------------------------------------------------------ a whole review


@pytest.fixture(scope="module")
def whole():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "REPLICATIONS", 4)
        patch.setattr(stages, "DRAWS", 100)
        patch.setattr(finals, "LEAST", 3)
        return review(platform(), profiles.profile(), TYPES, replications=10)


def test_a_type_gets_the_digits_it_gets_alone(whole):
    for name in whole.finals:
        alone = run(of_instance(whole.scenario, name), profiles.profile(), replications=whole.finals[name].replications)
        pd.testing.assert_frame_equal(whole.finals[name].values, alone.values, check_exact=True)


def test_of_single_broadcasts_a_review_keeps_a_byte_each(whole):
    for result in (*whole.finals.values(), *whole.screened.values()):
        assert [*result.broadcasts] == ["outcome"]
        assert result.broadcasts.memory_usage(index=False).sum() < 2 * len(result.broadcasts) + 1000


def test_types_that_nobody_measured_are_told_as_ranges_and_the_measured_one_as_a_number(whole):
    shown = whole.table().set_index("type")
    assert "(" in shown.loc["this-machine", "USD/month"]
    for name in ("c6i.4xlarge", "c7g.4xlarge", "g6.xlarge"):
        assert " … " in shown.loc[name, "USD/month"]
        assert "(" not in shown.loc[name, "USD/month"]
    assert shown.loc["this-machine", "rests on"] == "measured"
    assert "assumed" in shown.loc["g6.xlarge", "rests on"]
    assert shown.loc["this-machine", "list price"] == "0.085 USD/h, assumed"
    assert shown.loc["g6.xlarge", "list price"].endswith("USD/h, 2026-07-20")


def test_chances_over_days_add_up_to_one(whole):
    assert sum(chance.value for chance in whole.chances.values()) == pytest.approx(1.0)
    assert sum(chance.value for chance in whole.joint_chances.values()) == pytest.approx(1.0)


def test_reserving_is_never_dearer_than_on_demand(whole):
    by_way = whole.purchases.set_index(["instance", "way"])[COST].unstack()
    assert (by_way["reserved + on demand"] <= by_way["on demand"] * (1 + 1e-9)).all()
    assert (by_way["spot"] < by_way["on demand"]).all()


def test_the_answer_names_leader_cost_and_certainty(whole):
    text = " ".join(whole.answer())
    assert whole.leader in whole.answer()[0]
    assert whole.promises[whole.leader].text in text
    assert whole.chances[whole.leader].value == whole.standings["chance"].max()
    assert "By how its nodes are bought, on the first 3 of the 10 days: " in text


def test_the_lowest_of_the_day_is_told_beside_the_highest_and_not_beside_a_range(whole):
    row = whole.standings.loc[whole.leader]
    text = " ".join(whole.answer())
    assert f"at the lowest of the mean day {row['nodes_least'] / row['nodes_most']:.0%} of that day's most." in text
    assert 0 < row["nodes_least"] < row["nodes_most"]


def test_ways_to_buy_are_compared_on_the_same_days(whole):
    assert set(whole.purchases["replications"]) == {3}
    rows = whole.purchases[whole.purchases["way"] == "on demand"].set_index("instance")
    for name, result in whole.finals.items():
        assert rows.loc[name, COST] == pytest.approx(screening.values_of(result, COST)[:3].mean(), rel=1e-12)


def test_plain_data_holds_what_the_tables_show(whole):
    document = whole.document()
    assert [row["instance"] for row in document["types"]] == [*whole.standings.index]
    assert document["leader"] == whole.leader
    assert document["objectives"] == {"refused_fraction": 0.05, "share_of_days": 0.5}


def test_a_name_does_nothing_in_a_notebook(whole):
    hostile = whole.scenario.model_copy(update={"title": "<script>", "question": "<script>alert(1)"})
    shown = dataclasses.replace(whole, scenario=hostile)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)" in shown


def with_value(result, metric, value):
    """A result in which a metric has one value on every day."""
    values = result.values.copy()
    values.loc[values["metric"] == metric, "value"] = value
    return dataclasses.replace(result, values=values)


def test_a_cheaper_type_that_misses_the_promise_is_told_as_such(whole):
    """And the leader is not said to have won a race that it ran alone."""
    broken = {
        name: result if name == "this-machine" else with_value(result, "refused_fraction", 1.0)
        for name, result in whole.finals.items()
    }
    found = dataclasses.replace(whole, finals=broken)
    verdict, distance, *_ = found.answer()
    assert found.leader == "this-machine"
    assert "no other finalist does; of those that keep it on a single day it is the cheapest in" in verdict
    assert "joint draws" not in verdict
    assert distance.count("but keeps the promise only on 0 of 10 days (0 … 30.8 %)") == len(whole.finals) - 1


def test_where_nobody_keeps_the_promise_the_nearest_is_told(whole):
    broken = {name: with_value(result, "refused_fraction", 1.0) for name, result in whole.finals.items()}
    found = dataclasses.replace(whole, finals=broken)
    text = " ".join(found.answer())
    nearest = f"the nearest is {found.leader}, on 0 of 10 days"
    assert text.startswith(f"No finalist keeps the promise on 50% of days: {nearest}")
    assert "(broadcasts refused or given up: 100 % in the mean, 5 % promised)" in text
    assert found.document()["promise_is_kept"] is False


def test_a_way_to_buy_that_breaks_the_promise_says_so(whole):
    rows = whole.purchases.assign(kept_days=np.where(whole.purchases["way"] == "spot", 0.2, 1.0))
    text = " ".join(dataclasses.replace(whole, purchases=rows).answer())
    assert text.count("but the promise is kept on 20% of days only") == 1


def test_a_leader_that_the_joint_draws_do_not_prefer_is_told(whole):
    """Its node holds a tenth in every draw: it is the cheapest at no end of anything."""
    places = whole.joint.places.assign(**{whole.leader: whole.joint.places[whole.leader] / 10})
    found = dataclasses.replace(whole, joint=dataclasses.replace(whole.joint, places=places))
    text = " ".join(found.answer())
    assert found.choice.candidate != found.leader
    assert f"less than {found.leader}, so days and what is not known disagree" in text
    assert f"the choice may fall on {found.leader}" not in text
    assert set(found.measure_next()[f"{found.leader} is cheapest"]) == {"0% … 0%"}


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("instances", "message"),
    [
        (["g4dn.xlrge", "g6.xlarge"], "no instance type 'g4dn.xlrge' in the catalogue; did you mean 'g4dn.xlarge'?"),
        (["g6.xlarge", "g6.xlarge"], "named more than once; name each type once"),
        (["g6.xlarge"], "a review needs types to choose from; name two or more"),
    ],
)
def test_names_that_are_none_are_refused(instances, message):
    with pytest.raises(ScenarioError, match="--instances") as caught:
        candidates(platform(), instances, profiles.profile(), load_catalogue())
    assert message in str(caught.value)


def test_types_that_cannot_be_judged_are_refused_together_with_what_is_left():
    with pytest.raises(CalibrationError) as caught:
        candidates(
            platform(),
            ["p5.48xlarge", "n2-standard-8", "g6.xlarge", "c7g.4xlarge"],
            profiles.profile(),
            load_catalogue(),
        )
    text = str(caught.value)
    assert "p5.48xlarge: an NVIDIA H100 has no encoding engine" in text
    assert "n2-standard-8: " in text
    assert text.endswith("Leave out what cannot be judged: --instances g6.xlarge,c7g.4xlarge.")


def test_a_pool_with_a_price_in_dollars_is_refused():
    pools = ({"name": "spot", "purchase": "spot", "price_usd_per_hour": 0.2},)
    with pytest.raises(ScenarioError, match=r"0.2 USD per hour is the price of one type.*write discount"):
        candidates(platform(**{"platform.transcode.pools": pools}), TYPES, profiles.profile(), load_catalogue())


@pytest.mark.parametrize(
    "autoscaler",
    [{"kind": "fixed"}, {"kind": "schedule", "steps": ({"hour": 0.0, "nodes": 9},)}],
    ids=["fixed", "schedule"],
)
def test_a_fleet_of_a_typed_size_is_refused_and_told_as_typed(autoscaler):
    """280 nodes of a large type are not to be compared with 280 of a small one."""
    typed = {"platform.transcode.autoscaler": autoscaler, "platform.transcode.min_nodes": 9}
    with pytest.raises(
        ScenarioError, match=r"autoscaler: a \w+ fleet has a number of nodes.*kind: queue or predictive"
    ):
        review(platform(**typed), profiles.profile(), TYPES)
    alone = run(of_instance(platform(**typed), "g6.xlarge"), profiles.profile(), replications=2, engine="fleet")
    assert set(alone.ranges) == {"broadcasts_per_node"}
    assert alone.texts("nodes_peak").value == "9 nodes"


def test_hours_of_work_are_paid_for_alone_and_a_reservation_for_all_of_a_month():
    whole, working = platform(), platform(**{"prices.hours_per_month": 220.0})
    usd = [screening.values_of(results_of({"a": one}, days=2)["a"], COST) for one in (whole, working)]
    assert usd[1] == pytest.approx(usd[0] * 220 / 730, rel=1e-12)
    results = {"on demand": results_of({"a": working}, days=2)["a"]}
    rows = {row["way"]: row for row in buying.purchase_rows("a", results, working.slo, own=working)}
    assert rows["reserved + on demand"]["reserved_nodes"] == 0  # 220 of 730 hours at 35 % off are never worth it
    assert rows["reserved + on demand"][COST] == pytest.approx(rows["on demand"][COST], rel=0.05)


def test_a_scenario_without_a_promise_is_refused():
    with pytest.raises(ScenarioError, match=r"slo: a review judges types by a promise.*refused_fraction: 0.001"):
        review(platform(slo=None), profiles.profile(), TYPES)


def test_fewer_than_ten_days_are_refused():
    with pytest.raises(ScenarioError, match="at least 10 full replications, not 9"):
        review(platform(), profiles.profile(), TYPES, replications=9)


def test_a_review_beyond_the_budget_is_refused_before_it_starts():
    huge = platform(**{"horizon.horizon_s": 3.0e7, "workload.broadcasts.peak_concurrent": 1e6})
    with pytest.raises(ScenarioError, match="--force"):
        review(huge, profiles.profile(), TYPES)


# ------------------------------------------------------------------ the promise


def test_every_objective_is_a_metric():
    assert set(OBJECTIVES) <= set(METRICS)


def test_a_promise_is_kept_day_by_day():
    values = pd.DataFrame(
        [(day, "refused_fraction", value) for day, value in enumerate([0.0, 0.02, 0.0])]
        + [(day, "start_wait_p95_s", value) for day, value in enumerate([3.0, 3.0, np.nan])],
        columns=["replication", "metric", "value"],
    )
    found = attainment(values, Slo(refused_fraction=0.01, start_wait_p95_s=5.0, recovery_s=1.0, share_of_days=0.4))
    assert found.kept.tolist() == [True, False, False]
    assert [missed.metric for missed in found.missed] == ["refused_fraction", "start_wait_p95_s"]
    assert not found.is_met
    assert not found.is_out_of_reach
    assert found.sentence.startswith("The promise (slo) is not kept, on 1 of 3 days (0.8")
    assert "broadcasts refused or given up: " in found.sentence
    assert "publish → first segment, 95th percentile: " in found.sentence


def test_a_promise_about_viewers_is_not_judged_without_them():
    values = pd.DataFrame([(0, "refused_fraction", 0.0)], columns=["replication", "metric", "value"])
    found = attainment(values, Slo(refused_fraction=0.01, unserved_viewer_fraction=0.01))
    assert found.sentence.endswith(f"Not judged without viewers: {METRICS['unserved_viewer_fraction'].meaning}")


def test_a_day_on_which_nobody_asked_keeps_every_promise_and_one_on_which_nobody_could_start_does_not():
    days = {"refused_fraction": [np.nan, 0.0, 0.0], "start_wait_p95_s": [np.nan, np.nan, 2.0]}
    days |= {"unserved_viewer_fraction": [np.nan, 0.0, 0.0], "recovery_s": [np.nan, np.inf, 0.0]}
    rows = [(day, metric, value) for metric, of in days.items() for day, value in enumerate(of)]
    values = pd.DataFrame(rows, columns=["replication", "metric", "value"])
    slo = Slo(refused_fraction=0.1, start_wait_p95_s=5.0, unserved_viewer_fraction=0.0, recovery_s=60.0)
    found = attainment(values, slo)
    assert found.kept.tolist() == [True, False, True]
    wait = next(missed for missed in found.missed if missed.metric == "start_wait_p95_s")
    assert wait.text.endswith("2 s in the mean, 5 s promised, missed on 1 day")


def test_a_platform_that_nobody_asks_keeps_its_promise(short_stages):
    empty = platform(**{"workload.broadcasts.peak_concurrent": 1e-4, "horizon.horizon_s": 600.0})
    assert run(empty, profiles.profile(), replications=2, split=False).promise.is_met


def test_a_node_that_costs_nothing_is_no_candidate():
    free = priced(0.0)
    with pytest.raises(CalibrationError, match="this-machine: a node that costs nothing is the cheapest by definition"):
        candidates(free, TYPES, profiles.profile(), load_catalogue())


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("source_only_fraction", "nobody is refused: nodes come too late"),
        ("start_wait_p95_s", "nobody is refused: a first segment takes ladder.segment_s"),
    ],
)
def test_what_binds_where_nobody_is_refused(metric, words):
    roomy = priced(0.1, **{"platform.transcode.max_nodes": 1000})
    assert screening.what_binds(results_of({"a": roomy}, days=1)["a"], metric).startswith(words)
