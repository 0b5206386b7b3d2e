"""How nodes start: one random stream for each thing that is drawn, so that none moves the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenarios.law import DurationLaw
from scenarios.platform import Transcode
from sim.components.node import Startup
from sim.sampling import law

DRAWN_AT_ONCE = 1_024


class Uniforms:
    """Uniform numbers of [0, 1) one at a time, drawn many at once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[float] = []

    def __call__(self) -> float:
        """Return the next one."""
        if not self._left:
            self._left = self._rng.random(DRAWN_AT_ONCE).tolist()[::-1]
        return self._left.pop()


class Numbered:
    """Uniform numbers of [0, 1), each belonging to a number 0, 1, 2 …, whoever asks first."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._known: list[float] = []

    def of(self, number: int) -> float:
        """Return that of a number."""
        while number >= len(self._known):
            self._known += self._rng.random(DRAWN_AT_ONCE).tolist()
        return self._known[number]


def startups(spec: Transcode, named: Callable[[str], np.random.Generator]) -> Callable[[], Startup]:
    """Return what draws how the next node starts."""
    scheduling, boot, image_pull = (
        _durations(duration, named(name))
        for duration, name in ((spec.scheduling, "scheduling"), (spec.boot, "boot"), (spec.image_pull, "image pull"))
    )
    fails = Uniforms(named("launch failure"))
    return lambda: Startup(scheduling(), boot() + image_pull(), fails())


def _durations(spec: DurationLaw, rng: np.random.Generator) -> Callable[[], float]:
    drawn, uniforms = law(spec), Uniforms(rng)
    return lambda: float(drawn.draw(np.array([uniforms()]))[0])
