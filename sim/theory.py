"""Closed forms the simulator is tested against, and the oracle of a many-server queue; each with its source."""

from __future__ import annotations

import heapq
import math

import numpy as np

from sim.sampling import Floats


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


def edge_misses(mean_viewers: float, cluster_shares: Floats) -> float:
    """Return the expected fetches of one live segment by all clusters, with Poisson viewers: Σ 1 - e^(-n p)."""
    return float(-np.expm1(-mean_viewers * cluster_shares).sum())


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
    exponential = erlang_c(servers, load) * service_time_s / (servers - load)
    spread = (1 - utilisation) * (servers - 1) * (math.sqrt(4 + 5 * servers) - 2) / (16 * utilisation * servers)
    return exponential * 0.5 * (1 + spread)


def kiefer_wolfowitz(arrival_s: Floats, service_s: Floats, servers: int) -> Floats:
    """Return the start of every service in a first-come-first-served queue (Kiefer & Wolfowitz 1955).

    Args:
        arrival_s: ascending.
        service_s: one for each arrival.
        servers: number of them. The work is linear in arrivals × log servers.
    """
    free_s = [-math.inf] * servers
    start_s = np.empty_like(arrival_s)
    for job, (arrived_s, length_s) in enumerate(zip(arrival_s.tolist(), service_s.tolist(), strict=True)):
        began_s = max(arrived_s, free_s[0])
        heapq.heapreplace(free_s, began_s + length_s)
        start_s[job] = began_s
    return start_s
