"""`auto`: a run stops where its rule says, whoever computes it, and what it saw is what a fixed number sees."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from platforms import scenario
from profiles import profile
from typer.testing import CliRunner

import sim.event_budget
from headroom import application
from scenarios.errors import ScenarioError
from sim import compare, run
from sim.cli.options import BY
from sim.cli.shared import asked_replications
from sim.html_report import page
from sim.results import read_result
from sim.statistics.sequential import Precision
from sim.stopping import least_replications, replications_plan
from sim.tipping import tipping_point
from sim.varied import parse_span

SHORT = {"horizon.horizon_s": 900.0}
OPEN = scenario(**SHORT, replications="auto")
NAMED = scenario(**SHORT)
SHARE = 0.05
RULE = Precision(metric="broadcasts_peak", relative=SHARE, least=4, most=40, step=3)


@pytest.fixture(scope="module")
def found():
    return run(OPEN, profile(), precision=RULE)


def peaks(result):
    return result.values.query("metric == 'broadcasts_peak'")["value"].to_numpy()


def test_it_stops_at_the_first_look_whose_interval_is_narrow_enough(found):
    values = peaks(found)
    looks = [look for look in RULE.looks() if look <= values.size]
    assert values.size == looks[-1] > RULE.least
    judged = [RULE.judge(values[:look]) for look in looks]
    assert judged[:-1] == [None] * (len(looks) - 1)
    assert judged[-1] == found.precision
    row = found.summary.set_index("metric").loc["broadcasts_peak"]
    assert found.precision.relative == pytest.approx((row["high"] - row["mean"]) / row["mean"])


def test_the_frames_are_those_of_a_fixed_number_to_the_bit(found):
    fixed = run(OPEN, profile(), replications=found.replications)
    assert fixed.precision is None
    for name in ("values", "ticks", "broadcasts", "nodes", "events"):
        assert getattr(found, name).equals(getattr(fixed, name))


def test_workers_do_not_move_where_it_stops(found):
    """Threads, in number not a divisor of any step; planted mistake: a worker's surplus would show as more rows."""
    with ThreadPoolExecutor(5) as executor:
        other = run(OPEN, profile(), precision=RULE, executor=executor)
    assert other.values.equals(found.values)
    assert other.precision == found.precision


def test_progress_tells_the_number_that_is_known_so_far():
    told = []
    run(OPEN, profile(), precision=Precision("broadcasts_peak", 0.001, 2, 5, 2), progress=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2), (3, 4), (4, 4), (5, 5)]


def test_where_nothing_varies_ten_are_enough():
    steady = run(OPEN, profile(), precision=Precision(metric="ingest_usd_per_month"))
    assert (steady.replications, steady.precision.relative) == (10, 0.0)


def test_what_has_no_value_is_said():
    """The wait of an unstable platform."""
    crowded = {"platform.transcode.min_nodes": 2, "platform.transcode.max_nodes": 2}
    unstable = scenario(**SHORT, **crowded, replications="auto")
    nothing = run(unstable, profile(), precision=Precision(metric="start_wait_p95_s", least=2))
    assert nothing.replications == 2
    assert "has no value in any of them" in nothing.precision_text


def test_numbers_win_over_auto_and_a_rule_wins_over_none():
    assert replications_plan([NAMED], None) == 3
    assert replications_plan([OPEN], None) == Precision()
    assert replications_plan([OPEN, NAMED], None) == 3
    assert replications_plan([NAMED], "auto") == Precision()
    assert replications_plan([NAMED], None, RULE) == RULE
    assert replications_plan([OPEN], 7) == 7
    assert least_replications(Precision()) == 10


def test_the_event_budget_bounds_what_auto_may_take(monkeypatch):
    events = sim.event_budget.estimate(OPEN).events
    monkeypatch.setattr(sim.event_budget, "MOST_EVENTS", 12.5 * events)
    plan = replications_plan([OPEN], None)
    assert (plan.most, plan.budgeted) == (12, True)
    monkeypatch.setattr(sim.event_budget, "MOST_EVENTS", 4.5 * events)
    assert replications_plan([OPEN], "auto").most == 10
    with pytest.raises(ScenarioError, match="10 replications are about"):
        run(OPEN, profile())


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"replications": 0}, "none would be simulated"),
        ({"replications": 5, "precision": RULE}, "5 replications leave nothing for it to decide"),
        ({"precision": Precision(metric="nodes_pek")}, "no such metric; did you mean 'nodes_peak'"),
        ({"precision": Precision(metric="moved", least=2)}, "has nothing of moved"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(how, told):
    with pytest.raises(ScenarioError, match=told):
        run(OPEN, profile(), **how)


def test_a_difference_is_as_precise_as_asked_against_the_first():
    longer = scenario(**SHORT, replications="auto", **{"workload.broadcasts.peak_concurrent": 66.0})
    told = compare(OPEN, longer, profile(), precision=RULE)
    first, second = peaks(told.first), peaks(told.second)
    row = told.differences.set_index("metric").loc["broadcasts_peak"]
    assert told.precision.relative == pytest.approx((row["high"] - row["difference"]) / first.mean())
    assert told.precision == RULE.judge(second - first, first)
    assert f"is known to ±{100 * told.precision.relative:.2g} % of the first's mean" in told.precision_text
    assert told.document()["precision"]["replications"] == first.size == second.size


def test_a_search_for_a_flip_keeps_a_number():
    flip = parse_span("platform.transcode.boot.low_s=60 s..90 s")
    counted = []

    def count(scenarios, replications):
        counted.append(replications_plan(scenarios, replications))
        return 2

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sim.tipping.replications_plan", count)
        tipping_point(1.0, OPEN, profile(), flip, steps=2)
    assert list(map(least_replications, counted)) == [10]


def test_folder_document_and_page_tell_it(found, tmp_path):
    assert found.document()["precision"]["attained"] == found.precision.relative
    again = read_result(found.write(tmp_path / "result"))
    assert again.precision == found.precision
    assert again.document() == found.document()
    assert "Their number was found on the way: the mean of" in page(found)


def test_the_command_says_how_many_and_why(tmp_path):
    file = tmp_path / "short.yaml"
    few = "  workload.broadcasts.peak_concurrent: 40\n"
    file.write_text(f"extends: baseline\nset:\n  horizon.horizon_s: 10 min\n{few}")

    def told(*flags):
        done = CliRunner().invoke(application(), [*flags, "-q"])
        assert done.exit_code == 0, done.output
        return done.output

    asked = ["--precision", "30 %", "--by", "broadcasts_peak"]
    (line,) = told("run", str(file), *asked).splitlines()[-1:]
    assert line.startswith("10 replications of 0.166667 h, seed 1: the mean of ")
    assert line.endswith(" %, as asked (±30 %).")
    found = json.loads(told("compare", str(file), str(file), *asked, "--json"))["precision"]
    assert np.allclose([found["relative"], found["attained"]], [0.3, 0.0])
    assert (found["metric"], found["replications"]) == ("broadcasts_peak", 10)


@pytest.mark.parametrize(
    ("replications", "precision", "told"),
    [
        ("many", None, "--replications: many: neither auto nor a whole number from 2 to 10,000"),
        ("1", None, "--replications: 1: neither auto"),
        ("99999", None, "--replications: 99999: neither auto"),
        ("-5", None, "--replications: -5: neither auto"),
        (None, "5", "--precision: 5: not a share of the mean between 0 and 100 %"),
        (None, "0%", "not a share"),
        (None, "nan", "not a share"),
        ("5", "1%", "5 replications leave nothing for it to decide"),
    ],
)
def test_flags_that_say_nothing_sensible_are_refused(replications, precision, told):
    with pytest.raises(ScenarioError, match=told):
        asked_replications([OPEN], replications, precision, BY, least=2)


def test_flags_ask_for_what_they_say():
    """A metric alone moves the rule of a scenario that names no number, and nothing of one that does."""
    peak = Precision(metric="nodes_peak")
    assert asked_replications([OPEN], None, None, "nodes_peak", least=1) == (
        10,
        {"replications": None, "precision": peak},
    )
    assert asked_replications([NAMED], None, None, "nodes_peak", least=1) == (3, {"replications": None})
    assert asked_replications([NAMED], "auto", None, "nodes_peak", least=1)[1]["precision"] == peak
    for share in ("2%", "2 %", "0.02", ".02"):
        assert asked_replications([NAMED], None, share, BY, least=1)[1]["precision"] == Precision(relative=0.02)
    assert asked_replications([OPEN], "7", None, BY, least=1) == (7, {"replications": 7})
    done = CliRunner().invoke(application(), ["run", "scenarios/library/baseline.yaml", "--by", "nodes_pek"])
    assert "--by: nodes_pek: no such metric" in str(done.exception)
