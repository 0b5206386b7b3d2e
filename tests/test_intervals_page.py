"""The page of statistics is what the benchmarks printed, and what was wanted of intervals is met or told as missed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from benchmarks import coverage

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("intervals_page", ROOT / "docs" / "intervals.py")
intervals = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(intervals)


def test_the_page_is_what_was_kept():
    assert intervals.page() == intervals.PAGE.read_text(encoding="utf-8")


def test_intervals_were_judged_on_two_thousand_runs_and_a_miss_would_be_read():
    kept = json.loads((ROOT / "docs" / "measured" / "coverage.json").read_text(encoding="utf-8"))
    assert kept["runs"] >= 2000
    judged = [row["met"] for name in coverage.QUEUES for row in kept[name]["intervals"].values()]
    assert judged.count(None) == 4  # the nulls
    assert intervals.page().count("MISSED") == judged.count(False)
