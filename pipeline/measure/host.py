"""The machine: its facts, and where its CPU went while a load ran."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.gpus import driver_version, gpu_names
from scenarios.machine import MachineFacts

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
STEAL, GUEST = 7, 8
"""Places in a line of /proc/stat; guest time is counted within user time already."""
IDLE_PLACES = (3, 4)


@dataclass(frozen=True)
class CpuTimes:
    """CPU of the cores we may use, since the machine started.

    Attributes:
        busy_s: spent by anything.
        steal_s: taken by the hypervisor for other machines.
        total_s: all that there was.
    """

    busy_s: float
    steal_s: float
    total_s: float


@dataclass(frozen=True)
class CpuShares:
    """Where the CPU of the machine went between two moments, as fractions of all there was.

    Attributes:
        steal: to the hypervisor.
        contention: to processes that are neither server nor generator.
    """

    steal: float
    contention: float


def cpu_times(stat: Path = Path("/proc/stat")) -> CpuTimes:
    """Return the CPU times of the cores this process may run on."""
    busy, steal, total = 0, 0, 0
    ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    for line in stat.read_text(encoding="ascii").splitlines():
        name, *fields = line.split()
        if name not in ours:
            continue
        ticks = [int(field) for field in fields[:GUEST]]
        idle = sum(ticks[place] for place in IDLE_PLACES)
        steal += ticks[STEAL]
        busy += sum(ticks) - idle - ticks[STEAL]
        total += sum(ticks)
    return CpuTimes(busy / TICKS_PER_S, steal / TICKS_PER_S, total / TICKS_PER_S)


def cpu_shares(before: CpuTimes, after: CpuTimes, *, ours_s: float) -> CpuShares:
    """Return where the CPU went; `ours_s` is what server and generator took in that time.

    The kernel counts in ticks of 10 ms, so that over a short time others may seem to have had less than nothing; that
    is none.
    """
    total_s = after.total_s - before.total_s
    others_s = after.busy_s - before.busy_s - ours_s
    return CpuShares((after.steal_s - before.steal_s) / total_s, max(others_s / total_s, 0.0))


def machine_facts() -> MachineFacts:
    """Return what this machine tells about itself; null where it does not."""
    info = _read(Path("/proc/cpuinfo")) or ""
    model = re.search(r"^model name\s*: (.+)", info, re.MULTILINE)
    release = platform.freedesktop_os_release()
    return MachineFacts(
        cpu_model=model[1].strip() if model else platform.processor() or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        architecture=platform.machine(),
        operating_system=f"{release.get('PRETTY_NAME', 'Linux')}, Linux {platform.release()}",
        product_name=_read(Path("/sys/class/dmi/id/product_name")),
        clock_hz=_clock_hz(info),
        gpus=gpu_names(),
        gpu_driver=driver_version(),
    )


def _clock_hz(cpuinfo: str) -> float | None:
    """Return the highest clock; where none is told, as in most virtual machines, the present one."""
    highest_khz = _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
    if highest_khz:
        return float(highest_khz) * 1e3
    mhz = re.search(r"^cpu MHz\s*: ([\d.]+)", cpuinfo, re.MULTILINE)
    return float(mhz[1]) * 1e6 if mhz else None


def _read(path: Path) -> str | None:
    """Return the text of a file of the kernel, None where it has no such file or lets only root read it."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
