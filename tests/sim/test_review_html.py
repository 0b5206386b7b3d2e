"""The page about a review: complete, silent about the host, and the same bytes each time."""

from __future__ import annotations

import base64
import dataclasses
import getpass
import json
import platform
import re
import shlex
import sys
from pathlib import Path

import platforms
import pytest
from page_reader import BLOCKS, Reader
from reviewed import TYPES, small_review

from scenarios import load_scenario
from scenarios.errors import NotReady
from sim.capacity_review.page import page, write_review_page
from sim.capacity_review.plots import PLOTS
from sim.capacity_review.result import Review
from sim.capacity_review.text import OF_NODE

SECRET = "AKIA-this-is-a-secret"
DRAWING = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)")


@pytest.fixture(scope="module")
def review() -> Review:
    return small_review()


@pytest.fixture(scope="module")
def text(review) -> str:
    return page(review)


@pytest.fixture
def no_plots(monkeypatch):
    """Draw nothing where a test is not about plots."""
    monkeypatch.setattr("sim.capacity_review.page._picture", lambda *_: {"base64": "", "caption": ""})


def test_the_page_answers_then_shows_then_says_what_it_rests_on(review, text):
    seen = Reader(text)
    assert seen.texts["h1"] == [review.scenario.title]
    assert review.scenario.question in seen.texts["p"]
    assert seen.texts["h2"] == [
        "What is promised",
        "The types",
        "Ways to buy",
        "What to measure next",
        "How the review went",
        "What it rests on",
        "How to repeat it",
    ]
    first, *others = review.answer()
    assert seen.texts["strong"] == [first]
    assert " ".join(others) in seen.texts["p"]
    assert sum(tag == "img" for tag, _ in seen.tags) == len(PLOTS)
    assert not [tag for tag, _ in seen.tags if tag in BLOCKS]
    assert set(review.rests_on()) <= set(seen.texts["li"])
    assert "broadcasts refused or given up: at most 5 %" in seen.texts["li"]


def test_every_cell_of_every_table_is_there(review, text):
    """An interval, and the date of a price, stand below the value in an element of their own."""
    seen = Reader(text)
    cells, ends = {cell.strip() for cell in seen.texts["td"]}, set(seen.texts["span"])
    for table in (review.table(), review.purchase_table().drop(columns="type"), review.measure_next().head(8)):
        for cell in table.to_numpy().ravel():
            pairs = ((before, f"{mark}{after}") for mark in ("(", "20") for before, _, after in [cell.partition(mark)])
            assert cell in cells or any(value.rstrip(", ") in cells and below in ends for value, below in pairs)
    titles = seen.texts["th"]
    assert set(review.table().columns) <= set(titles)
    assert set(OF_NODE) < set(titles)
    assert set(TYPES) <= set(titles)  # each is the head of its ways to buy


@pytest.mark.usefixtures("no_plots")
def test_a_type_that_was_dropped_has_its_reason(review):
    seen = Reader(page(dataclasses.replace(review, dropped={"g4dn.xlarge": "dearer than the third best"})))
    assert [cell for cell in seen.texts["span"] if cell.startswith("dropped")] == [
        "dropped: dearer than the third best"
    ]
    assert not [line for line in seen.texts["li"] if "was dropped" in line]


def test_the_row_of_the_answer_is_marked(review, text):
    rows = re.findall(r'<tr class="chosen ">(.*?)</tr>', text)
    assert [re.search(r"<td>(.*?)</td>", row)[1] for row in rows] == [review.leader] * 2


@pytest.mark.usefixtures("no_plots")
def test_types_that_are_extrapolated_are_named_beside_the_answer(review, text):
    """The small platform is within what its profile was measured for; ten times its bit rate is not."""
    assert "Extrapolated" not in text
    source = review.scenario.workload.source.model_copy(update={"bitrate_bps": 3.5e7})

    def beyond(result):
        workload = result.scenario.workload.model_copy(update={"source": source})
        return dataclasses.replace(result, scenario=result.scenario.model_copy(update={"workload": workload}))

    finals = {name: beyond(result) for name, result in review.finals.items()}
    seen = Reader(page(dataclasses.replace(review, finals=finals)))
    (named,) = [told for told in seen.texts["b"] if told.startswith("Extrapolated")]
    assert named.startswith("Extrapolated: c7g.4xlarge and c7i.4xlarge, beyond what profile invented")
    assert any("a source of 35,000,000 bit/s" in told for told in seen.texts["p"])
    assert "--extrapolate" in seen.texts["pre"][0]


def test_every_type_says_what_it_rests_on(review, text):
    seen = Reader(text)
    assert set(review.candidates) == set(seen.texts["dt"])
    for name in review.candidates:
        own = [line for line in review.result(name).rests_on() if name in line and not line.startswith("cpu_speed")]
        assert len(own) > 1
        assert set(own) <= set(seen.texts["li"])
    assert "cpu_speed_agreement c7g" in seen.texts["code"]
    assert any(cell.endswith(", c7g.4xlarge") for cell in seen.texts["td"])


@pytest.mark.usefixtures("no_plots")
def test_the_page_holds_what_it_takes_to_repeat_it(review, tmp_path):
    command, scenario = Reader(page(review)).texts["pre"]
    asked = dict(zip(*[iter(shlex.split(command.replace("\\\n", ""))[3:])] * 2, strict=True))
    assert asked == {
        "--instances": ",".join(TYPES),
        "--profile": "invented.yaml",
        "--seed": "1",
        "--replications": "10",
        "--out": "review",
    }
    file = tmp_path / "scenario.yaml"
    file.write_text(scenario, encoding="utf-8")
    assert load_scenario(file) == review.scenario


def test_equal_reviews_give_equal_bytes(review, text, tmp_path):
    again = dataclasses.replace(review)
    path = write_review_page(again, tmp_path / "one" / "a.html")
    assert path.read_text(encoding="utf-8") == text


@pytest.mark.usefixtures("no_plots")
def test_a_place_that_cannot_be_written_is_named(review, tmp_path):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    with pytest.raises(NotReady, match="cannot be written"):
        write_review_page(review, tmp_path / "file" / "a.html")


def test_the_page_says_nothing_about_the_host(review, tmp_path, monkeypatch):
    """H7, with a scenario read from a folder with a telling name, and a secret in the environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    folder = tmp_path / "customer-4711"
    folder.mkdir()
    (folder / "day.csv").write_text("t,viewers\n0,1\n43200,2\n86400,1\n", encoding="utf-8")
    plain = platforms.scenario().model_dump(mode="json")
    plain["workload"]["audience"]["curve"] = {"kind": "trace", "file": "day.csv"}
    (folder / "scenario.yaml").write_text(json.dumps(plain), encoding="utf-8")
    loaded = load_scenario(folder / "scenario.yaml").model_copy(update={"slo": review.scenario.slo})
    text = page(dataclasses.replace(review, scenario=loaded))
    drawings = "".join(base64.b64decode(found).decode() for found in DRAWING.findall(text))
    private = [SECRET, "customer-4711", str(tmp_path), str(Path.cwd()), str(Path.home()) + "/", sys.prefix]
    private += [platform.release(), *(name for name in (platform.node(), getpass.getuser()) if len(name) > 4)]
    assert "day.csv" in text
    assert [word for word in private if word in text + drawings] == []
