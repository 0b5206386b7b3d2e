"""The share of all cores in use at the largest number of streams that holds, pooled over ladders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.calibration.evidence import Case
from sim.calibration.regression import Floats
from sim.calibration.resample import Sample

FINEST = 0.02
"""Share of the cores below which a narrower bracket is no better: what runs of one load differ by."""


@dataclass(frozen=True)
class Bracket:
    """Where one ladder's knee lies, in each draw.

    Attributes:
        case: position of the case.
        low: share in use at the largest load that holds, shape (draws,).
        high: the most it can be (see `brackets`), shape (draws,).
    """

    case: int
    low: Floats
    high: Floats


def brackets(sample: Sample, cases: Sequence[Case]) -> list[Bracket]:
    """Return the bracket of every ladder whose streams start staggered.

    The largest load that holds is below the knee, the next one run above it. So the share at the knee lies between
    the share in use at the former and the smaller of two bounds: what the server got hold of in the overloaded run,
    of the cores that were left to it, and what that load would have taken at the cost per stream of the former.
    Where no load failed the upper bound is all cores; such a ladder counts only if no other was bracketed.
    """
    found = []
    for number, case in enumerate(cases):
        if not case.capacity_streams or case.start != "staggered":
            continue
        low = np.minimum(_share(sample, number, case.capacity_streams), 1.0)
        high = np.ones_like(low)
        if case.overloaded_streams is not None:
            failed = sample.facts[_at(sample, number, case.overloaded_streams)]
            achieved = float((failed["share"] / (1.0 - failed["elsewhere"])).mean())
            demanded = low * case.overloaded_streams / case.capacity_streams
            high = np.minimum(np.minimum(achieved, demanded), 1.0)
        found.append(Bracket(number, low, np.maximum(high, low)))
    closed = [bracket for bracket in found if cases[bracket.case].overloaded_streams is not None]
    return closed or found


def usable_core_fraction(found: Sequence[Bracket], *, rng: np.random.Generator | None = None) -> Floats:
    """Return the share in use at the knee, one per draw: the mean over ladders, narrow brackets counting more.

    Within a bracket it is anywhere: its middle, or with `rng` an even draw, and then ladders are resampled too.
    """
    low, high = np.array([b.low for b in found]), np.array([b.high for b in found])
    place: Floats = np.full(low.shape, 0.5)
    taken: Floats = np.ones(low.shape)
    if rng is not None:
        place = rng.random(low.shape)
        taken = rng.multinomial(len(found), np.full(len(found), 1 / len(found)), size=low.shape[1]).T.astype("float64")
    weights = taken / np.maximum(high - low, FINEST) ** 2
    pooled: Floats = (weights * (low + place * (high - low))).sum(axis=0) / weights.sum(axis=0)
    return np.minimum(pooled, 1.0)


def _share(sample: Sample, case: int, streams: int) -> Floats:
    at = _at(sample, case, streams)
    weights = sample.weights[:, at]
    # A slow machine holds fewer streams at the same share of its cores: the speed that is known moves no share.
    off_speed = sample.slow[:, at] / sample.facts["speed"].to_numpy(float)[at]
    share = sample.facts["share"].to_numpy(float)[at] * off_speed
    found: Floats = (weights * share).sum(axis=1) / weights.sum(axis=1)
    return found


def _at(sample: Sample, case: int, streams: int) -> npt.NDArray[np.bool_]:
    """Return which runs are of a case and load."""
    facts = sample.facts
    found: npt.NDArray[np.bool_] = ((facts["case"] == case) & (facts["streams"] == streams)).to_numpy(bool)
    return found
