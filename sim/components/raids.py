"""Raids: viewers that arrive at one broadcast within seconds, and leave it as their sessions end.

Of K viewers that arrive at once, those still there after t are binomial with mean K (1 - G(t)), G the law of
sessions (theory.md V29). Each step draws who of those present stays and who of those on their way arrives and stays,
with the probabilities of a viewer who arrives evenly within the ramp: the numbers at any two moments have the joint
law of independent viewers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from scenarios.events import RandomRaids
from scenarios.scenario import Horizon
from scenarios.workload import Audience
from sim.components.broadcasts import BroadcastTable
from sim.sampling import Floats, Law, law, normal

POINTS = (np.arange(16) + 0.5) / 16
"""Where the survival is read within a ramp."""


@dataclass(frozen=True)
class _Cohorts:
    """Raids, one each row, in the order of their time.

    Attributes:
        at_s: the moment the first viewer arrives.
        ramp_s: until the last one has.
        coming: viewers still on their way.
        there: viewers who watch.
        present: the probability that a viewer of it watches, at the last step.
        target: a uniform number that chooses the broadcast.
        row: the broadcast; -1 before one is chosen.
    """

    at_s: Floats
    ramp_s: Floats
    coming: npt.NDArray[np.int64]
    there: npt.NDArray[np.int64]
    present: Floats
    target: Floats
    row: npt.NDArray[np.intp]

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> _Cohorts:
        return _Cohorts(*(getattr(self, column.name)[chosen] for column in fields(self)))

    def with_others(self, other: _Cohorts) -> _Cohorts:
        pairs = ((getattr(self, column.name), getattr(other, column.name)) for column in fields(self))
        return _Cohorts(*(np.concatenate(pair) for pair in pairs))


class Raids:
    """The viewers of every raid, advanced tick by tick."""

    def __init__(
        self,
        spec: Audience,
        horizon: Horizon,
        broadcasts: BroadcastTable,
        named: Callable[[str], np.random.Generator],
    ) -> None:
        self._broadcasts, self._session, self._rng = broadcasts, law(spec.session_law), named("raid sessions")
        self._all = _drawn(spec, horizon, named)
        self._active = self._all.where(slice(0, 0))
        self._begun, self._before_s = 0, 0.0

    def __len__(self) -> int:
        return self._all.at_s.size

    def step(self, at_s: float, live: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """Advance to `at_s`; return the broadcasts with raiders, one may stand twice, and how many each has.

        Args:
            at_s: the moment, not before that of the last step.
            live: rows that are live then, ascending.
        """
        begun = int(np.searchsorted(self._all.at_s, at_s, side="right"))
        if begun > self._begun:
            fresh = self._aimed(self._all.where(slice(self._begun, begun)), live)
            self._active, self._begun = self._active.with_others(fresh), begun
        if self._active.row.size:
            # The viewers of a broadcast that has ended are gone with it.
            self._active = self._active.where(self._broadcasts.end_s[self._active.row] > at_s)
            self._move(at_s)
            self._active = self._active.where(self._active.coming + self._active.there > 0)
        self._before_s = at_s
        return self._active.row, self._active.there

    def _aimed(self, raids: _Cohorts, live: npt.NDArray[np.intp]) -> _Cohorts:
        """Choose the broadcast of each raid, evenly among those that anybody watches."""
        watched = live[self._broadcasts.weight[live] > 0]
        if not watched.size:
            return raids.where(slice(0, 0))
        raids.row[:] = watched[(raids.target * watched.size).astype(int)]
        return raids

    def _move(self, at_s: float) -> None:
        raids = self._active
        since_s, before_s = at_s - raids.at_s, np.maximum(self._before_s - raids.at_s, 0.0)
        arrived, arrived_before = (np.minimum(span_s / raids.ramp_s, 1.0) for span_s in (since_s, before_s))
        present = _present(self._session, since_s, raids.ramp_s, arrived)
        stayed, ramping = present.copy(), arrived_before < 1.0
        if ramping.any():
            part = _present(self._session, since_s[ramping], raids.ramp_s[ramping], arrived_before[ramping])
            stayed[ramping] = part
        coming = self._rng.binomial(raids.coming, _ratio(1.0 - arrived, 1.0 - arrived_before))
        staying = self._rng.binomial(raids.there, _ratio(stayed, raids.present))
        came = _ratio(present - stayed, arrived - arrived_before)
        raids.there[:] = staying + self._rng.binomial(raids.coming - coming, came)
        raids.coming[:], raids.present[:] = coming, present


def _present(session: Law, since_s: Floats, ramp_s: Floats, arrived: Floats) -> Floats:
    """Return the probability to have arrived within the first part `arrived` of the ramp and to be there still."""
    age_s = since_s - POINTS[:, None] * arrived * ramp_s
    part: Floats = arrived * session.survival(np.maximum(age_s, 0.0)).mean(axis=0)
    return part


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.clip(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0), 0.0, 1.0)


def _drawn(spec: Audience, horizon: Horizon, named: Callable[[str], np.random.Generator]) -> _Cohorts:
    """Return the raids of a run, those of the scenario and those of the Poisson process."""
    given = [raid for raid in spec.raids if raid.at_s < horizon.horizon_s]
    raids = _cohorts(
        np.array([raid.at_s for raid in given]),
        np.array([raid.ramp_s for raid in given]),
        np.array([raid.viewers for raid in given]),
        named("raids").random(len(given)),
    )
    if spec.random_raids is not None:
        raids = raids.with_others(_random(spec.random_raids, horizon, named("random raids")))
    return raids.where(np.argsort(raids.at_s, kind="stable"))


def _random(spec: RandomRaids, horizon: Horizon, rng: np.random.Generator) -> _Cohorts:
    count = rng.poisson(spec.per_hour * horizon.horizon_s / 3600.0)
    at_s, size, target = rng.random(count) * horizon.horizon_s, rng.random(count), rng.random(count)
    sigma = np.sqrt(np.log1p(spec.cv**2))
    viewers = spec.mean_viewers * np.exp(sigma * normal(size) - sigma**2 / 2)
    return _cohorts(at_s, np.full(count, spec.ramp_s), viewers, target)


def _cohorts(at_s: Floats, ramp_s: Floats, viewers: Floats, target: Floats) -> _Cohorts:
    count = np.rint(viewers).astype(np.int64)
    nobody, nowhere = np.zeros_like(count), np.full(count.size, -1, np.intp)
    return _Cohorts(at_s.astype(float), ramp_s.astype(float), count, nobody, np.zeros(count.size), target, nowhere)
