"""The page about calibrating a GPU: its commands and its scenario are ones that this version takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from headroom import application
from pipeline.ladders.nvenc_errors import NVENC_ERRORS
from scenarios import load_scenario

PAGE = Path(__file__).parent.parent / "docs" / "calibrate-a-gpu.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for kind, block in BLOCKS
    for line in block.splitlines()
    if kind == "sh" and line.startswith("headroom ")
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_is_one_that_the_command_line_takes(words):
    verb = typer.main.get_command(application()).commands[words[0]]
    context = verb.make_context(words[0], words[1:])
    assert not context.args


def test_the_way_leads_from_the_driver_to_the_answer():
    assert [words[0] for words in COMMANDS] == [
        "doctor",
        "serve",
        "validate",
        "measure",
        "measure",
        "fit",
        "replay",
        "run",
    ]


def test_the_scenario_of_the_page_loads(tmp_path):
    ((_, text),) = [block for block in BLOCKS if block[0] == "yaml"]
    (tmp_path / "gpu.yaml").write_text(text, encoding="utf-8")
    scenario = load_scenario(tmp_path / "gpu.yaml")
    assert [rung.name for rung in scenario.ladder.rungs] == ["1080p60", "720p60", "480p30"]


def test_what_it_says_of_failures_is_what_the_table_says():
    meanings = " ".join(meaning for _, meaning in NVENC_ERRORS)
    rows = re.findall(r"^\| (.+?) \| .+ \|$", TEXT.partition("## When it fails")[2], re.MULTILINE)[1:]
    assert len(rows) == 6
    for said in rows:
        assert said.replace("the driver is here", "the NVIDIA driver is here") in meanings


def test_it_says_what_nobody_has_tried():
    assert "Never run on an NVENC GPU" in TEXT
    assert "A100, H100 and H200 have no NVENC" in TEXT
