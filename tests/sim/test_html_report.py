"""The report: complete, self-contained, deaf to hostile names, silent about the host, the same bytes each time."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import platform
import sys
from pathlib import Path

import platforms
import profiles
import pytest
from page_reader import BLOCKS, Reader

import sim
from scenarios import load_scenario
from scenarios.catalogue import load_catalogue
from scenarios.coefficient import Provenance
from scenarios.errors import NotReady
from sim.answer import answer, failure_rows
from sim.carried import carried_coefficients
from sim.cli.simulation import report as report_verb
from sim.html_page import coefficient_row, weakest
from sim.html_report import page, report
from sim.metrics import METRICS
from sim.plots import PLOTS
from sim.replication import run
from sim.results import RunResult, read_result

HOSTILE = (
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '"onload=alert(1) x="',
    "javascript:alert(1)",
    "</style><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "$5_{ vs $10",
)


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(platforms.scenario(), profiles.profile(), replications=3)


@pytest.fixture
def one_plot(monkeypatch):
    """Draw one plot only, where a test is not about plots."""
    monkeypatch.setattr("sim.html_report.PLOTS", {"full_node": PLOTS["full_node"]})


def titled(result: RunResult, text: str) -> RunResult:
    return dataclasses.replace(result, scenario=platforms.scenario(title=text, question=text))


def test_the_page_answers_then_shows_then_says_what_it_rests_on(result):
    text = page(result)
    seen = Reader(text)
    assert seen.texts["h1"] == ["A small platform"]
    assert seen.texts["h2"] == ["The numbers", "The plots", "What it rests on", "How to repeat it"]
    assert seen.texts["strong"] == [answer(result)[0]]
    assert sum(tag == "img" for tag, _ in seen.tags) == len(PLOTS)
    cells = seen.texts["td"]
    for row in result.table().itertuples(index=False):
        what, *numbers = row
        place = next(index for index, cell in enumerate(cells) if cell.removesuffix(" (binds)") == what)
        assert cells[place + 1 : place + 1 + len(numbers)] == numbers
    assert {METRICS[name].component for name in METRICS} < set(seen.texts["th"])
    assert set(result.rests_on()) <= set(seen.texts["li"])
    for coefficient in result.profile.coefficients:
        assert coefficient.key in seen.texts["code"]


def test_the_answer_is_written_from_the_numbers(result):
    text = " ".join(answer(result))
    shown = result.table().set_index("what")["mean"]
    days = result.table().set_index("what")["95 % of days"]
    assert f"need {shown['most nodes at the same time']}" in text
    assert f"95 % of days need {days['most nodes at the same time']}." in text
    assert f"CPU binds: on a full node it stands at {shown['planned CPU in use on a full node']}" in text
    assert "an assumed 0.085 USD per node-hour" in text
    assert f"delivery to viewers {shown['delivery to viewers'].removesuffix('/month')}" in text


def test_a_fleet_at_its_limit_is_not_called_enough():
    scenario = platforms.scenario(**{"platform.transcode.max_nodes": 2})
    text = answer(run(scenario, profiles.profile(), replications=2))
    assert text[0].startswith("UNSTABLE in 2 of 2 runs")
    assert "reach the limit of 2 nodes (max_nodes)" in text[1]
    assert any("of broadcasts are refused or give up" in sentence for sentence in text)


def test_failures_have_a_table_of_their_own_and_a_hostile_name_does_nothing_there():
    failing = platforms.scenario(
        **{
            "platform.transcode.zones": ("a", "b"),
            "failures": ({"kind": "zone_loss", "name": "<script>", "at_s": 3600.0, "zones": ("a",)},),
        }
    )
    result = run(failing, profiles.profile(), replications=2)
    seen = Reader(page(result))
    assert "What goes wrong" in seen.texts["h2"]
    (row,) = failure_rows(result)
    assert row[:2] == ("<script>", "20:00")
    assert set(row) <= set(seen.texts["td"])
    assert not [tag for tag, _ in seen.tags if tag in BLOCKS]
    (hit,) = result.failures().itertuples()
    assert 20 < hit.broadcasts < 40
    assert 60 <= hit.back_after_s <= 600


def test_the_weakest_provenance_is_named():
    profile = profiles.profile()
    assert f"{len(profile.coefficients)} coefficients all are assumed" in weakest(profile.coefficients)
    measured = Provenance(kind="measured", source="bundle x", date=profiles.DATE)
    strong = [c.model_copy(update={"provenance": measured}) for c in profile.coefficients]
    mixed = profile.model_copy(update={"coefficients": (profile.coefficients[0], *strong[1:])})
    assert f"1 are only assumed ({profile.coefficients[0].key})" in weakest(mixed.coefficients)
    assert "all are measured" in weakest(strong)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.usefixtures("one_plot")
def test_hostile_text_is_shown_and_does_nothing(result, text):
    seen = Reader(page(titled(result, text)))
    assert seen.texts["h1"] == [text]
    assert seen.texts["title"] == [text]
    assert text in seen.texts["p"]
    assert not [tag for tag, _ in seen.tags if tag in BLOCKS]
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]


@pytest.mark.parametrize(("hidden", "shown"), [("\u202e", "⟨U+202E⟩"), ("\u2066", "⟨U+2066⟩"), ("\x00", "⟨U+0000⟩")])
@pytest.mark.usefixtures("one_plot")
def test_characters_that_hide_or_turn_text_are_spelt_out(result, hidden, shown):
    text = page(titled(result, f"fleet {hidden}tsoc"))
    assert Reader(text).texts["h1"] == [f"fleet {shown}tsoc"]
    assert hidden not in text


@pytest.mark.usefixtures("one_plot")
def test_emoji_and_joined_letters_stay_whole(result):
    assert Reader(page(titled(result, "👩‍💻 नमस्ते"))).texts["h1"] == ["👩‍💻 नमस्ते"]


def test_the_page_loads_nothing_and_allows_nothing(result):
    text = page(result)
    seen = Reader(text)
    sources = [value for _, attributes in seen.tags for name, value in attributes.items() if name in ("src", "href")]
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    (style,) = seen.texts["style"]
    assert not [word for word in ("@import", "url(", "expression(") if word in style]
    policy = next(attributes["content"] for _, attributes in seen.tags if "http-equiv" in attributes)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ")[:3] == ["default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'"]
    assert not [attributes for _, attributes in seen.tags if "style" in attributes]
    for source in sources:
        drawing = Reader(base64.b64decode(source.partition(",")[2]).decode())
        assert "script" not in drawing.texts
        assert all(value.startswith("#") for _, a in drawing.tags for name, value in a.items() if "href" in name)


@pytest.mark.usefixtures("one_plot")
def test_the_page_holds_what_it_takes_to_repeat_it(result, tmp_path):
    hostile = titled(result, HOSTILE[0] + "\u202e")
    command, scenario = Reader(page(hostile)).texts["pre"]
    assert command.splitlines() == [
        "headroom run scenario.yaml --profile invented.yaml --seed 1 --replications 3 --out result",
        "headroom report result",
    ]
    file = tmp_path / "scenario.yaml"
    file.write_text(scenario, encoding="utf-8")
    assert load_scenario(file) == hostile.scenario


def test_equal_results_give_equal_bytes_wherever_they_are_written(result, tmp_path):
    first = report(result, tmp_path / "one" / "a.html").read_bytes()
    assert report(result, tmp_path / "two" / "b.html").read_bytes() == first
    result.write(tmp_path / "result")
    assert report(read_result(tmp_path / "result"), tmp_path / "c.html").read_bytes() == first
    other = run(platforms.scenario(), profiles.profile(), replications=3, seed=2)
    assert page(other).encode() != first


@pytest.mark.usefixtures("one_plot")
def test_the_page_says_nothing_about_the_host(result, tmp_path):
    result.write(tmp_path / "result")
    report_verb(tmp_path / "result")
    text = (tmp_path / "result" / "report.html").read_text(encoding="utf-8")
    words = [str(tmp_path), str(Path.cwd()), str(Path.home()) + "/", sys.prefix, platform.release()]
    words += [name for name in (platform.node(),) if len(name) > 3]
    assert [word for word in words if word in text] == []


@pytest.mark.parametrize("place", ["file/report.html", "folder"])
@pytest.mark.usefixtures("one_plot")
def test_a_place_that_cannot_be_written_is_named_and_left_clean(result, tmp_path, place):
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotReady, match="cannot be written"):
        report(result, tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_without_jinja_the_reader_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "sim.html_report")
    monkeypatch.delitem(sys.modules, "sim.html_page")
    with pytest.raises(NotReady, match=r"pip install 'headroom\[report\]'"):
        _ = sim.report


def test_coefficients_of_a_gpu_are_shown_in_units_one_can_read():
    listed = {"platform.transcode.nic_bps": None, "platform.transcode.node_price_usd_per_hour": None}
    scenario = platforms.scenario(**listed, **{"platform.transcode.instance": "g4dn.xlarge"})
    rows = {one.key: coefficient_row(one) for one in carried_coefficients(scenario, load_catalogue())}
    assert rows["encode_engines"]["value"] == "1"  # an engine, not 100 %
    assert rows["decode_engines"]["interval"] == "2 … 2"
    assert rows["video_clock_hz"]["value"] == "1,280 MHz"
    assert rows["encode_engine_s_per_pixel h264 p4"]["value"] == "1.822 engine-ns/pixel"
