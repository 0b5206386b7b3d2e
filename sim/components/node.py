"""One node: the states of its life, how it starts, and what is written down of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

NEVER = float("nan")


class NodeState(IntEnum):
    """Where a node is in its life."""

    BOOTING = 0
    READY = 1
    DRAINING = 2
    GONE = 3


@dataclass(frozen=True)
class Startup:
    """How one node starts.

    Attributes:
        scheduling_s: from the order until the provider starts it, or its order turns out to have failed.
        boot_s: from then until it takes broadcasts.
        fails: position in [0, 1); below its pool's `launch_failure` the order comes to nothing.
    """

    scheduling_s: float
    boot_s: float
    fails: float = 1.0


@dataclass(frozen=True)
class Told:
    """What the fleet tells, broadcasts by identity and nodes by number."""

    interrupted: Callable[[int, int], None]
    """A broadcast has lost its place on a node."""
    moved: Callable[[int, int], None]
    """A broadcast goes on on another node."""
    room: Callable[[], None]
    """There is room where there was less before."""
    gone: Callable[[int, str], None] = lambda node, reason: None
    """A node is gone, and why."""


@dataclass
class NodeLog:
    """One entry a node ever ordered, in order."""

    pool: list[int] = field(default_factory=list)
    ordered_s: list[float] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    draining_s: list[float] = field(default_factory=list)
    gone_s: list[float] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    """Why it is gone; empty while it is not."""


def until_notice_s(rate_per_s: float, max_life_s: float | None, position: float) -> float:
    """Return how long a node is ready until it is taken back: exponential, cut at the greatest age."""
    life_s = -math.log1p(-position) / rate_per_s if rate_per_s > 0 else math.inf
    return min(life_s, math.inf if max_life_s is None else max_life_s)
