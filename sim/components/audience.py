"""The wanted audience: a fluid with noise over the live broadcasts, and the raids on top of it.

The platform's total is given: its curve, at each region's own time, times the noise of the day and the events. How
it splits follows popularity, and stars have theirs first. In a step, each viewer leaves with probability
1 - e^(-dt/session) (or with the broadcast's end), and as many join as the total asks for, each choosing a live
broadcast in proportion to its channel's weight. The noise has the variance of that step: binomial survivors and
Poisson joins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from scenarios.events import Event
from scenarios.scenario import Horizon
from scenarios.workload import Audience as AudienceSpec
from scenarios.workload import Region, Star
from sim.components.broadcasts import BroadcastTable
from sim.components.raids import Raids
from sim.curves import RegionalLevel
from sim.overlays import day_noise, uplift
from sim.sampling import Floats


class Audience:
    """Viewers of every live broadcast, advanced tick by tick; knows nothing of what the platform can serve."""

    def __init__(
        self,
        spec: AudienceSpec,
        horizon: Horizon,
        broadcasts: BroadcastTable,
        named: Callable[[str], np.random.Generator],
        *,
        regions: Sequence[Region] = (),
        events: Sequence[Event] = (),
    ) -> None:
        self._spec, self._horizon, self._broadcasts, self._rng = spec, horizon, broadcasts, named("audience")
        self._level = RegionalLevel(spec.curve, regions)
        self._affinity = np.array([region.affinity for region in regions] or [1.0])
        self._events = tuple(event for event in events if event.on != "broadcasts")
        self._noise = self._day(named) if spec.noise.sd else None
        self._raids = Raids(spec, horizon, broadcasts, named)
        # The rows that are live, ascending, and what is known of each; brought up to date by `_advance`.
        self._rows = np.empty(0, np.intp)
        self._end_s: Floats = np.empty(0)
        self._weight: Floats = np.empty(0)
        self._viewers: Floats = np.empty(0)
        self._star = np.empty(0, np.int8)
        self._known = 0
        self._settle()
        self._wanted: Floats = self._viewers

    def total(self, at_s: float) -> float:
        """Return the number of viewers that are asked for at `at_s`, raids aside."""
        viewers = self._spec.peak_viewers * float(self._level.total(self._hour(at_s)))
        if self._events:
            viewers *= float(uplift(self._events, np.asarray(at_s), "viewers"))
        if self._noise is not None:
            viewers *= float(self._noise[round(at_s / self._horizon.tick_s)])
        return viewers

    def mix(self, at_s: float) -> Floats:
        """Return where viewers are, shape (regions, regions): row the broadcast's region, column theirs.

        Rows sum to 1. The part of a broadcast's viewers that its region's affinity leaves is split by where people
        watch at that moment.
        """
        watching = self._level.by_region(self._hour(at_s))
        elsewhere = np.outer(1.0 - self._affinity, watching / max(watching.sum(), np.finfo(float).tiny))
        return np.diag(self._affinity + (1.0 - self._affinity) * (watching.sum() == 0)) + elsewhere

    def viewers_of(self, broadcast: int) -> float:
        """Return how many want a broadcast, as of the last step."""
        return _viewers_of(broadcast, *self.wanted)

    @property
    def wanted(self) -> tuple[npt.NDArray[np.intp], Floats]:
        """The live rows, and how many want each, as of the last step."""
        return self._rows, self._wanted

    def step(self, at_s: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """Advance by one tick to `at_s`; return the live rows and the viewers of each, the same shape."""
        self._advance(at_s)
        leaving = -np.expm1(-self._horizon.tick_s / self._spec.mean_session_s)
        staying = self._viewers * (1.0 - leaving)
        joining = self._joins(staying, self.total(at_s), at_s)
        noise = self._rng.standard_normal(self._rows.size)
        self._viewers = np.maximum(0.0, staying + joining + np.sqrt(staying * leaving + joining) * noise)
        self._wanted = self._with_raids(at_s)
        return self._rows, self._wanted

    def _joins(self, staying: Floats, total: float, at_s: float) -> Floats:
        stars, wanted = self._stars(total, at_s)
        arriving = np.maximum(0.0, wanted - staying[stars])
        joins = self._split(self._weight, max(0.0, total - staying.sum() - arriving.sum()))
        joins[stars] = arriving
        return joins

    def _stars(self, total: float, at_s: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return the places of the stars among the live rows, and how many want to watch each."""
        if not self._spec.popularity.stars:
            return np.empty(0, np.intp), np.empty(0)
        places = np.flatnonzero(self._star >= 0)
        stars = [self._spec.popularity.stars[index] for index in self._star[places]]
        return places, np.array([_wanted(star, total, at_s) for star in stars])

    def _split(self, weight: Floats, viewers: float) -> Floats:
        whole = weight.sum()
        return weight * (viewers / whole) if whole > 0 else np.zeros_like(weight)

    def _with_raids(self, at_s: float) -> Floats:
        if not len(self._raids):
            return self._viewers
        rows, raiders = self._raids.step(at_s, self._rows)
        viewers = self._viewers.copy()
        np.add.at(viewers, np.searchsorted(self._rows, rows), raiders)
        return viewers

    def _advance(self, at_s: float) -> None:
        """Bring the live rows up to `at_s`: only those that were live or have gone live since are looked at."""
        table = self._broadcasts
        stay = self._end_s > at_s
        known = int(np.searchsorted(table.publish_s, at_s, side="right"))
        fresh = self._known + np.flatnonzero(table.end_s[self._known : known] > at_s)
        self._known = known
        if fresh.size == 0 and stay.all():
            return
        self._rows = np.concatenate([self._rows[stay], fresh])
        self._end_s = np.concatenate([self._end_s[stay], table.end_s[fresh]])
        self._weight = np.concatenate([self._weight[stay], table.weight[fresh]])
        self._viewers = np.concatenate([self._viewers[stay], np.zeros(fresh.size)])
        if self._spec.popularity.stars:
            self._star = table.star[self._rows]

    def _settle(self) -> None:
        """Start the broadcasts that are live at 0 with the audience their age has given them time to gather."""
        self._advance(0.0)
        age_s = -self._broadcasts.publish_s[self._rows]
        gathered = self._weight * -np.expm1(-age_s / self._spec.mean_session_s)
        stars, wanted = self._stars(self.total(0.0), 0.0)
        self._viewers = self._split(gathered, max(0.0, self.total(0.0) - wanted.sum()))
        self._viewers[stars] = wanted

    def _hour(self, at_s: float) -> Floats:
        return np.asarray(self._horizon.start_hour + at_s / 3600.0)

    def _day(self, named: Callable[[str], np.random.Generator]) -> Floats:
        ticks = int(np.ceil(self._horizon.horizon_s / self._horizon.tick_s))
        return day_noise(self._spec.noise, ticks, self._horizon.tick_s, named("day noise"))


class SharedAudience:
    """One audience that several platforms see, each at its own pace, at most one tick apart: it is advanced once."""

    def __init__(self, audience: Audience) -> None:
        self._audience, self._at_s = audience, 0.0
        self._now = audience.wanted

    def step(self, at_s: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return what the audience's step to `at_s` returns; the first to ask has it made."""
        if at_s < self._at_s:
            raise ValueError(f"the audience stands at {self._at_s} s already, and cannot go back to {at_s} s")
        if at_s > self._at_s:
            self._now, self._at_s = self._audience.step(at_s), at_s
        return self._now

    def mix(self, at_s: float) -> Floats:
        """Return what the audience's mix returns."""
        return self._audience.mix(at_s)

    def view(self) -> AudienceView:
        """Return the audience as one platform sees it."""
        return AudienceView(self)


class AudienceView:
    """A shared audience as one platform sees it: as of that platform's last step, however far others are."""

    def __init__(self, shared: SharedAudience) -> None:
        self._shared = shared
        self._rows, self._wanted = shared.step(0.0)

    def step(self, at_s: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """As `Audience.step`."""
        self._rows, self._wanted = self._shared.step(at_s)
        return self._rows, self._wanted

    def mix(self, at_s: float) -> Floats:
        """As `Audience.mix`."""
        return self._shared.mix(at_s)

    def viewers_of(self, broadcast: int) -> float:
        """As `Audience.viewers_of`."""
        return _viewers_of(broadcast, self._rows, self._wanted)


def _viewers_of(broadcast: int, rows: npt.NDArray[np.intp], wanted: Floats) -> float:
    place = int(np.searchsorted(rows, broadcast))
    is_live = place < rows.size and rows[place] == broadcast
    return float(wanted[place]) if is_live else 0.0


def _wanted(star: Star, total: float, at_s: float) -> float:
    """Return how many want to watch a star: its audience gathers over its ramp."""
    whole = star.viewers if star.viewers is not None else (star.share or 0.0) * total
    return whole * min(1.0, max(0.0, (at_s - star.from_s) / star.ramp_s))
