"""From measurement bundles to a calibration profile."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scenarios.coefficient import COEFFICIENTS, Coefficient, Provenance
from scenarios.errors import CalibrationError
from scenarios.profile import Draws, Measured, MeasuredLadder, NodeSize, Profile, Range
from sim.calibration.blocks import block_sums
from sim.calibration.bootstrap import CONTENDED_WIDENING, LawError, joint_draws, law_errors, middle
from sim.calibration.cores import Scheduling
from sim.calibration.evidence import BASE_STREAMS, Case, Evidence, gather
from sim.calibration.node_sizes import NODE_CORES, node_sizes, pattern_of
from sim.calibration.profile_file import write_profile
from sim.calibration.rates import run_facts
from sim.calibration.scheduling import GRIDS, Fitted, fit_scheduling, observed_loads
from sim.calibration.service_costs import service_cost_draws, service_costs
from sim.calibration.speed import reference_cpu_s
from sim.calibration.workers import Progress, part_of
from sim.sampling import stream

__all__ = ["fit", "rounded", "write_profile"]

FEWEST_SEGMENTS = 3
"""Segment blocks of one stream below which a bootstrap says nothing."""
SIGNIFICANT_DIGITS = 6
"""Of every number of a profile, so that what is written is what was fitted."""


def fit(
    folders: Sequence[Path],
    *,
    name: str,
    preset: str | None = None,
    draws: int = 200,
    scheduling: Scheduling | None = None,
    node_cores: Sequence[int] = NODE_CORES,
    workers: int = 1,
    progress: Progress | None = None,
) -> Profile:
    """Return the profile that one or several bundles of one machine and backend support.

    The middle of a coefficient comes from the whole measurement (`sim.calibration.laws`). Its interval is the 2.5
    and 97.5 % quantile of the joint draws (`sim.calibration.bootstrap`), stretched to hold the middle. Void runs
    count nowhere. The same bundles give the same profile, byte for byte.

    Args:
        folders: measurement bundles.
        name: of the profile.
        preset: whose encoding is fitted; the chief's if None. All other stages take every run.
        draws: rows of joint draws, at least 2.
        scheduling: taken as known, from another measurement of the machine; fitted if None.
        node_cores: core counts at which the node model is run for `Profile.nodes`.
        workers: processes that run the node model; no digit depends on it.
        progress: told after each load of each grid of the scheduler's fit, and after each node size.

    Raises:
        CalibrationError: the bundles cannot be read, do not belong together, or are too thin; the text says which
            and what to measure.
    """
    if draws < 2:
        raise CalibrationError(f"a profile needs at least 2 draws, not {draws}; 200 is usual")
    evidence = gather(folders, preset=preset)
    sums = block_sums(evidence.bundle)
    _check_enough(evidence, sums)
    facts = run_facts(evidence)
    best = middle(evidence, facts, sums)
    _check_finite(evidence, best)
    error = law_errors(evidence, facts, sums)
    rng = stream(zlib.crc32(" ".join([*evidence.identities, evidence.preset]).encode()), 0, "calibration bootstrap")
    rows = joint_draws(evidence, facts, sums, best=best, law_error=error, draws=draws, rng=rng)
    loads = observed_loads(evidence) if scheduling is None else []
    before = GRIDS * len(loads)
    steps = before + len(node_cores)
    cores = (
        fit_scheduling(loads, best, workers=workers, progress=part_of(progress, 0, steps))
        if scheduling is None
        else Fitted.known(scheduling)
    )
    best |= vars(cores.best) | service_costs(evidence.bundle)
    rows = rows.join([cores.draws(draws, rng), service_cost_draws(evidence.bundle, draws=draws, rng=rng)])
    coefficients = _coefficients(evidence, best, rows, _remarks(evidence, error, cores))
    middles = {coefficient.key: coefficient.middle for coefficient in coefficients}
    tell = part_of(progress, before, steps)
    nodes = node_sizes(pattern_of(evidence), middles, cores=node_cores, workers=workers, progress=tell)
    return _profile(name, evidence, _measured(evidence, facts), coefficients, nodes, rows)


def rounded(value: float) -> float:
    """Return a number rounded to the digits of a profile."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _profile(
    name: str,
    evidence: Evidence,
    measured: Measured,
    coefficients: tuple[Coefficient, ...],
    nodes: tuple[NodeSize, ...],
    rows: pd.DataFrame,
) -> Profile:
    keys = [coefficient.key for coefficient in coefficients]
    drawn = rows[keys].to_numpy()
    return Profile(
        headroom_profile=2,
        name=name,
        machine=evidence.bundle.meta.machine,
        encoder=evidence.bundle.meta.encoders[evidence.preset],
        measured=measured,
        nodes=nodes,
        coefficients=coefficients,
        draws=Draws(columns=tuple(keys), rows=tuple(tuple(rounded(value) for value in row) for row in drawn)),
    )


def _coefficients(
    evidence: Evidence, best: Mapping[str, float], rows: pd.DataFrame, remarks: Mapping[str, str]
) -> tuple[Coefficient, ...]:
    order = {name: position for position, name in enumerate(COEFFICIENTS)}
    found = []
    for key in sorted(best, key=lambda key: (order[key.split(" ")[0]], key)):
        coefficient, _, of = key.partition(" ")
        low, high = np.quantile(rows[key], [0.025, 0.975])
        remark = f"; {remarks[coefficient]}" if remarks.get(coefficient) else ""
        found.append(
            Coefficient(
                name=coefficient,
                of=of,
                unit=COEFFICIENTS[coefficient].unit,
                middle=rounded(best[key]),
                low=rounded(min(float(low), best[key])),
                high=rounded(max(float(high), best[key])),
                provenance=Provenance(
                    kind="measured",
                    source=f"bundle {', '.join(evidence.identities)}{remark}",
                    date=evidence.date,
                ),
            )
        )
    return tuple(found)


def _remarks(evidence: Evidence, error: LawError, cores: Fitted) -> dict[str, str]:
    """Return what a reader must know of single coefficients."""
    widened = f"interval × {CONTENDED_WIDENING:g}: other load disturbed the measurement" if evidence.contended else ""
    sources = {case.source.pixels for case in evidence.cases}
    one_size = "proportional to pixels: one size of source was measured" if len(sources) == 1 else ""
    remarks = {
        "usable_core_fraction": ", ".join(_knees(evidence)),
        "encode_cpu_s_per_pixel": str(error),
        **{name: f"against {evidence.chief.content}" for name in COEFFICIENTS if name.endswith("_content_factor")},
        **dict.fromkeys(vars(cores.best), str(cores)),
        **dict.fromkeys(("decode_cpu_s_per_pixel", "scale_cpu_s_per_source_pixel", "rss_bytes_per_pixel"), one_size),
    }
    return {name: "; ".join(filter(None, (remarks.get(name, ""), widened))) for name in COEFFICIENTS}


def _knees(evidence: Evidence) -> Iterator[str]:
    """Yield what was seen of each ladder whose streams start staggered."""
    for case in evidence.cases:
        if case.start == "staggered" and case.capacity_streams:
            above = case.overloaded_streams
            behind = f"N = {above} does not" if above else "nothing larger was run"
            yield f"{case.ladder_name}: N = {case.capacity_streams} holds, {behind}"


def _measured(evidence: Evidence, facts: pd.DataFrame) -> Measured:
    segments = evidence.bundle.segments
    reference_s = reference_cpu_s(evidence.bundle.runs)
    behind = segments["run"].isin(evidence.holding_runs()["run"]) & ~segments["warm_up"]
    return Measured(
        bundles=evidence.identities,
        date=evidence.date,
        ladders=tuple(_ladder(case) for case in evidence.cases),
        utilisation=Range(low=rounded(float(facts["share"].min())), high=rounded(float(facts["share"].max()))),
        segments=int((behind & segments["closing_arrival_s"].notna()).sum()),
        contended=evidence.contended,
        reference_cpu_s=None if reference_s is None else rounded(reference_s),
    )


def _ladder(case: Case) -> MeasuredLadder:
    bracketed = case.overloaded_streams is not None and case.capacity_streams > 0
    return MeasuredLadder(
        name=case.ladder_name,
        source=case.source,
        ladder=case.ladder,
        content=case.content,
        preset=case.preset,
        start="aligned" if case.start == "aligned" else "staggered",
        concurrent_streams=case.loads,
        capacity_streams=case.capacity_streams if bracketed else None,
        overloaded_streams=case.overloaded_streams,
    )


def _check_enough(evidence: Evidence, sums: pd.DataFrame) -> None:
    runs = evidence.bundle.runs
    base = set(runs.loc[runs["concurrent_streams"] == BASE_STREAMS, "run"])
    blocks = int(sums.index.get_level_values("run").isin(base).sum())
    if blocks < FEWEST_SEGMENTS:
        raise CalibrationError(
            f"{evidence.bundle.folder}: {blocks} segments of one stream after the warm-up, a fit needs "
            f"at least {FEWEST_SEGMENTS} (8 or more are usual); measure longer"
        )


def _check_finite(evidence: Evidence, best: Mapping[str, float]) -> None:
    lacking = [key for key, value in best.items() if not np.isfinite(value)]
    if lacking:
        raise CalibrationError(
            f"{evidence.bundle.folder}: {lacking[0]} cannot be told from these samples, as no such "
            "frame fell into the measured window; measure longer, or with keyframes at most one segment apart"
        )
