"""Faults H1 to H7 for both of our pages, in a real browser: nothing runs, nothing is asked for, nothing is hidden."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path

import platforms
import profiles
import pytest
from browser import Viewer, chromium, viewing
from hostile import HIDDEN, HOSTILE, TURNED, WHOLE
from page_reader import BLOCKS
from reviewed import small_review

from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim import html_report
from sim.capacity_review import page as review_page
from sim.capacity_review.result import Review
from sim.replication import run
from sim.results import RunResult

pytestmark = pytest.mark.requires_chromium

TITLE = f"{HOSTILE[0]} {HOSTILE[4]} {TURNED} {HIDDEN} {WHOLE}"
QUESTION = " ".join(HOSTILE)
SHOWN_TITLE = f"{HOSTILE[0]} {HOSTILE[4]} ⟨U+202E⟩gnp.exe⟨U+2066⟩ nul⟨U+0000⟩bell⟨U+0007⟩ {WHOLE}"
DRAWING = re.compile(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)")
SHARED = {"title": TITLE, "question": QUESTION}
FAILURES = tuple(
    {"kind": "zone_loss", "name": text, "at_s": 600.0 + 60.0 * number, "zones": ("a",)}
    for number, text in enumerate(HOSTILE)
)


def hostile_profile() -> Profile:
    """Return a profile with a hostile text in each field that a page shows."""
    profile = profiles.profile()
    coefficients = tuple(
        one.model_copy(update={"provenance": one.provenance.model_copy(update={"source": HOSTILE[number % 40]})})
        for number, one in enumerate(profile.coefficients)
    )
    changes = {
        "name": HOSTILE[2],
        "machine": profile.machine.model_copy(update={"cpu_model": QUESTION}),
        "encoder": profile.encoder.model_copy(update={"preset": HOSTILE[3], "backend": HOSTILE[5]}),
        "measured": profile.measured.model_copy(update={"bundles": HOSTILE}),
        "coefficients": coefficients,
    }
    return profile.model_copy(update=changes)


@pytest.fixture(scope="module")
def result() -> RunResult:
    hostile = platforms.scenario(
        **SHARED, **{"platform.transcode.zones": ("a", "b"), "failures": FAILURES, "horizon.horizon_s": 3600.0}
    )
    plain = run(hostile, profiles.profile(), replications=2)
    return dataclasses.replace(plain, profile=hostile_profile())


@pytest.fixture(scope="module")
def review() -> Review:
    plain, profile = small_review(), hostile_profile()
    changed = {"scenario": titled(plain.scenario), "profile": profile}
    changed["dropped"] = dict.fromkeys(list(plain.candidates)[:1], QUESTION + TURNED)
    changed["stopped"] = QUESTION + HIDDEN
    for field in ("finals", "screened"):
        changed[field] = {
            name: dataclasses.replace(one, scenario=titled(one.scenario), profile=profile)
            for name, one in getattr(plain, field).items()
        }
    return dataclasses.replace(plain, **changed)


def titled(scenario: Scenario) -> Scenario:
    return scenario.model_copy(update=SHARED)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(result, review, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    return {
        "run": html_report.report(result, folder / "run.html"),
        "review": review_page.write_review_page(review, folder / "review.html"),
    }


def assert_idle(viewer: Viewer, url: str) -> None:
    """Assert that the page ran nothing and asked for nothing but itself and what it holds."""
    assert [asked for asked in viewer.requests if not asked.startswith("data:image/svg+xml;")] == [url]
    assert (viewer.dialogs, viewer.complaints) == ([], [])


@pytest.mark.parametrize("name", ["run", "review"])
def test_hostile_texts_are_shown_and_do_nothing_offline(browser, pages, name):
    url = pages[name].as_uri()
    with viewing(browser, offline=True) as viewer:
        viewer.page.goto(url)
        viewer.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        shown = viewer.page.inner_text("body")
        title = viewer.page.inner_text("h1")
        tags = viewer.page.evaluate("[...document.querySelectorAll('*')].map(one => one.localName)")
        named = viewer.page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(one => [...one.attributes].map(of => of.name))"
        )
        broken = viewer.page.evaluate("[...document.images].filter(one => !one.naturalWidth).length")
        viewer.page.mouse.move(300, 300)
        viewer.page.keyboard.press("Tab")
        assert_idle(viewer, url)
    assert title == SHOWN_TITLE
    assert [text for text in HOSTILE if text not in " ".join(shown.split())] == []
    assert not [tag for tag in tags if tag in BLOCKS]
    assert not [attribute for attribute in named if attribute.startswith("on") or attribute == "style"]
    assert broken == 0


@pytest.mark.parametrize("name", ["run", "review"])
def test_a_drawing_does_nothing_even_as_a_document_of_its_own(browser, pages, tmp_path, name):
    drawings = [base64.b64decode(found) for found in DRAWING.findall(pages[name].read_text(encoding="utf-8"))]
    assert len(drawings) >= 5
    paths = [tmp_path / f"{number}.svg" for number in range(len(drawings))]
    tags: set[str] = set()
    with viewing(browser, offline=True) as viewer:
        for path, drawing in zip(paths, drawings, strict=True):
            path.write_bytes(drawing)
            viewer.page.goto(path.as_uri())
            tags |= set(viewer.page.evaluate("[...document.querySelectorAll('*')].map(one => one.localName)"))
        assert viewer.requests == [path.as_uri() for path in paths]
        assert (viewer.dialogs, viewer.complaints) == ([], [])
    assert {"svg", "path"} < tags
    assert not {"script", "foreignObject", "image", "a", "iframe"} & tags


def test_a_page_that_lets_one_text_through_is_caught(browser, pages, tmp_path):
    """The planted mistake: what these tests look at does see a script, a request and an image that load."""
    text = pages["run"].read_text(encoding="utf-8").replace("<header>", f"{HOSTILE[0]}{HOSTILE[14]}<header>", 1)
    planted = tmp_path / "planted.html"
    planted.write_text(re.sub("<meta http-equiv[^>]*>", "", text), encoding="utf-8")
    with viewing(browser) as viewer:
        viewer.page.goto(planted.as_uri(), wait_until="commit")
        viewer.page.wait_for_load_state()
        assert viewer.dialogs == ["1"]
        assert "http://hostile.example/x.png" in viewer.requests


def test_the_policy_stops_what_would_get_through(browser, pages, tmp_path):
    text = pages["review"].read_text(encoding="utf-8").replace("<header>", f"{HOSTILE[0]}{HOSTILE[14]}<header>", 1)
    planted = tmp_path / "planted.html"
    planted.write_text(text, encoding="utf-8")
    with viewing(browser) as viewer:
        viewer.page.goto(planted.as_uri())
        assert viewer.dialogs == []
        assert len(viewer.complaints) == 2


@pytest.mark.parametrize("width", [390, 1280])
def test_the_review_is_no_wider_than_its_window(browser, pages, width):
    with viewing(browser, viewport={"width": width, "height": 800}) as viewer:
        viewer.page.goto(pages["review"].as_uri())
        assert viewer.page.evaluate("document.documentElement.scrollWidth") == width


def test_no_table_is_cut_on_a4(browser, pages):
    """Text width of A4 portrait between margins of 16 mm, at 96 pixels to the inch."""
    width = round((210 - 2 * 16) / 25.4 * 96)
    with viewing(browser, viewport={"width": width, "height": 1000}) as viewer:
        viewer.page.emulate_media(media="print")
        viewer.page.goto(pages["review"].as_uri())
        wide = viewer.page.evaluate(
            "[...document.querySelectorAll('table, pre')].map(one => one.getBoundingClientRect().right)"
        )
        assert max(wide) <= width + 0.5


def test_hostile_texts_in_a_notebook_do_nothing(browser, result, review, tmp_path):
    """What pandas and our results write for a notebook, on a page without any policy of ours."""
    parts = [result._repr_html_(), review._repr_html_(), review.table().assign(type=HOSTILE[0])._repr_html_()]
    path = tmp_path / "notebook.html"
    path.write_text("<!doctype html><meta charset=utf-8><title>x</title>" + "".join(parts), encoding="utf-8")
    with viewing(browser, offline=True) as viewer:
        viewer.page.goto(path.as_uri())
        shown = " ".join(viewer.page.inner_text("body").split())
        assert_idle(viewer, path.as_uri())
    assert [text for text in HOSTILE if text not in shown] == []
