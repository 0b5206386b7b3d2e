"""A spreadsheet takes no text of ours for a formula, and numbers stay numbers."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from sim.csv_file import write_csv

SOURCES = Path(__file__).parent.parent.parent / "sim"
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\n=1", '=HYPERLINK("http://x","y")')
HARMLESS = ("c7g.4xlarge", "'=1", "a=b", "", "–", "1 … 2")


def cells(frame: pd.DataFrame, path: Path) -> list[list[str]]:
    write_csv(frame, path)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_has_a_quote_before_it(text, tmp_path):
    assert cells(pd.DataFrame({text: [text]}), tmp_path / "a.csv") == [[f"'{text}"], [f"'{text}"]]


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text, tmp_path):
    assert cells(pd.DataFrame({"name": [text], "n": [1]}), tmp_path / "a.csv")[1] == [text, "1"]


@pytest.mark.parametrize(("text", "shown"), [("\r=1", "'\n=1"), ("a\r=1", "a\n=1"), ("a\r\n=1", "a\n=1")])
def test_a_line_break_begins_no_row(text, shown, tmp_path):
    assert cells(pd.DataFrame({"name": [text]}), tmp_path / "a.csv") == [["name"], [shown]]


def test_numbers_stay_numbers_beside_text_and_where_none_is_known(tmp_path):
    frame = pd.DataFrame({"usd": [-1.5, float("nan"), 1e-9], "count": [-3, 0, 4], "name": ["=x", "y", None]})
    write_csv(frame, tmp_path / "a.csv")
    again = pd.read_csv(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(again[["usd", "count"]], frame[["usd", "count"]])
    assert again["name"].tolist()[:2] == ["'=x", "y"]
    mixed = pd.DataFrame({"value": pd.Series([-1.5, "-1.5"], dtype=object)})
    assert cells(mixed, tmp_path / "b.csv")[1:] == [["-1.5"], ["'-1.5"]]


def test_every_table_of_ours_is_written_so():
    others = [path.name for path in SOURCES.rglob("*.py") if ".to_csv(" in path.read_text(encoding="utf-8")]
    assert others == ["csv_file.py"]
