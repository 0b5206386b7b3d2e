"""Facts of whole runs: CPU of the process, share of the cores in use, memory, start-up; one row per run."""

from __future__ import annotations

import pandas as pd

from scenarios.errors import CalibrationError
from sim.calibration.evidence import Evidence
from sim.calibration.speed import reference_cpu_s, speed_of_runs

NEEDED = ("wall_s", "media_s", "server_cpu_s", "ingest_cpu_s", "rss_bytes")


def run_facts(evidence: Evidence) -> pd.DataFrame:
    """Return one row per run, index run, in the order of runs.

    Columns: `case`, position of its case; `streams`; `holds`, whether its load is at most the case's capacity;
    `wall_s`, `media_s`; `cpu_s`, `ingest_cpu_s`, `generator_cpu_s` and `audio_cpu_s` (NaN without audio) of the
    window; `share`, of all cores in use by the server; `utilisation`, by server and generator; `elsewhere`, share
    of all cores that other processes and the hypervisor took; `speed`, which brings a CPU time of the run to the
    middle speed of the machine over all runs (`sim.calibration.speed`), 1 where that is not known; `rss_bytes`,
    `idle_rss_bytes`; `startup_s`, mean over its streams from the accepted publish to the first segment on every
    rung (NaN where none got so far); of its case `content`, `preset`, `source_pixels`, `fps` of the source,
    `pixels` of source and encoded rungs together, and `jobs`, the decodings, encodings and muxings of one stream-
    second.

    Raises:
        CalibrationError: a run lacks one of these.
    """
    bundle = evidence.bundle
    runs = bundle.runs.sort_values("run").set_index("run")
    for name in NEEDED:
        lacking = runs.index[~(runs[name] > 0)]
        if len(lacking):
            raise CalibrationError(f"{bundle.folder}: run {lacking[0]} has no {name}; it was cut short, measure again")
    cores_s = runs["wall_s"] * bundle.meta.machine.cores
    case = evidence.case_of.reindex(runs.index)
    streams = bundle.streams.assign(startup_s=bundle.streams["first_segment_s"] - bundle.streams["publish_accepted_s"])
    facts = pd.DataFrame(
        {
            "case": case,
            "streams": runs["concurrent_streams"],
            "holds": runs["concurrent_streams"] <= case.map(lambda number: evidence.cases[number].capacity_streams),
            "wall_s": runs["wall_s"],
            "media_s": runs["media_s"],
            "cpu_s": runs["server_cpu_s"],
            "ingest_cpu_s": runs["ingest_cpu_s"],
            "generator_cpu_s": runs["generator_cpu_s"].fillna(0.0),
            "audio_cpu_s": runs["audio_cpu_s"].astype("float64"),
            "share": runs["server_cpu_s"] / cores_s,
            "utilisation": ((runs["server_cpu_s"] + runs["generator_cpu_s"].fillna(0.0)) / cores_s).clip(upper=1.0),
            "speed": _speed(bundle.runs).reindex(runs.index),
            "elsewhere": (runs["steal_fraction"] + runs["contention_fraction"]).fillna(0.0),
            "rss_bytes": runs["rss_bytes"],
            "idle_rss_bytes": runs["idle_rss_bytes"].astype("float64"),
            "startup_s": streams.groupby("run")["startup_s"].mean().reindex(runs.index),
        }
    )
    return facts.join(_case_facts(evidence), on="case")


def _speed(runs: pd.DataFrame) -> pd.Series[float]:
    around_s, middle_s = speed_of_runs(runs), reference_cpu_s(runs)
    return around_s.rdiv(1.0 if middle_s is None else middle_s).fillna(1.0)


def _case_facts(evidence: Evidence) -> pd.DataFrame:
    rows = []
    for case in evidence.cases:
        ladder, source = case.ladder, case.source
        kept = sum(min(rung.fps, source.fps) * (1 if rung.copied else 2) for rung in ladder.rungs)
        rows.append(
            {
                "content": case.content,
                "preset": case.preset,
                "source_pixels": float(source.pixels),
                "fps": source.fps,
                "pixels": float(source.pixels + sum(rung.pixels for rung in ladder.encoded)),
                "jobs": kept + (source.fps if ladder.encoded else 0.0),
                "segment_s": ladder.segment_s,
            }
        )
    return pd.DataFrame(rows)
