"""How many nodes to reserve, and what the month then costs: from fleets that were simulated once, on demand.

A reservation is paid for every hour of the month at a discount, used or not. A node on demand is paid for while it is
there. So the k-th node is worth reserving if at least k nodes are paid for in more than 1 − discount of the month's
hours: the newsvendor's critical ratio (Arrow, Harris and Marschak, 1951), taken node by node.

**Share of the month.** A scenario may be an evening of nine hours, and a month has 730. A month at on-demand prices is
taken to be all hours like the simulated ones (`sim.metrics.cost`), which flatters a reservation where the other hours
need fewer nodes. `share_of_month` says what share of the month's hours the simulated ones stand for: 1 where they stand
for all, 9 ÷ 24 for an evening of nine hours that comes every day. In all other hours no node is taken to be paid on
demand, and what is reserved is paid for nothing. Both sides of a comparison need the same share; where the other hours
need nodes too, simulate the whole day or week and pass 1.

The fleet is read tick by tick: a node that comes and goes within a tick is not seen, and an order that comes to nothing
counts while it boots, so the month on demand differs a little from `transcode_usd_per_month` at the same share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.sampling import Floats

PAID = ("nodes_booting", "nodes_ready", "nodes_draining")
"""Columns of the ticks whose nodes are paid for."""
EQUAL = 1e-12
"""Shares that differ by no more are equal: what rounding leaves of them."""


class Tariff(NamedTuple):
    """What a node costs, and how much of a month the simulated hours stand for.

    Attributes:
        usd_per_hour: on demand.
        discount: of a reservation off that price, in [0, 1].
        hours_per_month: as the scenario's `prices.hours_per_month`.
        share_of_month: of the month's hours that are like the simulated ones, in (0, 1].
    """

    usd_per_hour: float
    discount: float
    hours_per_month: float
    share_of_month: float = 1.0


class Purchase(NamedTuple):
    """How a fleet is bought, and what that costs.

    Attributes:
        reserved_nodes: reserved for the whole month; what is needed beyond them is bought on demand.
        usd_per_month: one number a replication, in their order.
        on_demand_usd_per_month: the same without any reservation.
    """

    reserved_nodes: int
    usd_per_month: Floats
    on_demand_usd_per_month: Floats


def paid_nodes(ticks: pd.DataFrame) -> Floats:
    """Return the nodes that are paid for, shape (replications, ticks), in the order of their number and of time.

    Args:
        ticks: as `RunResult.ticks`, of one scenario: every replication has the same ticks, of equal length.

    Raises:
        ValueError: a replication lacks a tick, so that their hours would not weigh the same.
    """
    paid = ticks[list(PAID)].sum(axis=1).rename("paid")
    table: Floats = ticks.assign(paid=paid).pivot_table(index="replication", columns="t_s", values="paid").to_numpy()
    if np.isnan(table).any():
        raise ValueError("replications of one scenario have the same ticks; these differ")
    return table


def month_usd(paid: Floats, tariff: Tariff, reserved_nodes: int) -> Floats:
    """Return USD per month with so many nodes reserved and the rest on demand, one number a replication.

    Args:
        paid: as `paid_nodes`.
        tariff: prices and hours.
        reserved_nodes: 0 for all on demand.
    """
    beyond = np.maximum(paid - reserved_nodes, 0.0).mean(axis=1)
    nodes: Floats = reserved_nodes * (1.0 - tariff.discount) + beyond * tariff.share_of_month
    return nodes * tariff.usd_per_hour * tariff.hours_per_month


def best_purchase(paid: Floats, tariff: Tariff) -> Purchase:
    """Return the number of nodes to reserve for which the expected month is cheapest; the fewest of equal ones.

    The number is one for all replications: it is bought before anybody knows which day, and which world, it will be.

    Args:
        paid: as `paid_nodes`; whole numbers.
        tariff: prices and hours.

    Raises:
        ValueError: the discount or the share of the month is out of range.
    """
    if not (0.0 <= tariff.discount <= 1.0 and 0.0 < tariff.share_of_month <= 1.0):
        raise ValueError(f"a discount lies in [0, 1] and a share of the month in (0, 1]: {tariff}")
    counts = np.bincount(np.rint(paid).astype(np.intp).ravel())
    at_least = counts[::-1].cumsum()[::-1] / counts.sum()  # [k]: share of the simulated hours in which ≥ k are paid
    reserved = int(np.count_nonzero(tariff.share_of_month * at_least[1:] > 1.0 - tariff.discount + EQUAL))
    return Purchase(reserved, month_usd(paid, tariff, reserved), month_usd(paid, tariff, 0))
