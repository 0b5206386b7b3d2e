"""The baseline at a fixed seed gives the numbers it gave: integers exactly, floats to 1e-6."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from scenarios import load_profile, load_scenario
from sim import run

ROOT = Path(__file__).parent.parent.parent
GOLDEN = Path(__file__).with_name("baseline.csv")


def measured() -> pd.DataFrame:
    """Return the metrics of both replications."""
    scenario = load_scenario(ROOT / "scenarios" / "library" / "baseline.yaml")
    return run(scenario, load_profile(scenario.profile), seed=1, replications=2).values


def test_baseline_has_not_moved():
    values = measured()
    golden = pd.read_csv(GOLDEN)
    assert list(values["metric"]) == list(golden["metric"])
    for name, now, then in zip(golden["metric"], values["value"], golden["value"], strict=True):
        tolerance = 0 if float(then).is_integer() else 1e-6
        assert now == pytest.approx(then, rel=tolerance, abs=tolerance), name


if __name__ == "__main__":
    measured().to_csv(GOLDEN, index=False)
