"""What a reader must know of a replay: what its figures rest on, and what no prediction has in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from scenarios.bundle import BundleMeta
from scenarios.profile import Profile
from sim.calibration.cases import Case, MeasuredRun, Measurements
from sim.calibration.comparison import BANDS
from sim.calibration.evidence import hardware
from sim.calibration.prediction import bands_rest_on
from sim.calibration.speed import slowness_of_runs

WITHIN = [name for _, name in BANDS]
CANNOT_KNOW = (
    "what an unseen clip shows: its frames are taken to cost what those of the reference content do",
    "how many bits a rung is encoded to: encoding has no term in bits",
    "how the costs of single frames hang together: each is drawn by itself, so that no burst of dear ones comes",
    "Python's global lock: threads wait for cores in the model, not for each other",
    "caches, memory bandwidth and clocks that cores share, beyond one growth of all costs with the cores in use",
    "the system's scheduler, beyond three numbers that were fitted to latencies",
    "other processes and the hypervisor: the model shares its cores with the load generator alone",
    "the machine's speed on that day: two measurements of one load differ by the noise floor",
    "frames that are dropped once seconds of them wait: beyond capacity the model's queue grows without end",
    "sockets: an arrival is the moment when its frame was complete at the server",
)
"""What no prediction of the node model has in it."""


def notes(measurements: Measurements, profile: Profile, metrics: pd.DataFrame) -> Iterator[str]:
    """Yield, in sentences, what a reader of a replay's figures must know.

    Args:
        measurements: what was replayed.
        profile: that predicted.
        metrics: its tidy figures.
    """
    cases = measurements.by_case()
    seen = [bundle.meta.identity for bundle in measurements.bundles if bundle.meta.identity in profile.measured.bundles]
    if seen:
        yield f"in-sample: the profile was fitted to {', '.join(seen)}; those errors say how well it fits, no more"
    if metrics["noise_floor"][metrics["metric"] != "n_max"].isna().all():
        yield "noise floor: not measured: one repeat of every load"
    elif ((metrics["repeats"] == 1) & metrics["band"].isin(WITHIN)).any():
        yield "medians and verdicts are of loads that were repeated; single runs, as of a search, have no noise floor"
    if not (metrics["metric"] == "n_max").any():
        yield "N_max was not measured: no load held below one that did not"
    known = bands_rest_on(cases)
    assumed = sorted({f"{case.ladder} of {case.clip}" for case in cases if case not in known})
    if assumed:
        yield f"shares of N_max are of the predicted one where none was measured: {', '.join(assumed)}"
    shown = {run.arrivals.content for runs in cases.values() for run in runs}
    if unseen := sorted(shown - set(profile.measured.contents)):
        reference = profile.measured.chief.content
        yield f"no clip of {', '.join(unseen)} was fitted: its frames count as those of {reference}"
    yield _grounds_of_null_models(metrics, cases)
    for bundle in measurements.bundles:
        yield from _notes_of_bundle(measurements, profile, bundle.meta, bundle.runs)
    for preset, runs in measurements.left_out.items():
        yield f"{runs} runs of preset {preset} are left out: the profile is of preset {profile.encoder.preset}"
    yield "above 0.8 of N_max only the backlog is compared: latency there is the length of the test"


def _grounds_of_null_models(metrics: pd.DataFrame, cases: Mapping[Case, Sequence[MeasuredRun]]) -> str:
    alone = {case.content for case, runs in cases.items() if any(run.load == 1 for run in runs)}
    lacking = sorted({f"{case.ladder} of {case.clip}" for case in cases if case.content not in alone})
    text = "the null models start from the measurement of one stream, held out or not, which the model does not see"
    return f"{text}; from the predicted one for {', '.join(lacking)}" if lacking else text


def _notes_of_bundle(
    measurements: Measurements, profile: Profile, meta: BundleMeta, runs: pd.DataFrame
) -> Iterator[str]:
    named = f"{meta.identity}: " if len(measurements.bundles) > 1 else ""
    if hardware(meta.machine) != hardware(profile.machine):
        yield (
            f"{named}the profile is of another machine ({profile.machine.cpu_model}, {profile.machine.cores} cores) "
            f"than the bundle ({meta.machine.cpu_model}, {meta.machine.cores} cores)"
        )
    if meta.identity not in profile.measured.bundles and meta.depth != "holdout":
        yield f"{named}not fitted, but held out by no protocol either: its ladders may be ones that the fit has seen"
    factor = float(slowness_of_runs(runs, profile).median())
    if not math.isnan(factor):
        yield (
            f"{named}the fixed job took {factor - 1:+.1%} of CPU time against the runs of the fit: by so much was the "
            "machine slower then (+) or faster (-)"
        )
    if meta.contended:
        yield f"{named}contended: other load disturbed the measurement"
    if void := int((runs["verdict"] == "void").sum()):
        yield f"{named}{void} of {len(runs)} runs are void and stand nowhere in this table"
