"""How fast a machine was while it was measured, told by the fixed job before each run, and what that moves.

One job is half a second, and a machine that is disturbed changes from second to second: the median of the five jobs
around a run says more about it than the one before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from scenarios.coefficient import COEFFICIENTS
from scenarios.errors import CalibrationError
from scenarios.profile import Profile

CPU_UNIT = "core-s"
"""How the unit of a CPU time begins."""
JOBS_AROUND = 5


def reference_cpu_s(runs: pd.DataFrame) -> float | None:
    """Return the median CPU time of the fixed job over some runs; None where it was not run."""
    found = runs["reference_cpu_s"].dropna()
    return None if found.empty else float(found.median())


def speed_of_runs(runs: pd.DataFrame) -> pd.Series[float]:
    """Return the median of the fixed jobs around each run, index run; NaN where none was run.

    Args:
        runs: of one measurement, void ones too: their jobs count.
    """
    ordered = runs.set_index("run")["reference_cpu_s"].astype("float64").sort_index()
    return ordered.rolling(JOBS_AROUND, center=True, min_periods=1).median()


def slowness_of_runs(runs: pd.DataFrame, profile: Profile) -> pd.Series[float]:
    """Return how long the fixed job took around each run ÷ around those of the fit, index run; NaN where unknown."""
    then = profile.measured.reference_cpu_s
    return speed_of_runs(runs) / (float("nan") if then is None else then)


def require_known(slowness: float, bundle: str, profile: Profile) -> None:
    """Check that it is known how fast a machine was.

    Raises:
        CalibrationError: the fixed job was not run in the fit's measurement or in this one.
    """
    if not math.isnan(slowness):
        return
    where = f"profile {profile.name}" if profile.measured.reference_cpu_s is None else f"bundle {bundle}"
    raise CalibrationError(
        f"{where} does not say how fast its machine was (reference_cpu_s): it is older than that job; "
        "leave --at-speed out, or measure again"
    )


def slowed(values: Mapping[str, float], factor: float) -> dict[str, float]:
    """Return coefficients by key with every CPU time multiplied; all other numbers stay."""
    return {
        key: value * factor if COEFFICIENTS[key.split(" ")[0]].unit.startswith(CPU_UNIT) else value
        for key, value in values.items()
    }
