"""Dollars: node-hours at their price, delivered bytes at a volume price; the horizon repeated through a month."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scenarios.catalogue import EgressTable
from sim.sampling import Floats


def node_usd(nodes: pd.DataFrame, horizon_s: float) -> pd.Series:
    """Return what each node cost in [0, horizon_s): from the order until gone; nothing for an order that failed."""
    hours = (nodes["gone_s"].fillna(horizon_s) - nodes["ordered_s"]) / 3600.0
    return (hours * nodes["price_usd_per_hour"]).where(nodes["reason"] != "launch failed", 0.0)


def months(horizon_s: float, hours_per_month: float) -> float:
    """Return how many horizons make a month."""
    return hours_per_month * 3600.0 / horizon_s


def egress_usd(table: EgressTable, delivered_bytes: float) -> float:
    """Return the price of a month's delivered bytes: each tier's volume at that tier's price."""
    volume_gb = delivered_bytes / table.bytes_per_gb
    ends: Floats = np.array([np.inf if tier.up_to_gb is None else tier.up_to_gb for tier in table.tiers])
    starts = np.concatenate([[0.0], ends[:-1]])
    in_tier = np.clip(volume_gb - starts, 0.0, ends - starts)
    return float(in_tier @ np.array([tier.usd_per_gb for tier in table.tiers]))
