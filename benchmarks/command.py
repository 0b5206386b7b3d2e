"""What the command itself costs: CPU of `headroom --help`, and of one replication of the baseline after imports."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 7
BASELINE = Path(__file__).parent.parent / "scenarios" / "library" / "baseline.yaml"


def help_cpu_s() -> float:
    """Return the CPU seconds of one `headroom --help` in a fresh interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "import headroom; headroom.main()", "--help"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def baseline_cpu_s() -> float:
    """Return the CPU seconds of reading the baseline and running one replication, imports apart."""
    from scenarios import load_profile, load_scenario
    from sim import run

    started_s = time.process_time()
    scenario = load_scenario(BASELINE)
    run(scenario, load_profile(scenario.profile), replications=1)
    return time.process_time() - started_s


def main() -> None:
    """Print median, low and high of each over the rounds."""
    rows = {}
    for name, sample in (("help_cpu_s", help_cpu_s), ("baseline_replication_cpu_s", baseline_cpu_s)):
        values = [sample() for _ in range(ROUNDS)]
        rows[name] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    if "--json" in sys.argv[1:]:
        print(json.dumps(rows))
        return
    for name, row in rows.items():
        print(f"{name}: {row['median']:.3f} ({row['low']:.3f} … {row['high']:.3f}) over {ROUNDS} rounds")


if __name__ == "__main__":
    main()
