"""What recorded scale events tell: how often a fleet turned round, and how far and how long it was short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.sampling import Floats


def flaps(at_s: Floats, change: Floats, *, window_s: float) -> int:
    """Return how often a change was followed by one in the other direction within a window.

    Args:
        at_s: moments, rising, shape (events,).
        change: nodes added, or taken as a negative number, shape (events,); zeros are no events.
        window_s: longest time between the two.
    """
    happened = np.asarray(change) != 0
    moments, direction = np.asarray(at_s, float)[happened], np.sign(np.asarray(change)[happened])
    turned = direction[1:] != direction[:-1]
    return int(np.count_nonzero(turned & (np.diff(moments) <= window_s)))


@dataclass(frozen=True)
class Shortfall:
    """A time in which less was held than wanted.

    Attributes:
        duration_s: how long in all.
        integral: of what was lacking over time, in units × s.
    """

    duration_s: float
    integral: float


def shortfall(at_s: Floats, wanted: Floats, held: Floats, *, until_s: float) -> Shortfall:
    """Return how long and by how much two step functions differ where the first is the larger one.

    Args:
        at_s: moments from which on the values hold, rising, shape (steps,).
        wanted: demand, shape (steps,).
        held: capacity, shape (steps,).
        until_s: end of the last step.
    """
    lasts_s = np.diff(np.append(np.asarray(at_s, float), until_s))
    lacking = np.maximum(0.0, np.asarray(wanted, float) - np.asarray(held, float))
    return Shortfall(float(lasts_s[lacking > 0].sum()), float((lacking * lasts_s).sum()))
