"""Random numbers: one named stream per component, and the laws of a scenario as functions.

Every draw is a uniform number put through the inverse of its law, and belongs to the entity it is drawn for.
A change of law, or a new component, therefore moves nothing else.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from scenarios.law import Constant, DurationLaw, Exponential, Lognormal, Observed, Uniform, Weibull

Floats = npt.NDArray[np.floating[Any]]
SMALLEST = 2.0**-54
"""Half the step of a generator's uniform numbers: what 0 stands for where 0 has no image."""


def stream(seed: int, replication: int, name: str) -> np.random.Generator:
    """Return the random stream of one component in one replication; adding a component moves no other stream."""
    key = (replication, zlib.crc32(name.encode()))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def normal(uniforms: Floats) -> Floats:
    """Return one standard normal number for each uniform number of [0, 1)."""
    found: Floats = special.ndtri(np.maximum(uniforms, SMALLEST))
    return found


@dataclass(frozen=True)
class Law:
    """A duration law as functions of arrays.

    Attributes:
        mean_s: its mean.
        survival: t_s → P(duration > t_s).
        at_survival: u in (0, 1] → the duration that is exceeded with probability u.
    """

    mean_s: float
    survival: Callable[[Floats], Floats]
    at_survival: Callable[[Floats], Floats]

    def draw(self, uniforms: Floats) -> Floats:
        """Return one duration for each uniform number of [0, 1)."""
        return self.at_survival(1.0 - uniforms)

    def draw_remaining(self, age_s: Floats, uniforms: Floats) -> Floats:
        """Return the whole duration of what has already lasted `age_s`, one for each uniform number."""
        return np.maximum(self.at_survival(self.survival(age_s) * (1.0 - uniforms)), age_s)


@singledispatch
def law(spec: DurationLaw) -> Law:
    """Return the functions of a scenario's duration law."""
    raise TypeError(f"no law for {type(spec).__name__}")


@law.register
def _(spec: Constant) -> Law:
    return Law(
        spec.mean_s,
        lambda t: np.where(t < spec.mean_s, 1.0, 0.0),
        lambda u: np.full_like(u, spec.mean_s),
    )


@law.register
def _(spec: Exponential) -> Law:
    return Law(spec.mean_s, lambda t: np.exp(-t / spec.mean_s), lambda u: -spec.mean_s * np.log(u))


@law.register
def _(spec: Lognormal) -> Law:
    sigma = math.sqrt(math.log1p(spec.cv**2))
    scale = spec.mean_s * math.exp(-(sigma**2) / 2)
    frozen = stats.lognorm(s=sigma, scale=scale)
    return Law(spec.mean_s, frozen.sf, lambda u: scale * np.exp(-sigma * special.ndtri(u)))


@law.register
def _(spec: Weibull) -> Law:
    scale = spec.mean_s / math.gamma(1 + 1 / spec.shape)
    return Law(
        spec.mean_s,
        lambda t: np.exp(-((t / scale) ** spec.shape)),
        lambda u: scale * (-np.log(u)) ** (1 / spec.shape),
    )


@law.register
def _(spec: Uniform) -> Law:
    span = spec.high_s - spec.low_s
    return Law(
        (spec.low_s + spec.high_s) / 2,
        lambda t: np.where(t < spec.low_s, 1.0, np.clip((spec.high_s - t) / (span or 1.0), 0.0, 1.0)),
        lambda u: spec.high_s - span * u,
    )


@law.register
def _(spec: Observed) -> Law:
    values = np.sort(np.asarray(spec.values_s))

    def survival(t: Floats) -> Floats:
        return 1.0 - np.searchsorted(values, t, side="right") / values.size

    def at_survival(u: Floats) -> Floats:
        index = np.ceil((1.0 - u) * values.size - 1e-12).astype(int) - 1
        found: Floats = values[np.clip(index, 0, values.size - 1)]
        return found

    return Law(float(values.mean()), survival, at_survival)
