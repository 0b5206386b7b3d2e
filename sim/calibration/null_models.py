"""The simplest models anyone could use instead of the replay; a fidelity claim stands beside them.

They are given more than the model gets: where one stream of a ladder was measured, they start from that
measurement, held out or not, as whoever keeps a spreadsheet would run one stream first. Where it was not, they start
from what the model predicts for one stream.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sim.calibration.figures import FIGURES
from sim.calibration.outcome import Outcome
from sim.theory import deterministic_wait_s

NULL_MODELS = ("as_at_one", "mdc", "division")
"""As at N = 1; the same plus the wait of M/D/c; cores ÷ CPU per stream."""
WAITING = ("segment_publish_mean", "segment_publish_p95", "segment_publish_p99", "frame_p95")
"""Figures to which M/D/c adds a wait."""


@dataclass(frozen=True)
class NullModels:
    """What the null models say of one case; NaN for what they do not.

    Attributes:
        single: runs of one stream, measured, or else one that was predicted.
        was_measured: which of both.
        fps: of the source.
        cores: of the machine.
    """

    single: Sequence[Outcome]
    was_measured: bool
    fps: float
    cores: int

    @property
    def cpu_s_per_stream_s(self) -> float:
        """CPU of a single stream."""
        return FIGURES["cpu"].of(self.single)

    @property
    def capacity_streams(self) -> int:
        """Cores ÷ CPU per stream, rounded down: capacity as a spreadsheet has it."""
        return math.floor(self.cores / self.cpu_s_per_stream_s + 1e-9)

    def wait_s(self, streams: int) -> float:
        """Return the mean wait of M/D/c: Poisson frames, each on one core for all its stages."""
        return deterministic_wait_s(streams * self.fps, self.cpu_s_per_stream_s / self.fps, self.cores)

    def of(self, metric: str, streams: int) -> dict[str, float]:
        """Return what each null model says of a figure at a load, by its name.

        Of a single stream that was measured they say nothing: there their answer is the measurement itself.
        """
        unknown = dict.fromkeys(NULL_MODELS, math.nan)
        if streams == 1 and self.was_measured:
            return unknown
        if metric == "backlog_slope":
            return unknown | {"as_at_one": 0.0}
        if metric == "overloaded":
            return unknown | {"as_at_one": 0.0, "division": float(streams > self.capacity_streams)}
        single = FIGURES[metric].of_half(self.single)  # few segments: no reason for a rival to stay silent
        wait_s = self.wait_s(streams) if metric in WAITING else math.inf
        return unknown | {"as_at_one": single, "mdc": single + wait_s if math.isfinite(wait_s) else math.nan}
