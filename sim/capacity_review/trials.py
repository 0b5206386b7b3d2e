"""Replications of all candidates side by side: on the same days, in the same worlds, before one audience."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor

from scenarios.catalogue import load_catalogue
from scenarios.profile import Profile
from scenarios.scenario import Scenario
from sim.assembly import Engine
from sim.lockstep import simulate_side_by_side
from sim.processes import in_order
from sim.replication import Frames, frames_of, result_of
from sim.results import RunResult

OF_BROADCASTS = ["outcome"]
"""Columns that are kept of the broadcasts: with all of them, eight types on evenings of 300,000 would take 8 GB."""

_Cell = tuple[tuple[Scenario, ...], Profile, int, int, Engine]


class Trials:
    """Candidates whose replications are added as they are needed.

    Args:
        candidates: scenarios of one workload and horizon, by name.
        profile: of all.
        seed: the only seed; no digit depends on who else takes part.
        engine: as `sim.assembly.simulate`.
        executor: of `sim.processes`.
    """

    def __init__(
        self,
        candidates: Mapping[str, Scenario],
        profile: Profile,
        *,
        seed: int,
        engine: Engine,
        executor: Executor | None = None,
    ) -> None:
        self._candidates, self._profile, self._seed = dict(candidates), profile, seed
        self._engine, self._executor = engine, executor
        self._frames: dict[str, list[Frames]] = {name: [] for name in candidates}
        self.replications = 0

    def add(self, replications: int, progress: Callable[[int], None] | None = None) -> None:
        """Run so many more of each; `progress` is told how many there are then.

        Raises:
            CalibrationError: see `sim.lockstep.simulate_side_by_side`.
        """
        scenarios = tuple(self._candidates.values())
        numbers = range(self.replications, self.replications + replications)
        cells = [(scenarios, self._profile, self._seed, number, self._engine) for number in numbers]
        for outcome in in_order(_side_by_side, cells, self._executor):
            for name, frames in zip(self._candidates, outcome, strict=True):
                self._frames[name].append(frames)
            self.replications += 1
            if progress:
                progress(self.replications)

    def results(self) -> dict[str, RunResult]:
        """Return what has been found of each so far; of single broadcasts their outcome alone."""
        return {
            name: result_of(self._candidates[name], self._profile, self._seed, frames)
            for name, frames in self._frames.items()
        }


def _side_by_side(cell: _Cell) -> list[Frames]:
    scenarios, profile, seed, number, engine = cell
    runs = simulate_side_by_side(scenarios, profile, load_catalogue(), seed=seed, replication=number, engine=engine)
    found = [frames_of(run, scenario) for run, scenario in zip(runs, scenarios, strict=True)]
    return [frames | {"broadcasts": frames["broadcasts"][OF_BROADCASTS]} for frames in found]
