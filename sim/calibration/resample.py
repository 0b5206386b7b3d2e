"""Resamples of a measurement: which runs and segment blocks count, and how often, in each of many draws.

What is resampled, and what stands in where there is nothing to resample:

* Runs of one case and load with replacement, where it was repeated; within each run segment blocks
  (`sim.calibration.blocks`), with replacement too.
* Every CPU time is brought to the middle speed of the machine over all runs, as far as the fixed job tells it.
* A run is one observation of the machine's speed at that moment. One lognormal factor per case, load and draw
  multiplies all that is CPU time there. Its spread is the spread between streams of one run and, as long as the
  load was run fewer than `FEW_REPEATS` times, `UNREPEATED_CV` ÷ √runs beside it: two runs that happen to agree
  prove nothing. Cost and cores in use at one load share it: a slow moment makes both larger and moves the number
  of streams that fit hardly at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

UNREPEATED_CV = 0.05
"""Spread between runs where none was repeated: repeated measurements of one ladder on one machine gave 0.33
to 0.39 CPU-seconds per stream-second, while wall-clock figures moved by a factor of three."""
FEW_REPEATS = 3
"""Runs of a load from which on their own spread is believed."""


@dataclass(frozen=True)
class Sample:
    """One or many views of the same runs.

    Attributes:
        facts: one row per run (`sim.calibration.rates.run_facts`).
        columns: position of each column of `sim.calibration.blocks.block_sums` in `sums`.
        sums: of the blocks of each run, shape (draws, runs, columns).
        weights: how often each run was taken, shape (draws, runs).
        slow: factor on all CPU times of each run, shape (draws, runs): to the middle speed, and in a draw off it.
    """

    facts: pd.DataFrame
    columns: dict[str, int]
    sums: Floats
    weights: Floats
    slow: Floats

    @property
    def draws(self) -> int:
        """How many views there are."""
        return len(self.weights)

    def total(self, column: str) -> Floats:
        """Return a sum for every draw and run; 0 where the run has no such rung."""
        if column not in self.columns:
            return np.zeros(self.weights.shape)
        total: Floats = self.sums[:, :, self.columns[column]]
        return total

    def ratio(self, upper: str, lower: str) -> Floats:
        """Return one sum ÷ another for every draw and run; NaN where there was nothing."""
        below = self.total(lower)
        ratio: Floats = np.divide(self.total(upper), below, out=np.full(below.shape, np.nan), where=below > 0)
        return ratio

    def cpu_per_frame(self, stage: str, of: str = "") -> Floats:
        """Return the mean CPU of a stage over all frames of each draw and run; NaN where there was none."""
        mean: Floats = self.ratio(f"{stage} sum {of}".strip(), f"{stage} count {of}".strip()) * self.slow
        return mean

    def without(self, cases: set[int]) -> Sample:
        """Return the sample as if these cases had not been run."""
        left = ~self.facts["case"].isin(cases).to_numpy()
        return Sample(self.facts[left], self.columns, self.sums[:, left], self.weights[:, left], self.slow[:, left])


def whole(facts: pd.DataFrame, sums: pd.DataFrame) -> Sample:
    """Return the measurement as it is: one draw in which everything counts once."""
    by_run = sums.groupby("run").sum().reindex(facts.index).fillna(0.0)
    speed = facts["speed"].to_numpy(float)[np.newaxis]
    return Sample(facts, _positions(sums), by_run.to_numpy(float)[np.newaxis], np.ones((1, len(facts))), speed)


def resampled(facts: pd.DataFrame, sums: pd.DataFrame, *, draws: int, rng: np.random.Generator) -> Sample:
    """Return `draws` resamples; see the module for how each is drawn."""
    resums = np.zeros((draws, len(facts), sums.shape[1]))
    weights, slow = np.zeros((draws, len(facts))), np.tile(facts["speed"].to_numpy(float), (draws, 1))
    numbers = sums.index.get_level_values("run")
    blocks = {run: sums[numbers == run].to_numpy(float) for run in facts.index}
    spread = stream_spread(sums)
    positions = pd.Series(range(len(facts)), index=facts.index)
    for _, group in positions.groupby([facts["case"], facts["streams"]], sort=True):
        repeats = len(group)
        weights[:, group] = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=draws)
        slow[:, group] *= _speed_factor(spread, repeats=repeats, draws=draws, rng=rng)[:, np.newaxis]
        for run, position in group.items():
            size = len(blocks[run])
            if size:
                taken = rng.multinomial(size, np.full(size, 1 / size), size=draws)
                resums[:, position] = taken @ blocks[run]
    return Sample(facts, _positions(sums), resums, weights, slow)


def stream_spread(sums: pd.DataFrame) -> float:
    """Return the coefficient of variation between the streams of a run in the CPU that one frame takes.

    Pooled over runs of several streams, each relative to its own mean; 0 where no run had several.
    """
    cost = sum(sums[name] for name in sums.columns if name.startswith(("decode sum", "picture sum", "mux sum")))
    totals = pd.DataFrame({"cost": cost, "frames": sums["source count"]}).groupby(["run", "stream"]).sum()
    per_frame = totals["cost"] / totals["frames"]
    relative = per_frame / per_frame.groupby("run").transform("mean")
    degrees = len(relative) - relative.index.get_level_values("run").nunique()
    return float(np.sqrt(((relative - 1.0) ** 2).sum() / degrees)) if degrees else 0.0


def _positions(sums: pd.DataFrame) -> dict[str, int]:
    return {str(column): position for position, column in enumerate(sums.columns)}


def _speed_factor(between_streams: float, *, repeats: int, draws: int, rng: np.random.Generator) -> Floats:
    """Return lognormal factors of mean 1; see the module for their spread."""
    return lognormal(
        np.hypot(between_streams, UNREPEATED_CV / np.sqrt(repeats) if repeats < FEW_REPEATS else 0.0), draws, rng
    )


def lognormal(cv: float, draws: int, rng: np.random.Generator) -> Floats:
    """Return lognormal factors of mean 1 and a coefficient of variation."""
    sigma = np.sqrt(np.log1p(cv**2))
    return rng.lognormal(-(sigma**2) / 2, sigma, size=draws)
