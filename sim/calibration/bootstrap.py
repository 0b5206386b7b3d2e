"""Joint draws: one resample of the measurement gives one row of all coefficients, so correlation stays.

What is resampled, and what stands in where there is nothing to resample:

* Runs of a load with replacement, where it was repeated; and within the runs of one stream segment blocks
  (`sim.calibration.blocks`), with replacement too.
* A run is one observation of the machine's speed on that day. One lognormal factor per load and draw
  multiplies all that is CPU time at that load. Its spread is the spread between streams of one run and, as
  long as a load was run fewer than `FEW_REPEATS` times, `UNREPEATED_CV` ÷ √runs beside it: two runs that
  happen to agree prove nothing. Runs and factor are shared by cost and cores in use at the same load: a slow
  day makes both larger and moves the number of streams that fit hardly at all.
* Ingest and the unexplained rest are known once per run. The spread over the runs that hold, whatever their
  load, stands in for the spread of repeats; it includes growth with load, so it errs to the wide side.
* The knee lies between the largest load that holds and the next that does not (see `_cores_in_use`).
* A contended measurement has every draw moved away from the middle by `CONTENDED_WIDENING`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sim.calibration.evidence import BASE_STREAMS, Evidence
from sim.calibration.rates import memory_slope, startup_by_stream
from sim.calibration.ratios import frame_coefficients, stream_spread

Floats = npt.NDArray[np.float64]

UNREPEATED_CV = 0.05
"""Spread between runs where none was repeated: repeated measurements of one ladder on one machine gave 0.33
to 0.39 CPU-seconds per stream-second, while wall-clock figures moved by a factor of three."""
FEW_REPEATS = 3
"""Runs of a load from which on their own spread is believed."""
CONTENDED_WIDENING = 1.5
"""Factor on the distance of a draw from the middle, of a logarithm where the middle is not 0."""


def middle(evidence: Evidence, *, sums: pd.DataFrame, rates: pd.DataFrame) -> dict[str, float]:
    """Return the coefficients as the whole measurement tells them, by key."""
    base, top = _at(rates, BASE_STREAMS), _at(rates, evidence.capacity_streams)
    of_frames = frame_coefficients(_total(sums.loc[list(base.index)]), evidence.bundle).iloc[0]
    return {
        **{str(key): float(value) for key, value in of_frames.items()},
        "ingest_cpu_s_per_stream_s": float(base["ingest"].mean()),
        "other_cpu_s_per_stream_s": max(float(base["other"].mean()), 0.0),
        "cpu_growth_at_capacity": max(float(top["cpu"].mean() / base["cpu"].mean()) - 1.0, 0.0),
        "usable_core_fraction": min(float(top["share"].mean()), 1.0),
        "rss_bytes_per_stream": memory_slope(_holding(rates, evidence))[0],
        "startup_s": float(startup_by_stream(evidence.bundle, evidence.holding_runs()).mean()),
    }


def joint_draws(
    evidence: Evidence, *, sums: pd.DataFrame, rates: pd.DataFrame, draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Return `draws` rows of coefficients, columns by key; see the module for how each is drawn."""
    best = middle(evidence, sums=sums, rates=rates)
    base, top = _at(rates, BASE_STREAMS), _at(rates, evidence.capacity_streams)
    between_streams = stream_spread(sums)
    slow = _speed_factor(between_streams, repeats=len(base), draws=draws, rng=rng)
    slow_top = _speed_factor(between_streams, repeats=len(top), draws=draws, rng=rng)
    picked = rng.integers(0, len(base), size=(draws, len(base)))
    picked_top = rng.integers(0, len(top), size=(draws, len(top)))
    resamples = _resample([sums.loc[run].to_numpy() for run in base.index], picked, rng)
    rows = frame_coefficients(pd.DataFrame(resamples, columns=sums.columns), evidence.bundle)
    rows = rows.fillna({key: best[key] for key in rows.columns})  # a resample without a keyframe
    in_time = [key for key in rows.columns if "cpu_s_per_frame" in key or key == "segment_publish_s"]
    rows[in_time] = rows[in_time].mul(slow, axis=0)
    holding = _holding(rates, evidence)
    rows["ingest_cpu_s_per_stream_s"] = _run_rate(best["ingest_cpu_s_per_stream_s"], holding["ingest"], slow, rng)
    rows["other_cpu_s_per_stream_s"] = _run_rate(best["other_cpu_s_per_stream_s"], holding["other"], slow, rng)
    growth = _picked(top["cpu"], picked_top) * slow_top / (_picked(base["cpu"], picked) * slow) - 1.0
    rows["cpu_growth_at_capacity"] = np.maximum(growth, 0.0)
    share = _picked(top["share"], picked_top)
    rows["usable_core_fraction"] = np.minimum(_cores_in_use(evidence, rates, share, rng) * slow_top, 1.0)
    rows["rss_bytes_per_stream"] = _memory(holding, draws, rng)
    startup = startup_by_stream(evidence.bundle, evidence.holding_runs())
    streams = rng.integers(0, startup.size, size=(draws, startup.size))
    rows["startup_s"] = startup[streams].mean(axis=1) * _speed_factor(0.0, repeats=1, draws=draws, rng=rng)
    return _widened(rows, best) if evidence.contended else rows


def _resample(blocks: Sequence[Floats], picked: npt.NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """Return sums over resampled blocks, one row per draw.

    Args:
        blocks: for each run, its block sums, shape (blocks, columns).
        picked: runs of each draw, shape (draws, runs).
        rng: picks the blocks.
    """
    totals = np.zeros((len(picked), blocks[0].shape[1]))
    for draw, runs in enumerate(picked):
        for run in runs:
            size = len(blocks[run])
            totals[draw] += blocks[run][rng.integers(0, size, size=size)].sum(axis=0)
    return totals


def _picked(of_runs: pd.Series[float], picked: npt.NDArray[np.int64]) -> Floats:
    """Return the mean over the runs of each draw."""
    means: Floats = of_runs.to_numpy(float)[picked].mean(axis=1)
    return means


def _speed_factor(between_streams: float, *, repeats: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return lognormal factors of mean 1; see the module for their spread."""
    cv = math.hypot(between_streams, UNREPEATED_CV / math.sqrt(repeats) if repeats < FEW_REPEATS else 0.0)
    sigma = math.sqrt(math.log1p(cv**2))
    return rng.lognormal(-(sigma**2) / 2, sigma, size=draws)


def _run_rate(best: float, over_runs: pd.Series[float], slow: Floats, rng: np.random.Generator) -> Floats:
    spread = float(over_runs.std(ddof=1)) if len(over_runs) > 1 else UNREPEATED_CV * best
    return np.maximum(best * slow + spread * rng.standard_normal(slow.size), 0.0)


def _cores_in_use(evidence: Evidence, rates: pd.DataFrame, share: Floats, rng: np.random.Generator) -> Floats:
    """Return draws of the share of all cores in use at the knee, from those at the largest load that holds.

    That load is seen to be below the knee, the next one above it. So the share at the knee lies between the
    share in use at the former and the smaller of two bounds: what the server got hold of in the overloaded
    run, of the cores that were left to it, and what that load would have taken at the cost per stream of the
    former. Within these bounds the draws are triangular with their mode at the lower one, as nothing above it
    has been seen to work. Where no load failed, the upper bound is all cores.
    """
    bound = np.ones_like(share)
    if evidence.overloaded_streams is not None:
        overloaded = _at(rates, evidence.overloaded_streams)
        achieved = float((overloaded["share"] / (1.0 - overloaded["elsewhere"])).mean())
        demanded = share * evidence.overloaded_streams / evidence.capacity_streams
        bound = np.minimum(np.minimum(achieved, demanded), 1.0)
    triangular = 1.0 - np.sqrt(rng.random(share.size))
    return share + np.maximum(bound - share, 0.0) * triangular


def _memory(rates: pd.DataFrame, draws: int, rng: np.random.Generator) -> Floats:
    slope, error, _ = memory_slope(rates)
    drawn = slope * _speed_factor(0.0, repeats=1, draws=draws, rng=rng) + error * rng.standard_normal(draws)
    return np.maximum(drawn, slope / 10)  # a stream without memory would fit a node without end


def _widened(rows: pd.DataFrame, best: dict[str, float]) -> pd.DataFrame:
    wide: dict[str, pd.Series[float] | Floats] = {}
    for key, drawn in rows.items():
        at = best[str(key)]
        if at > 0.0 and (drawn > 0.0).all():
            wide[str(key)] = at * (drawn / at) ** CONTENDED_WIDENING
        else:
            wide[str(key)] = np.maximum(at + (drawn - at) * CONTENDED_WIDENING, 0.0)
    widened = pd.DataFrame(wide)
    widened["usable_core_fraction"] = widened["usable_core_fraction"].clip(upper=1.0)
    return widened


def _at(rates: pd.DataFrame, streams: int) -> pd.DataFrame:
    return rates[rates["streams"] == streams]


def _holding(rates: pd.DataFrame, evidence: Evidence) -> pd.DataFrame:
    """Return the runs up to the capacity; all where that is a single one, which says nothing of spread."""
    holding = rates[rates["streams"] <= evidence.capacity_streams]
    return holding if len(holding) > 1 else rates


def _total(sums: pd.DataFrame) -> pd.DataFrame:
    return sums.sum().to_frame().T
