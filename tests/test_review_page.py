"""The page of the shipped review is what the review said, and what it said is of today's types and scenario."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from scenarios import load_profile, load_scenario
from scenarios.catalogue import load_catalogue
from sim.capacity_review.candidates import candidates
from sim.capacity_review.screening import values_of
from sim.capacity_review.trials import Trials
from sim.ranges import COST

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("review_page", ROOT / "docs" / "review.py")
page = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(page)
KEPT = json.loads(page.KEPT.read_text(encoding="utf-8"))


def test_the_page_is_what_was_kept():
    assert page.page(KEPT) == page.PAGE.read_text(encoding="utf-8")
    assert KEPT["text"].rstrip().endswith(" ".join(KEPT["document"]["answer"]))


def test_it_is_a_review_of_the_shipped_scenario_and_of_every_type():
    scenario = load_scenario(ROOT / page.SCENARIO)
    assert (KEPT["document"]["title"], KEPT["document"]["question"]) == (scenario.title, scenario.question)
    assert {row["instance"] for row in KEPT["document"]["types"]} == set(page.TYPES.split(","))
    assert all(row["replications"] >= 10 for row in KEPT["document"]["types"])


def test_its_figures_repeat():
    """The screening of a type that was dropped, which is the cheapest part to do again."""
    scenario = load_scenario(ROOT / page.SCENARIO)
    row = next(row for row in KEPT["document"]["types"] if not row["is_finalist"])
    names = [row["instance"], KEPT["document"]["leader"]]
    found = candidates(scenario, names, load_profile(scenario.profile), load_catalogue(), extrapolate=True)
    trials = Trials({names[0]: found[names[0]]}, load_profile(scenario.profile), seed=1, engine="fleet")
    trials.add(row["replications"])
    usd = values_of(trials.results()[names[0]], COST)
    assert abs(float(usd.mean()) - row[COST]) <= 1e-6 * row[COST]
