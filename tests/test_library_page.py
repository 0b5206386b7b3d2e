"""The page of the library is what its scenarios say: every one of them is on it, and figures repeat."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sim import run

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("library", ROOT / "docs" / "library.py")
library = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(library)
TEXT = library.PAGE.read_text(encoding="utf-8")
KEPT = library.kept()
CHEAP = "rolling_deploy"


def test_the_page_is_what_was_kept():
    assert library.page(KEPT) == TEXT


def test_every_file_of_the_library_has_its_section_with_its_question():
    names = {path.stem for path in library.LIBRARY.glob("*.yaml")}
    assert names == KEPT.keys() == library.bases().keys()
    assert [line.split()[1] for line in TEXT.splitlines() if line.startswith("##")] == list(library.bases())
    for name in names:
        scenario = library.of_library(name)
        assert (KEPT[name]["question"], KEPT[name]["title"]) == (scenario.question, scenario.title)


def test_what_a_scenario_rests_on_is_current():
    for name, told in KEPT.items():
        if "refused" not in told:
            assert told["grounds"] == list(library.assumed_grounds(library.of_library(name))), name


def test_figures_repeat():
    scenario = library.of_library(CHEAP)
    profile = library.load_profile(scenario.profile)
    found = library.checked(run(scenario, profile, replications=library.CHECKED))
    assert found.keys() == KEPT[CHEAP]["check"].keys()
    for name, values in found.items():
        assert values == pytest.approx(KEPT[CHEAP]["check"][name], rel=1e-6), name
    with pytest.raises(AssertionError):  # planted: a figure that moved by a thousandth
        assert [value * 1.001 for value in found["nodes_peak"]] == pytest.approx(found["nodes_peak"], rel=1e-6)


def test_each_search_and_comparison_is_on_the_page_with_its_command():
    for name, told in KEPT.items():
        assert len(told.get("flips", [])) == len(library.FLIPS.get(name, ()))
        for flip in told.get("flips", []):
            assert flip["text"] in TEXT
            assert flip["command"] in TEXT
    assert TEXT.count("headroom compare") >= sum(map(len, library.ORDER.values()))


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, told in KEPT.items() if "refused" not in told])
def test_figures_of_every_scenario_repeat(name):
    scenario = library.of_library(name)
    found = library.checked(run(scenario, library.load_profile(scenario.profile), replications=library.CHECKED))
    for metric, values in found.items():
        assert values == pytest.approx(KEPT[name]["check"][metric], rel=1e-6), metric
