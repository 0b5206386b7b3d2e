"""From measurement bundles to a calibration profile."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from scenarios.coefficient import COEFFICIENTS, Coefficient, Provenance
from scenarios.errors import CalibrationError
from scenarios.profile import Draws, Measured, Profile
from sim.calibration.blocks import block_sums
from sim.calibration.bootstrap import CONTENDED_WIDENING, joint_draws, middle
from sim.calibration.evidence import BASE_STREAMS, Evidence, gather
from sim.calibration.profile_file import write_profile
from sim.calibration.rates import memory_slope, run_rates
from sim.sampling import stream

__all__ = ["fit", "rounded", "write_profile"]

FEWEST_SEGMENTS = 3
"""Segment blocks of one stream below which a bootstrap says nothing."""
SIGNIFICANT_DIGITS = 6
"""Of every number of a profile, so that what is written is what was fitted."""


def fit(folders: Sequence[Path], *, name: str, draws: int = 200) -> Profile:
    """Return the profile that one or several bundles of one machine, encoder and ladder support.

    The middle of a coefficient comes from the whole measurement, costs per frame from the runs of one
    stream. Its interval is the 2.5 and 97.5 % quantile of the joint draws (`sim.calibration.bootstrap`),
    stretched to hold the middle. Void runs count nowhere. The same bundles give the same profile, byte for
    byte.

    Args:
        folders: measurement bundles.
        name: of the profile.
        draws: rows of joint draws, at least 2.

    Raises:
        CalibrationError: the bundles cannot be read, do not belong together, or are too thin; the text says
        which
            and what to measure.
    """
    if draws < 2:
        raise CalibrationError(f"a profile needs at least 2 draws, not {draws}; 200 is usual")
    evidence = gather(folders)
    sums = block_sums(evidence.bundle)
    _check_enough(evidence, sums)
    rates = run_rates(evidence.bundle, sums)
    best = middle(evidence, sums=sums, rates=rates)
    _check_finite(evidence, best)
    rng = stream(zlib.crc32(" ".join(evidence.identities).encode()), 0, "calibration bootstrap")
    rows = joint_draws(evidence, sums=sums, rates=rates, draws=draws, rng=rng)
    coefficients = _coefficients(evidence, best, rows, remarks=_remarks(evidence, rates))
    keys = [coefficient.key for coefficient in coefficients]
    return Profile(
        headroom_profile=1,
        name=name,
        machine=evidence.bundle.meta.machine,
        encoder=evidence.bundle.meta.encoder,
        measured=_measured(evidence),
        coefficients=coefficients,
        draws=Draws(
            columns=tuple(keys),
            rows=tuple(tuple(rounded(value) for value in row) for row in rows[keys].to_numpy()),
        ),
    )


def rounded(value: float) -> float:
    """Return a number rounded to the digits of a profile."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _coefficients(
    evidence: Evidence, best: dict[str, float], rows: pd.DataFrame, *, remarks: dict[str, str]
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


def _remarks(evidence: Evidence, rates: pd.DataFrame) -> dict[str, str]:
    """Return what a reader must know of single coefficients."""
    base = rates[rates["streams"] == BASE_STREAMS]
    top = rates[rates["streams"] == evidence.capacity_streams]
    growth = float(top["cpu"].mean() / base["cpu"].mean()) - 1.0
    other = float(base["other"].mean())
    holding = rates[rates["streams"] <= evidence.capacity_streams]
    knee = f"N = {evidence.capacity_streams} holds"
    above = evidence.overloaded_streams
    widened = f"interval × {CONTENDED_WIDENING:g}: other load disturbed the measurement" if evidence.contended else ""
    remarks = {
        "cpu_growth_at_capacity": f"measured {growth:+.3f}, set to 0" if growth < 0 else "",
        "other_cpu_s_per_stream_s": f"measured {other:+.5f}, set to 0" if other < 0 else "",
        "usable_core_fraction": f"{knee}, N = {above} does not" if above else f"{knee}, nothing larger was run",
        "rss_bytes_per_stream": memory_slope(holding if len(holding) > 1 else rates)[2],
    }
    return {name: "; ".join(filter(None, (remarks.get(name, ""), widened))) for name in COEFFICIENTS}


def _measured(evidence: Evidence) -> Measured:
    segments = evidence.bundle.segments
    behind = segments["run"].isin(evidence.holding_runs()["run"]) & ~segments["warm_up"]
    return Measured(
        bundles=evidence.identities,
        date=evidence.date,
        source=evidence.bundle.source,
        ladder=evidence.bundle.ladder,
        concurrent_streams=evidence.loads,
        capacity_streams=evidence.capacity_streams,
        segments=int((behind & segments["closing_arrival_s"].notna()).sum()),
        contended=evidence.contended,
    )


def _check_enough(evidence: Evidence, sums: pd.DataFrame) -> None:
    base = set(evidence.runs_at(BASE_STREAMS)["run"])
    blocks = int(sums.index.get_level_values("run").isin(base).sum())
    if blocks < FEWEST_SEGMENTS:
        raise CalibrationError(
            f"{evidence.bundle.folder}: {blocks} segments of one stream after the warm-up, a fit needs "
            f"at least {FEWEST_SEGMENTS} (8 or more are usual); measure longer"
        )


def _check_finite(evidence: Evidence, best: dict[str, float]) -> None:
    lacking = [key for key, value in best.items() if not np.isfinite(value)]
    if lacking:
        raise CalibrationError(
            f"{evidence.bundle.folder}: {lacking[0]} cannot be told from these samples, as no such "
            "frame fell into the measured window; measure longer, or with keyframes at most one segment apart"
        )
