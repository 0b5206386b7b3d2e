"""What a day of Twitch's size costs to simulate: 24 hours, some 700,000 broadcasts, peaks of 120,000 and 6.5 million.

Four sizes, each in a process of its own, tell how the cost grows, and a hundredth of the size what every day costs
whatever its size; another run ticks once in the day, which leaves the control plane. A slice of 40 broadcasts and
2,000 viewers over ten minutes of the evening is also run viewer by viewer and request by request
(`benchmarks.per_viewer`): CPU per viewer-second there ÷ CPU per viewer-second of the whole day.

`--size SHARE` tells a day of a share of the size, and takes the four sizes in proportion to it.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys

from benchmarks.pairs import machine, show
from benchmarks.per_viewer import PerViewer
from benchmarks.twitch_day_of_size import SCENARIO, SEED, changed
from scenarios import load_scenario

SHARES = (0.5, 1.0, 2.0, 4.0)
"""Sizes whose cost is compared; further down, what ticks cost with hardly anybody in them hides how it grows."""
NEARLY_EMPTY = 0.01
DAY_S = 86_400.0
ONE_CORE = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SLICE = {
    "workload.broadcasts.peak_concurrent": 40.0,
    "workload.audience.peak_viewers": 2000.0,
    "horizon.start_hour": 20.0,
    "horizon.horizon_s": 600.0,
}


def child(share: float, tick_s: float | None = None) -> dict[str, float]:
    """Return what a run in a process of its own printed; CalledProcessError if it fails."""
    arguments = [str(share)] if tick_s is None else [str(share), str(tick_s)]
    command = [sys.executable, "-m", "benchmarks.twitch_day_of_size", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ONE_CORE)
    found: dict[str, float] = json.loads(done.stdout)
    print(f"{share:g} of the size, tick {found['tick_s']:g} s: {found['cpu_s']:.1f} s CPU", file=sys.stderr, flush=True)
    return found


def slope(sizes: list[float], costs: list[float]) -> float:
    """Return the slope of log cost over log size, by least squares."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(cost) for cost in costs]).slope


def measured(size: float) -> dict[str, object]:
    """Return every figure of the benchmark; told is the day of a share `size` of the whole."""
    days = [child(size * share) for share in SHARES]
    control = child(size, DAY_S)
    totals = PerViewer(changed(load_scenario(SCENARIO), SLICE), seed=SEED, replication=0).run()
    day = days[SHARES.index(1.0)]
    fluid_cpu_s = day["cpu_s"] / day["viewer_seconds"]
    slice_cpu_s = totals.cpu_s / totals.viewer_seconds
    return {
        "machine": machine(),
        "share_of_the_size": size,
        **day,
        "life_cycles_per_cpu_s": control["broadcasts"] / control["cpu_s"],
        "control_plane_cpu_s": control["cpu_s"],
        "slope": slope([one["broadcasts"] for one in days], [one["cpu_s"] for one in days]),
        "nearly_empty_cpu_s": child(size * NEARLY_EMPTY)["cpu_s"],
        "sizes": list(SHARES),
        "cpu_s_by_size": [one["cpu_s"] for one in days],
        "ratio_to_per_viewer": slice_cpu_s / fluid_cpu_s,
        "slice": {
            "broadcasts": SLICE["workload.broadcasts.peak_concurrent"],
            "viewers": SLICE["workload.audience.peak_viewers"],
            "horizon_s": SLICE["horizon.horizon_s"],
            "viewer_seconds": totals.viewer_seconds,
            "events_per_viewer_second": totals.events / totals.viewer_seconds,
            "cpu_s": totals.cpu_s,
            "cpu_us_per_viewer_second": 1e6 * slice_cpu_s,
            "fluid_cpu_us_per_viewer_second": 1e6 * fluid_cpu_s,
        },
    }


def main() -> None:
    """Print the figures: one JSON object with `--json`, else a line a key."""
    arguments = sys.argv[1:]
    show(measured(float(arguments[arguments.index("--size") + 1]) if "--size" in arguments else 1.0))


if __name__ == "__main__":
    main()
