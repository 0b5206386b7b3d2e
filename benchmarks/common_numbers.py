"""What it is worth that a what-if runs on the same days: variance of unpaired ÷ variance of paired differences.

`python -m benchmarks.common_numbers [--replications N] [--workers N] [--json]`. Two scenarios of the library run with
common random numbers (`sim.sampling`). Unpaired runs would have the sum of both variances; the paired differences have
their own. Their quotient is by how many times more replications unpaired runs would need for the same interval. It
belongs to the example and the metric, so it is told for each, with a bootstrap interval over replications.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import machine
from scenarios.profile import load_profile
from scenarios.scenario_file import load_scenario
from sim import compare
from sim.comparison import Comparison
from sim.metrics import METRICS
from sim.sampling import Floats, stream
from sim.statistics.intervals import CONFIDENCE, RESAMPLES, Interval

LIBRARY = Path(__file__).parent.parent / "scenarios" / "library"
WHAT_IFS = (
    ("baseline", "source_rung"),
    ("baseline", "more_clusters"),
    ("twitch_evening", "twitch_evening_quota"),
)
HEADLINES = (
    "transcode_usd_per_month",
    "nodes_peak",
    "egress_usd_per_month",
    "segment_hit_ratio",
    "start_wait_p95_s",
    "source_only_fraction",
)
"""Metrics that the answer of a run begins with, and what the what-ifs are about."""
REPLICATIONS = 30
TELLABLE = 1e-6
"""Relative; what differs by less on every day, nobody asks about."""


def reduction(first: Floats, second: Floats, rng: np.random.Generator) -> Interval:
    """Return variance of unpaired ÷ variance of paired differences, and its percentile bootstrap interval.

    Args:
        first: a metric by replication.
        second: the same of the other scenario, on the same days.
        rng: for the resamples.

    Returns:
        NaN where neither varies, infinite where only the difference does not.
    """
    picked = rng.integers(first.size, size=(RESAMPLES, first.size))
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = _quotient(first[picked], second[picked])
        value = float(_quotient(first, second))
    known = drawn[~np.isnan(drawn)]
    if not known.size:
        return Interval(value, math.nan, math.nan)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf")
    return Interval(value, float(low), float(high))


def _quotient(first: Floats, second: Floats) -> Floats:
    unpaired = first.var(axis=-1, ddof=1) + second.var(axis=-1, ddof=1)
    found: Floats = unpaired / (second - first).var(axis=-1, ddof=1)
    return found


def rows(found: Comparison, seed: int) -> dict[str, dict[str, Any]]:
    """Return a row for each headline metric that both have and that varies."""
    told = {}
    sides = [
        side.values.pivot_table(index="replication", columns="metric", values="value")
        for side in (found.first, found.second)
    ]
    for metric in HEADLINES:
        if not all(metric in side for side in sides):
            continue
        both = np.array([side[metric] for side in sides])
        both = both[:, np.isfinite(both).all(axis=0)]
        if both.shape[1] < 2 or both.std(axis=1).max() == 0:
            continue
        interval = reduction(both[0], both[1], stream(seed, 0, f"resamples of {metric}"))
        told[metric] = {
            **{name: value if math.isfinite(value) else None for name, value in interval._asdict().items()},
            "same_every_day": bool(np.allclose(both[0], both[1], rtol=TELLABLE, atol=0.0)),
            "replications": both.shape[1],
        }
    return told


def main() -> None:
    """Print a table for each what-if, or one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replications", type=int, default=REPLICATIONS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    told: dict[str, Any] = {"machine": machine(), "replications": asked.replications, "seed": asked.seed}
    for names in WHAT_IFS:
        first, second = (load_scenario(LIBRARY / f"{name}.yaml") for name in names)
        found = compare(
            first,
            second,
            load_profile(first.profile),
            second_profile=load_profile(second.profile),
            seed=asked.seed,
            replications=asked.replications,
            workers=asked.workers,
        )
        told[" against ".join(names)] = rows(found, asked.seed)
        print(f"{names}: done", file=sys.stderr, flush=True)
    print(json.dumps(told) if asked.json else text(told))


def text(told: dict[str, Any]) -> str:
    """Return the outcome as lines."""
    lines = [f"{told['replications']} replications, seed {told['seed']}"]
    for what_if, found in told.items():
        if not isinstance(found, dict) or what_if == "machine":
            continue
        lines.append(f"\n{what_if}")
        for metric, one in found.items():
            ends = ["∞" if one[end] is None else f"{one[end]:.3g}" for end in ("value", "low", "high")]
            factor = "the same every day" if one["same_every_day"] else f"{ends[0]} ({ends[1]} … {ends[2]})"
            lines.append(f"  {METRICS[metric].meaning:<50} {factor}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
