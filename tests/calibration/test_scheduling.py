"""The scheduler's three numbers, found again from latencies of runs that the node model made with known ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic_held_out import Series, true_profile, write_runs

from sim.calibration.cores import Scheduling, scheduling
from sim.calibration.evidence import gather
from sim.calibration.scheduling import GRID, Fitted, fit_scheduling, observed_loads

COARSE = {"waker_core_share": (0.2, 0.8), "wake_up_s": (0.0, 0.0002)}
"""A third of the first grid, with every value of the delay that is planted wrong below."""


@pytest.fixture(scope="module", params=[COARSE, pytest.param({}, marks=pytest.mark.long)], ids=["coarse", "full"])
def found(request, tmp_path_factory):
    """What is fitted to some loads of one ladder, by who knows every cost."""
    folder = tmp_path_factory.mktemp("scheduling") / "bundle"
    write_runs(folder, [Series("chief", {1: 1, 2: 1, 4: 1, 5: 1})], identity="runs", held_out=False, day_cv=0.0)
    with pytest.MonkeyPatch.context() as patch:
        for name, values in request.param.items():
            patch.setitem(GRID, name, values)
        yield fit_scheduling(observed_loads(gather([folder])), true_profile().middle(), workers=2)


def test_latencies_are_met_where_the_costs_are_known(found):
    """The frames' costs are other draws than those of the runs, so that some chance is left."""
    assert found.rms_error < 0.08
    assert found.loss.shape == (len(found.tried), 3)


def test_another_system_misses_them(found):
    """The planted mistake: one in which a thread hardly ever moves to an idle core; the runs had 4 ms."""
    loss = found.loss.mean(axis=1)
    planted = (found.tried["idle_pull_delay_s"] > 0.03).to_numpy()
    assert loss[planted].min() > 3 * loss.min()
    assert found.best.idle_pull_delay_s <= 0.008


def test_the_second_grid_lies_around_the_best_of_the_first(found):
    first = int(np.prod([len(values) for values in GRID.values()]))
    assert len(found.tried) > first
    assert found.loss.mean(axis=1).min() <= found.loss[:first].mean(axis=1).min()
    assert not found.tried.duplicated().any()


def test_draws_are_triples_that_were_tried_and_the_best_is_among_them(found):
    drawn = found.draws(50, np.random.default_rng(1))
    tried = {tuple(row) for row in found.tried.to_numpy()}
    assert {tuple(row) for row in drawn.to_numpy()} <= tried
    assert tuple(vars(found.best).values()) in {tuple(row) for row in drawn.to_numpy()}
    pd.testing.assert_frame_equal(drawn, found.draws(50, np.random.default_rng(1)))


def test_a_known_system_is_taken_as_it_is():
    known = Scheduling(waker_core_share=0.4, idle_pull_delay_s=0.01, wake_up_s=0.0001)
    fitted = Fitted.known(known)
    assert fitted.best == known
    assert (fitted.draws(3, np.random.default_rng(1)).nunique() == 1).all()
    assert scheduling(true_profile().middle() | vars(known)) == known
