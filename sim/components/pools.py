"""Kinds of nodes, and how a number of nodes is shared out among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scenarios.nodes import Interruptions, Purchase

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Nodes of one type, bought in one way, in one zone.

    Attributes:
        units: room of an empty node.
        need: units that one broadcast takes, by the index of its source.
        least: nodes that are always held.
        available_max: most that are to be had; None for no limit.
        weight: share of what is beyond every pool's `least`.
        launch_failure: probability that an order comes to nothing.
        taken_back: how the provider takes nodes back; None if it does not.
    """

    name: str
    zone: str
    units: int
    need: tuple[int, ...]
    least: int = 0
    available_max: int | None = None
    weight: float = 1.0
    launch_failure: float = 0.0
    purchase: Purchase = "on_demand"
    taken_back: Interruptions | None = None

    @property
    def interruptible(self) -> bool:
        """Whether it is sold as such, so that a storm hits it."""
        return self.purchase in ("spot", "preemptible")


def shared_out(total: int, least: Sequence[int], most: Sequence[int], weight: Sequence[float]) -> list[int]:
    """Return how many of `total` nodes each pool gets.

    Each gets its least, the rest goes in proportion to the weights; what a pool cannot have (`most`) goes to the
    others, in the end to those without weight as well. The sum is `total`, unless all the least is more or all the
    most is less.
    """
    given = np.minimum(np.array(least), most)
    for weights in (np.array(weight, dtype=float), np.ones(len(given))):
        while (rest := total - int(given.sum())) > 0 and (open_ := (given < most) & (weights > 0)).any():
            sharing = np.where(open_, weights, 0.0)
            exact = rest * (sharing / sharing.sum())
            full = exact > np.array(most) - given
            given = np.where(full, most, given) if full.any() else given + _rounded(exact, rest)
    return [int(nodes) for nodes in given]


def in_turn(nodes: Sequence[int]) -> list[int]:
    """Return the pools of so many nodes each, in turns as even as their numbers allow.

    Of nodes that are equally full the oldest is taken: were they ordered pool by pool, one zone would be the oldest,
    and the fuller one wherever broadcasts are spread.
    """
    part = np.concatenate([(np.arange(count) + 0.5) / count for count in nodes if count] or [np.empty(0)])
    pool = np.repeat(np.arange(len(nodes)), nodes)
    found: list[int] = pool[np.argsort(part, kind="stable")].tolist()
    return found


def _rounded(exact: Floats, total: int) -> Integers:
    """Return whole numbers of that sum, none further than 1 from the exact ones: the largest remainders go up."""
    whole = np.floor(exact + 1e-9).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - int(whole.sum())]] += 1
    return whole
