"""A what-if is a difference on the same days: exact where it is known, narrower than between independent runs."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from platforms import scenario
from profiles import profile
from scipy import stats
from typer.testing import CliRunner

from headroom import application
from scenarios.errors import CalibrationError
from sim import compare, run
from sim.results import to_json

LIBRARY = Path(__file__).parent.parent.parent / "scenarios" / "library"
SHORT = {"horizon.horizon_s": 1800.0}
BEFORE = scenario(**SHORT)


@pytest.fixture(scope="module")
def dearer():
    """The same fleet at twice the price of a node."""
    return compare(
        BEFORE, scenario(**SHORT, **{"platform.transcode.node_price_usd_per_hour": 0.17}), profile(), replications=5
    )


def of_metric(comparison, name):
    return comparison.differences.set_index("metric").loc[name]


def test_twice_the_price_costs_as_much_again_and_changes_nothing_else(dearer):
    money = of_metric(dearer, "transcode_usd_per_month")
    assert money["difference"] == pytest.approx(money["first"])
    assert money["second"] == pytest.approx(2 * money["first"])
    others = dearer.differences.set_index("metric").drop(["transcode_usd_per_month", "usd_per_stream_hour"])
    assert (others["difference"].dropna() == 0).all()
    assert (others["low"].dropna() == 0).all()


def test_a_scenario_against_itself_differs_in_nothing():
    same = compare(BEFORE, BEFORE, profile(), replications=3)
    assert (same.differences[["difference", "low", "high"]].dropna() == 0).all(axis=None)
    assert set(same.table()["told apart"]) == {"the same"}


def test_the_interval_is_students_over_paired_replications():
    longer = scenario(**SHORT, **{"workload.broadcasts.peak_concurrent": 66.0})
    found = compare(BEFORE, longer, profile(), replications=6)
    values = [
        result.values.query("metric == 'broadcasts_peak'").sort_values("replication")["value"].to_numpy()
        for result in (found.first, found.second)
    ]
    interval = stats.ttest_rel(values[1], values[0]).confidence_interval(0.95)
    row = of_metric(found, "broadcasts_peak")
    assert (row["low"], row["high"]) == pytest.approx(tuple(interval))
    assert row["replications"] == 6
    assert row["noise_left"] == pytest.approx(
        np.std(values[1] - values[0], ddof=1) / math.hypot(*(np.std(of, ddof=1) for of in values))
    )


def test_both_sides_are_what_run_gives_alone(dearer):
    alone = run(BEFORE, profile(), replications=5)
    assert dearer.first.values.equals(alone.values)


def test_a_difference_needs_two_days():
    with pytest.raises(CalibrationError, match="at least 2 replications, not 1"):
        compare(BEFORE, BEFORE, profile(), replications=1)


def test_the_document_is_plain_and_the_table_is_text(dearer):
    found = json.loads(to_json(dearer.document()))
    assert found["replications"] == 5
    assert {row["metric"] for row in found["differences"]} == set(dearer.differences["metric"])
    assert dearer.table().map(lambda cell: isinstance(cell, str)).all(axis=None)
    told = dearer.table().set_index("what")["told apart"]
    assert told["transcode nodes"] == "yes"
    assert "of the noise" in " ".join(dearer.notes())
    assert "<table" in dearer._repr_html_()


def test_the_command_prints_the_differences_of_the_library(tmp_path):
    """Over two hours of them; the README shows their whole day."""
    files = [str(tmp_path / name) for name in ("baseline.yaml", "more_clusters.yaml")]
    for file in map(Path, files):
        file.write_text(f"extends: {LIBRARY / file.name}\nset:\n  horizon.horizon_s: 2 h\n")
    done = CliRunner().invoke(application(), ["compare", *files, "--replications", "3", "-q"])
    assert done.exit_code == 0, done.output
    assert "What do 24 smaller clusters instead of 8 do" in done.output
    (hits,) = [line for line in done.output.splitlines() if line.startswith("segment requests served by a cluster")]
    assert hits.rstrip().endswith("yes")
    assert re.search(r" -\d+\.\d+ points ", hits)
    (fleet,) = [line for line in done.output.splitlines() if line.startswith("most nodes at the same time")]
    assert fleet.rstrip().endswith("the same")
