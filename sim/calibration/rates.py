"""What only a whole run can tell: CPU of the process, share of the cores in use, resident memory."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.errors import CalibrationError
from sim.calibration.ratios import stages_per_stream_s
from sim.calibration.tables import Bundle
from sim.sampling import Floats

NEEDED = ("wall_s", "media_s", "server_cpu_s", "ingest_cpu_s", "rss_bytes")


def run_rates(bundle: Bundle, sums: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, index run.

    Columns: `streams`; `cpu`, `ingest`, `stages` and `other`, core-seconds per stream-second of the whole
    process, of its RTMP event loop, of all measured stages, and of the rest; `share`, of all cores in use
    by the server; `elsewhere`, share of all cores that other processes and the hypervisor took; `rss`.

    Raises:
        CalibrationError: a run lacks one of these.
    """
    runs = bundle.runs.set_index("run")
    for name in NEEDED:
        lacking = runs.index[~(runs[name] > 0)]
        if len(lacking):
            raise CalibrationError(f"{bundle.folder}: run {lacking[0]} has no {name}; it was cut short, measure again")
    by_run = sums.groupby("run").sum()
    rates = pd.DataFrame(
        {
            "streams": runs["concurrent_streams"],
            "cpu": runs["server_cpu_s"] / runs["media_s"],
            "ingest": runs["ingest_cpu_s"] / runs["media_s"],
            "stages": stages_per_stream_s(bundle, by_run).reindex(runs.index),
            "share": runs["server_cpu_s"] / (runs["wall_s"] * bundle.meta.machine.cores),
            "elsewhere": (runs["steal_fraction"] + runs["contention_fraction"]).fillna(0.0),
            "rss": runs["rss_bytes"],
        }
    )
    rates["other"] = rates["cpu"] - rates["ingest"] - rates["stages"]
    return rates


def memory_slope(rates: pd.DataFrame) -> tuple[float, float, str]:
    """Return resident bytes that one more stream takes, its standard error, and a remark for the reader.

    The least-squares slope over the runs. Where memory did not grow with the streams, so that the slope
    says nothing, the whole process ÷ streams at the largest load stands in: an upper bound, and the remark
    says so.
    """
    streams, rss = rates["streams"].to_numpy(float), rates["rss"].to_numpy(float)
    largest = int(np.argmax(streams))
    upper_bound = float(rss[largest] / streams[largest])
    if len(set(streams)) < 2:
        return upper_bound, 0.0, "upper bound: one load holds, the whole process is charged to its streams"
    spread = float(((streams - streams.mean()) ** 2).sum())
    slope = float(((streams - streams.mean()) * (rss - rss.mean())).sum() / spread)
    if slope <= 0.0:
        return upper_bound, 0.0, "upper bound: memory did not grow with the streams"
    residuals = rss - rss.mean() - slope * (streams - streams.mean())
    degrees = max(len(rates) - 2, 1)
    return slope, float(np.sqrt((residuals**2).sum() / degrees / spread)), ""


def startup_by_stream(bundle: Bundle, runs: pd.DataFrame) -> Floats:
    """Return, for each stream, the time from its accepted publish to its first segment on every rung.

    Raises:
        CalibrationError: no stream has both moments.
    """
    streams = bundle.streams[bundle.streams["run"].isin(runs["run"])]
    startup: Floats = (streams["first_segment_s"] - streams["publish_accepted_s"]).dropna().to_numpy(float)
    if not startup.size:
        raise CalibrationError(
            f"{bundle.folder}: no stream of a run that holds reached its first segment; measure longer"
        )
    return startup
