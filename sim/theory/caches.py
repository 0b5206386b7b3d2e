"""Caches of live segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.sampling import Floats


def edge_misses(mean_viewers: float, cluster_shares: Floats) -> float:
    """Return the expected fetches of one live segment by all clusters, with Poisson viewers: Σ 1 - e^(-n p)."""
    return float(-np.expm1(-mean_viewers * cluster_shares).sum())


def edge_misses_of(viewers: int, cluster_shares: Floats) -> float:
    """Return the same for exactly so many viewers: Σ 1 - (1 - p)^n."""
    return float((1.0 - (1.0 - cluster_shares) ** viewers).sum())


class TtlFractions(NamedTuple):
    """What requests of an object with a time to live find; the three sum to 1."""

    fills: float
    delayed_hits: float
    hits: float


def ttl_fractions(rate_per_s: float, ttl_s: float, fill_s: float) -> TtlFractions:
    """Return the fractions of Poisson requests that fill, wait for a fill and hit.

    A cycle lasts 1/λ + L + T and has D = 1 + λ(L + T) requests: one fills, λL come while it does, λT while it is fresh
    (renewal argument, as for TTL caches in Jiang, Nain & Towsley 2018).

    Args:
        rate_per_s: λ.
        ttl_s: T, from the end of the fill.
        fill_s: L.
    """
    cycle = 1.0 + rate_per_s * (fill_s + ttl_s)
    return TtlFractions(1.0 / cycle, rate_per_s * fill_s / cycle, rate_per_s * ttl_s / cycle)
