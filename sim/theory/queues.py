"""Loss and delay systems with Poisson arrivals. Rates per second, loads in erlang, servers alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def erlang_b(servers: int, offered_load_erlang: float) -> float:
    """Return the blocking probability of M/G/c/c (Erlang 1917): B(k) = a B(k-1) / (k + a B(k-1)), B(0) = 1."""
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = offered_load_erlang * blocking / (k + offered_load_erlang * blocking)
    return blocking


def erlang_c(servers: int, offered_load_erlang: float) -> float:
    """Return the probability of waiting in M/M/c, for offered load below `servers`: B / (1 - ρ(1 - B))."""
    blocking = erlang_b(servers, offered_load_erlang)
    utilisation = offered_load_erlang / servers
    return blocking / (1.0 - utilisation * (1.0 - blocking))


def erlang_c_wait_s(servers: int, offered_load_erlang: float, service_time_s: float) -> float:
    """Return the mean wait in M/M/c: C / (c μ - λ); infinite from an offered load of `servers` on."""
    if offered_load_erlang >= servers:
        return math.inf
    return erlang_c(servers, offered_load_erlang) * service_time_s / (servers - offered_load_erlang)


def erlang_c_wait_quantile_s(servers: int, offered_load_erlang: float, service_time_s: float, share: float) -> float:
    """Return the wait in M/M/c that `share` of arrivals do not exceed: ln(C / (1 - p)) / (c μ - λ), at least 0."""
    if offered_load_erlang >= servers:
        return math.inf
    waiting = erlang_c(servers, offered_load_erlang)
    if waiting <= 1.0 - share:
        return 0.0
    return math.log(waiting / (1.0 - share)) * service_time_s / (servers - offered_load_erlang)


def deterministic_wait_s(arrival_rate_per_s: float, service_time_s: float, servers: int) -> float:
    """Return the mean wait of M/D/c (Cosmetatos 1976), infinite from an offered load of `servers` on.

    Wq(M/D/c) = Wq(M/M/c) / 2 · [1 + (1 - ρ)(c - 1)(√(4 + 5c) - 2) / (16 ρ c)]; exact for one server.
    """
    load = arrival_rate_per_s * service_time_s
    if load >= servers:
        return math.inf
    if load == 0:
        return 0.0
    utilisation = load / servers
    spread = (1 - utilisation) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * utilisation * servers)
    return erlang_c_wait_s(servers, load, service_time_s) * 0.5 * (1 + spread)


NOTHING_LEFT = 1e-15
"""Probability at which an endless queue is cut off, once it shrinks from there on."""


@dataclass(frozen=True)
class FiniteQueue:
    """M/M/c/K: at most `places` in the system, those beyond are refused.

    Attributes:
        servers: c.
        places: K, servers included.
        arrival_rate_per_s: λ.
        service_time_s: 1/μ.
    """

    servers: int
    places: int
    arrival_rate_per_s: float
    service_time_s: float

    @property
    def probabilities(self) -> np.ndarray:
        """Of 0 … K in the system: p_n proportional to Π λ / (min(n, c) μ)."""
        leaving_per_s = np.minimum(np.arange(1, self.places + 1), self.servers) / self.service_time_s
        return _stationary(self.arrival_rate_per_s, leaving_per_s)

    @property
    def refused_share(self) -> float:
        """Share of arrivals that find no place."""
        return float(self.probabilities[-1])

    @property
    def waiting(self) -> float:
        """Mean number that waits."""
        return float(self.probabilities @ np.maximum(np.arange(self.places + 1) - self.servers, 0))

    @property
    def wait_s(self) -> float:
        """Mean wait of those who are let in, by Little's law."""
        return self.waiting / (self.arrival_rate_per_s * (1.0 - self.refused_share))

    @property
    def utilisation(self) -> float:
        """Mean share of the servers that is busy."""
        busy = np.minimum(np.arange(self.places + 1), self.servers)
        return float(self.probabilities @ busy) / self.servers


@dataclass(frozen=True)
class ErlangA:
    """M/M/c+M: whoever waits gives up at rate θ (Garnett, Mandelbaum & Reiman 2002).

    Attributes:
        servers: c.
        arrival_rate_per_s: λ.
        service_time_s: 1/μ.
        patience_s: 1/θ.
    """

    servers: int
    arrival_rate_per_s: float
    service_time_s: float
    patience_s: float

    @property
    def probabilities(self) -> np.ndarray:
        """Of n in the system, cut off where nothing is left."""
        most = 2 * self.servers + 50
        while True:
            n = np.arange(1, most + 1)
            leaving_per_s = np.minimum(n, self.servers) / self.service_time_s
            leaving_per_s += np.maximum(n - self.servers, 0) / self.patience_s
            found = _stationary(self.arrival_rate_per_s, leaving_per_s)
            if found[-1] < NOTHING_LEFT and leaving_per_s[-1] > self.arrival_rate_per_s:
                return found
            most *= 2

    @property
    def waiting_share(self) -> float:
        """Share of arrivals that find all servers busy."""
        return float(self.probabilities[self.servers :].sum())

    @property
    def abandoned_share(self) -> float:
        """Share of arrivals that give up: θ E[waiting] / λ."""
        waiting = self.probabilities @ np.maximum(np.arange(self.probabilities.size) - self.servers, 0)
        return float(waiting) / (self.patience_s * self.arrival_rate_per_s)


def _stationary(arrival_rate_per_s: float, leaving_per_s: np.ndarray) -> np.ndarray:
    """Return the probabilities of 0, 1 … in a birth-death process; `leaving_per_s` of 1, 2 … of them."""
    logs = np.concatenate([[0.0], np.cumsum(math.log(arrival_rate_per_s) - np.log(leaving_per_s))])
    weights = np.exp(logs - logs.max())
    probabilities: np.ndarray = weights / weights.sum()
    return probabilities
