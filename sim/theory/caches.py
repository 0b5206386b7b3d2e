"""Caches of live segments."""

from __future__ import annotations

import numpy as np

from sim.sampling import Floats


def edge_misses(mean_viewers: float, cluster_shares: Floats) -> float:
    """Return the expected fetches of one live segment by all clusters, with Poisson viewers: Σ 1 - e^(-n p)."""
    return float(-np.expm1(-mean_viewers * cluster_shares).sum())
