"""M/H2/c: Poisson arrivals, services that are short or long, c servers, first come first served; solved exactly.

A quasi-birth-death process (Neuts 1981): the level is the number n in the system, the phase how many of the busy
servers have a short service. From n = c on each level looks alike, and the stationary vectors are π(n+1) = π(n) R.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, stats

from sim.sampling import Floats

CONVERGED = 1e-14
"""Of what a step of the logarithmic reduction still adds."""
NOTHING_LEFT = 1e-15
"""Probability of the levels beyond those that are drawn from: less than a double tells from 1."""


@dataclass(frozen=True)
class TwoPhaseQueue:
    """A queue with hyperexponential services of two phases.

    Attributes:
        servers: c.
        arrival_rate_per_s: λ.
        short_share: of services that are short, in [0, 1].
        short_s: mean of the short services, exponential.
        long_s: mean of the others, exponential.
    """

    servers: int
    arrival_rate_per_s: float
    short_share: float
    short_s: float
    long_s: float

    def __post_init__(self) -> None:
        if not self.utilisation < 1:
            raise ValueError(f"{self.utilisation:.3g} of the servers' time is asked for: no stationary state exists")

    @property
    def service_s(self) -> float:
        """Mean service."""
        return self.short_share * self.short_s + (1 - self.short_share) * self.long_s

    @property
    def service_scv(self) -> float:
        """Squared coefficient of variation of a service: its variance ÷ its mean²."""
        square = 2 * (self.short_share * self.short_s**2 + (1 - self.short_share) * self.long_s**2)
        return square / self.service_s**2 - 1

    @property
    def utilisation(self) -> float:
        """Mean share of the servers that is busy."""
        return self.arrival_rate_per_s * self.service_s / self.servers

    @cached_property
    def levels(self) -> tuple[Floats, ...]:
        """Probabilities of n = 0 … c in the system, each by the number of short services under way, 0 … n."""
        arrivals = [self._arrivals(level) for level in range(self.servers)]
        leaving = [self._leaving(level) for level in range(self.servers + 1)]
        up: list[Floats] = []
        inside = self._stays(self.servers) + self._repeated @ self._leaving(self.servers + 1)
        for level in range(self.servers, 0, -1):
            up.append(arrivals[level - 1] @ np.linalg.inv(-inside))
            inside = self._stays(level - 1) + up[-1] @ leaving[level]
        found = [np.ones(1)]
        for step in reversed(up):
            found.append(found[-1] @ step)
        beyond = found[-1] @ np.linalg.inv(np.eye(self.servers + 1) - self._repeated)
        whole = math.fsum(float(vector.sum()) for vector in found[:-1]) + float(beyond.sum())
        return tuple(vector / whole for vector in found)

    @property
    def waiting_share(self) -> float:
        """Share of arrivals that wait: all servers are busy, as Poisson arrivals see time averages (Wolff 1982)."""
        return float((self.levels[-1] @ self._beyond).sum())

    @property
    def wait_s(self) -> float:
        """Mean wait, of those who do not wait too, by Little's law."""
        queued = self.levels[-1] @ self._repeated @ self._beyond @ self._beyond
        return float(queued.sum()) / self.arrival_rate_per_s

    def waits_longer(self, than_s: float) -> float:
        """Return the share of arrivals that wait longer than so long.

        All servers are busy during a wait, so its jumps come at one rate once idle jumps fill up the slower phases
        (uniformisation, Jensen 1953): a wait lasts beyond t if it lasts beyond the jumps within t, a Poisson number.
        """
        beyond = self._waits_jumps
        within = stats.poisson.pmf(np.arange(beyond.size), self._jumps_per_s * than_s)
        return float(within @ beyond)

    def wait_quantile_s(self, share: float) -> float:
        """Return the wait that `share` of arrivals do not exceed; 0 where as many do not wait."""
        if self.waiting_share <= 1 - share:
            return 0.0
        most_s = self.service_s
        while self.waits_longer(most_s) > 1 - share:
            most_s *= 2
        return float(optimize.brentq(lambda wait_s: self.waits_longer(wait_s) - (1 - share), 0.0, most_s, xtol=1e-10))

    def draw_in_system(self, uniform: float) -> tuple[int, int]:
        """Return a stationary state, the number in the system and how many of them are in a short service.

        Args:
            uniform: uniform number of [0, 1).
        """
        cumulated, states = self._states
        number, short = states[np.searchsorted(cumulated, uniform, side="right")]
        return int(number), int(short)

    @cached_property
    def _states(self) -> tuple[Floats, np.ndarray]:
        """Cumulated probabilities of the states, and the states; none beyond what a double tells from 1."""
        vectors = list(self.levels)
        while vectors[-1].sum() > NOTHING_LEFT:
            vectors.append(vectors[-1] @ self._repeated)
        states = [(level, short) for level, vector in enumerate(vectors) for short in range(vector.size)]
        cumulated = np.cumsum(np.concatenate(vectors))
        return cumulated / cumulated[-1], np.array(states)

    @property
    def _jumps_per_s(self) -> float:
        """At which services end where all servers are in the faster of the two."""
        return self.servers / min(self.short_s, self.long_s)

    @cached_property
    def _waits_jumps(self) -> Floats:
        """Share of arrivals whose wait is not over after 0, 1 … jumps, until it is nothing.

        Who finds n ≥ c waits for n − c + 1 services to end. After m jumps `left` is Σ_i R^i (I − R)⁻¹ P_i(m), with
        P_i(m) the probabilities that i of them ended a service, by the phases at first and then.
        """
        ends = self._leaving(self.servers + 1) / self._jumps_per_s
        idle = np.eye(self.servers + 1) + self._stays(self.servers) / self._jumps_per_s
        idle += np.eye(self.servers + 1) * self.arrival_rate_per_s / self._jumps_per_s  # arrivals behind change nothing
        left, beyond = self._beyond, [self.waiting_share]
        while beyond[-1] > NOTHING_LEFT:
            left = left @ idle + self._repeated @ left @ ends
            beyond.append(float((self.levels[-1] @ left).sum()))
        return np.array(beyond)

    @cached_property
    def _beyond(self) -> Floats:
        """(I − R)⁻¹: sums over all levels from c on."""
        found: Floats = np.linalg.inv(np.eye(self.servers + 1) - self._repeated)
        return found

    @cached_property
    def _repeated(self) -> Floats:
        """R, by logarithmic reduction (Latouche & Ramaswami 1993)."""
        size = self.servers + 1
        up, down = self.arrival_rate_per_s * np.eye(size), self._leaving(self.servers + 1)
        inverse = np.linalg.inv(-self._stays(self.servers))
        higher, lower = inverse @ up, inverse @ down
        first_down, product = lower, higher
        while product.max() > CONVERGED:
            both = np.linalg.inv(np.eye(size) - higher @ lower - lower @ higher)
            higher, lower = both @ higher @ higher, both @ lower @ lower
            first_down = first_down + product @ lower
            product = product @ higher
        found: Floats = up @ np.linalg.inv(-(self._stays(self.servers) + up @ first_down))
        return found

    def _arrivals(self, level: int) -> Floats:
        """Rates from a level below c to the next: the arrival starts, short or long."""
        rates = np.zeros((level + 1, level + 2))
        phases = np.arange(level + 1)
        rates[phases, phases] = self.arrival_rate_per_s * (1 - self.short_share)
        rates[phases, phases + 1] = self.arrival_rate_per_s * self.short_share
        return rates

    def _leaving(self, level: int) -> Floats:
        """Rates from a level to the one below; beyond c the next in the queue takes the server, short or long."""
        busy = min(level, self.servers)
        short = np.arange(busy + 1)
        of_short, of_long = short / self.short_s, (busy - short) / self.long_s
        if level <= self.servers:
            rates = np.zeros((busy + 1, max(busy, 1)))
            rates[short[1:], short[1:] - 1] = of_short[1:]
            rates[short[:-1], short[:-1]] = of_long[:-1]
            return rates
        rates = np.diag(of_short * self.short_share + of_long * (1 - self.short_share))
        rates[short[1:], short[1:] - 1] += of_short[1:] * (1 - self.short_share)
        rates[short[:-1], short[:-1] + 1] += of_long[:-1] * self.short_share
        return rates

    def _stays(self, level: int) -> Floats:
        """The diagonal of a level: minus all rates out of each of its states."""
        busy = min(level, self.servers)
        short = np.arange(busy + 1)
        return -np.diag(self.arrival_rate_per_s + short / self.short_s + (busy - short) / self.long_s)


def balanced_queue(servers: int, utilisation: float, service_scv: float, service_s: float = 1.0) -> TwoPhaseQueue:
    """Return the queue whose short and long services each make half of the work ("balanced means", Whitt 1982).

    Args:
        servers: c.
        utilisation: of them, below 1.
        service_scv: squared coefficient of variation of a service, at least 1; 1 is M/M/c.
        service_s: mean service.
    """
    short_share = 0.5 * (1 + math.sqrt((service_scv - 1) / (service_scv + 1)))
    short_s, long_s = (service_s / (2 * share) for share in (short_share, 1 - short_share))
    return TwoPhaseQueue(servers, utilisation * servers / service_s, short_share, short_s, long_s)
