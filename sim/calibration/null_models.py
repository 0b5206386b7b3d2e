"""The simplest models anyone could use instead of the replay; a fidelity claim stands beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.ladder import Ladder, Source
from sim.calibration.outcome import FIGURES, Outcome
from sim.stream_cost import load_growth, stream_cpu_s, utilisation
from sim.theory import deterministic_wait_s

NULL_MODELS = ("as_at_one", "mdc", "division")
"""As at N = 1; the same plus the wait of M/D/c; cores ÷ CPU per stream."""


@dataclass(frozen=True)
class NullModels:
    """What the null models say; NaN for what they do not.

    Attributes:
        values: the profile's coefficients by key, its middles.
        source, ladder, cores: of the bundle.
        single: the measured runs of one stream, for what the profile does not hold; may be empty.
    """

    values: Mapping[str, float]
    source: Source
    ladder: Ladder
    cores: int
    single: Sequence[Outcome]

    @property
    def cpu_s_per_stream_s(self) -> float:
        """CPU of a single stream, from the profile."""
        cpu_s = stream_cpu_s(self.values, self.source, self.ladder)
        load = utilisation(self.values, cpu_s, cores=self.cores)
        return cpu_s * load_growth(self.values, load) + self.values["base_cpu_s_per_s"]

    @property
    def capacity_streams(self) -> int:
        """Cores ÷ CPU per stream, rounded down: capacity as a spreadsheet has it."""
        return math.floor(self.cores / self.cpu_s_per_stream_s + 1e-9)

    def wait_s(self, streams: int) -> float:
        """Return the mean wait of M/D/c: Poisson frames, each on one core for all its stages."""
        return deterministic_wait_s(streams * self.source.fps, self.cpu_s_per_stream_s / self.source.fps, self.cores)

    def of(self, metric: str, streams: int) -> dict[str, float]:
        """Return what each null model says of a figure at a load, by its name."""
        unknown = dict.fromkeys(NULL_MODELS, math.nan)
        if metric == "cpu":
            return unknown | {"as_at_one": self.cpu_s_per_stream_s}
        if metric == "backlog_slope":
            return unknown | {"as_at_one": 0.0}
        if metric == "overloaded":
            return unknown | {"as_at_one": 0.0, "division": float(streams > self.capacity_streams)}
        single = self._single(metric)
        wait_s = self.wait_s(streams)
        return unknown | {"as_at_one": single, "mdc": single + wait_s if math.isfinite(wait_s) else math.nan}

    def _single(self, metric: str) -> float:
        if metric == "segment_publish_mean":
            return self.values["segment_publish_s"]
        return FIGURES[metric].of(self.single) if self.single else math.nan
