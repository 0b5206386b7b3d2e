"""The wanted audience: a fluid with noise over the live broadcasts.

The platform's total follows its curve, which is given; how it splits follows popularity. In a step, each viewer
leaves with probability 1 - e^(-dt/session) (or with the broadcast's end), and as many join as the curve asks for,
each choosing a live broadcast in proportion to its channel's weight. The noise has the variance of that step:
binomial survivors and Poisson joins.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scenarios.scenario import Horizon
from scenarios.workload import Audience as AudienceSpec
from sim.components.broadcasts import BroadcastTable
from sim.curves import level
from sim.sampling import Floats


class Audience:
    """Viewers of every live broadcast, advanced tick by tick; knows nothing of what the platform can serve."""

    def __init__(
        self, spec: AudienceSpec, horizon: Horizon, broadcasts: BroadcastTable, rng: np.random.Generator
    ) -> None:
        self._spec, self._horizon, self._broadcasts, self._rng = spec, horizon, broadcasts, rng
        self._viewers = np.zeros(len(broadcasts))
        self._settle()

    def total(self, at_s: float) -> float:
        """Return the number of viewers the curve asks for at `at_s`."""
        hour = np.asarray(self._horizon.start_hour + at_s / 3600.0)
        return self._spec.peak_viewers * float(level(self._spec.curve, hour))

    def viewers_of(self, broadcast: int) -> float:
        """Return how many want a broadcast, as of the last step."""
        return float(self._viewers[broadcast])

    def step(self, at_s: float) -> tuple[npt.NDArray[np.intp], Floats]:
        """Advance by one tick to `at_s`; return the live rows and the viewers of each, the same shape."""
        live = self._broadcasts.live(at_s)
        before = self._viewers[live]
        leaving = -np.expm1(-self._horizon.tick_s / self._spec.mean_session_s)
        staying = before * (1.0 - leaving)
        joining = self._joins(live, max(0.0, self.total(at_s) - staying.sum()))
        noise = self._rng.standard_normal(live.size)
        viewers = np.maximum(0.0, staying + joining + np.sqrt(staying * leaving + joining) * noise)
        self._viewers[live] = viewers  # a row that has ended is never live again: no need to clear it
        return live, viewers

    def _joins(self, live: npt.NDArray[np.intp], joining: float) -> Floats:
        weight = self._broadcasts.weight[live]
        return weight * (joining / weight.sum()) if live.size else weight

    def _settle(self) -> None:
        """Start the broadcasts that are live at 0 with the audience their age has given them time to gather."""
        live = self._broadcasts.live(0.0)
        age_s = -self._broadcasts.publish_s[live]
        gathered = self._broadcasts.weight[live] * -np.expm1(-age_s / self._spec.mean_session_s)
        if live.size and gathered.sum() > 0:
            self._viewers[live] = gathered * (self.total(0.0) / gathered.sum())
