"""The exact path of a many-server queue: an oracle for the simulator, compiled where numba is installed."""

from __future__ import annotations

import heapq
import importlib
import importlib.util
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from sim.sampling import Floats


def kiefer_wolfowitz(arrival_s: Floats, service_s: Floats, servers: int) -> Floats:
    """Return the start of every service in a first-come-first-served queue (Kiefer & Wolfowitz 1955).

    Args:
        arrival_s: ascending.
        service_s: one for each arrival.
        servers: number of them. The work is linear in arrivals × log servers.
    """
    compiled = _compiled()
    if compiled is None:
        return interpreted(arrival_s, service_s, servers)
    started: Floats = compiled(np.ascontiguousarray(arrival_s, float), np.ascontiguousarray(service_s, float), servers)
    return started


def interpreted(arrival_s: Floats, service_s: Floats, servers: int) -> Floats:
    """Return the same in plain Python, with a heap of the moments at which servers fall free."""
    free_s = [-math.inf] * servers
    start_s = np.empty(arrival_s.size)
    for job, (arrived_s, length_s) in enumerate(zip(arrival_s.tolist(), service_s.tolist(), strict=True)):
        began_s = max(arrived_s, free_s[0])
        heapq.heapreplace(free_s, began_s + length_s)
        start_s[job] = began_s
    return start_s


@cache
def _compiled() -> Callable[[Floats, Floats, int], Floats] | None:
    """Return the compiled recursion, or None without numba."""
    if importlib.util.find_spec("numba") is None:
        return None
    numba: Any = importlib.import_module("numba")
    compiled: Callable[[Floats, Floats, int], Floats] = numba.njit(cache=False)(_sift_down)
    return compiled


def _sift_down(arrival_s: Floats, service_s: Floats, servers: int) -> Floats:
    """The same recursion in operations that numba compiles: the root of the heap is replaced and sinks."""
    free_s = np.full(servers, -np.inf)
    start_s = np.empty(arrival_s.size)
    for job in range(arrival_s.size):
        began_s = max(arrival_s[job], free_s[0])
        start_s[job] = began_s
        moment_s, place = began_s + service_s[job], 0
        while True:
            child = 2 * place + 1
            if child >= servers:
                break
            if child + 1 < servers and free_s[child + 1] < free_s[child]:
                child += 1
            if free_s[child] >= moment_s:
                break
            free_s[place] = free_s[child]
            place = child
        free_s[place] = moment_s
    return start_s
