"""Rivals measured side by side in interleaved rounds: ratios of CPU time, their median and spread."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FEWEST_ROUNDS = 7

Sample = Callable[[], float]


def interleaved(samples: Mapping[str, Sample], rounds: int) -> dict[str, list[float]]:
    """Return what each rival gave in each round; every round runs all of them, in turn forwards and backwards."""
    found: dict[str, list[float]] = {name: [] for name in samples}
    for number in range(rounds):
        order = list(samples) if number % 2 == 0 else list(reversed(samples))
        for name in order:
            found[name].append(samples[name]())
            print(f"round {number + 1}/{rounds}  {name}: {found[name][-1]:.4f}", file=sys.stderr, flush=True)
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Return the spread of the ratios within each round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def child_cpu_s(command: Sequence[str]) -> float:
    """Return the CPU seconds, user and system, of a process and what it waited for; CalledProcessError if it fails."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def machine() -> dict[str, object]:
    """Return what the figures belong to, without naming the host."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*: (.+)", info, re.MULTILINE)
    cores = len(os.sched_getaffinity(0))
    return {
        "cpu": model[1].strip() if model else platform.machine(),
        "cores": cores,
        "load_average": os.getloadavg()[0],
    }


def show(document: Mapping[str, object]) -> None:
    """Print the outcome: one JSON object with `--json`, else a line a key."""
    if "--json" in sys.argv[1:]:
        print(json.dumps(document))
        return
    for name, value in document.items():
        if isinstance(value, dict) and set(value) == {"median", "low", "high"}:
            print(f"{name}: {value['median']:.4g} ({value['low']:.4g} … {value['high']:.4g})")
        else:
            print(f"{name}: {value}")
