"""The verb `review`: what it prints, what it writes, and what bad input gets, with its place in the file."""

from __future__ import annotations

import json
import sys

import pytest

import headroom
from sim.capacity_review import finals, stages

TYPES = "this-machine,c6i.4xlarge,c7g.4xlarge"
SMALL = """\
extends: baseline
set:
  horizon.horizon_s: 30 min
  horizon.start_hour: 20
  workload.broadcasts.peak_concurrent: 60
  workload.audience.peak_viewers: 2000
"""


@pytest.fixture
def verb(tmp_path, monkeypatch, capsys):
    """Return the verb on a small scenario with few days, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stages, "REPLICATIONS", 4)
    monkeypatch.setattr(stages, "DRAWS", 100)
    monkeypatch.setattr(finals, "LEAST", 3)

    def run(*arguments: str, more: str = "") -> tuple[str, str, object]:
        (tmp_path / "mine.yaml").write_text(SMALL + more, encoding="utf-8")
        command = ["headroom", "review", "mine.yaml", "--workers", "1", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        try:
            headroom.main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code
        return (*capsys.readouterr(), code)

    return run


def test_it_prints_types_ways_to_buy_what_to_measure_and_the_answer(verb):
    out, _, code = verb("--instances", TYPES)
    assert code == 0
    lines = out.splitlines()
    for title in ("nodes at the peak", "a node holds", "bought", "what is not known"):
        assert any(title in line for line in lines)
    assert lines[-1].startswith("Of 3 types ")
    assert "3 full days of 3 finalists" in out


def test_plain_data_and_nothing_else(verb):
    out, _, code = verb("--instances", TYPES, "--json")
    document = json.loads(out)
    assert code == 0
    assert {row["instance"] for row in document["types"]} == set(TYPES.split(","))


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [
        (
            ("--instances", "g6.xlage,c6i.4xlarge"),
            "",
            "--instances: g6.xlage: no instance type 'g6.xlage' in the catalogue",
        ),
        (("--instances", "p5.48xlarge,c6i.4xlarge"), "", "p5.48xlarge: an NVIDIA H100 has no encoding engine"),
        (("--instances", TYPES), "  slo: null\n", "mine.yaml:7:3: slo: a review judges types by a promise"),
        (
            ("--instances", TYPES),
            "  slo: {start_wait_p95_s: 0.1}\n",
            "mine.yaml:7:3: slo: no type keeps it on 90% of days; the nearest is ",
        ),
        (
            ("--instances", TYPES),
            "  platform.transcode.autoscaler.sync_period_s: 0.00001\n",
            "a run that is meant is forced by --force",
        ),
    ],
    ids=["unknown", "no encoder", "no promise", "promise out of reach", "beyond the budget"],
)
def test_bad_input_says_what_to_do_and_where(verb, arguments, more, message):
    out, err, code = verb(*arguments, more=more)
    assert (out, code) == ("", 2)
    assert message in err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(verb, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "review", lambda *_, **__: pytest.fail("it was simulated first"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").write_text("a file", encoding="utf-8")
    for out, message in (("mine", "mine exists and is not a review of headroom"), ("file/x", "cannot be written")):
        _, err, code = verb("--instances", TYPES, "--out", out)
        assert code != 0
        assert message in err


def test_a_folder_of_a_review_is_written_and_replaced(verb, tmp_path):
    for _ in range(2):
        _, _, code = verb("--instances", TYPES, "--out", "found", "--json")
        assert code == 0
    assert [path.name for path in sorted((tmp_path / "found").iterdir())] == [
        "answer.json",
        "measure_next.csv",
        "purchases.csv",
        "report.html",
        "review.json",
        "types.csv",
    ]
