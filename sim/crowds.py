"""Broadcasts with about as many viewers, as one group: what a cache or a chat room costs depends on little else.

At 120,000 broadcasts a formula over broadcasts × rungs × clusters takes a hundred milliseconds a tick. Groups of a
thirty-second of an octave of viewers replace them by a few hundred. A group stands for its broadcasts at their *mean*
viewers, so the viewers of all groups are the viewers of all broadcasts, and a formula f errs in the second order only:
by f''(n) · n² · width²/24 a broadcast (Jensen's inequality), with the width relative to n at most 1/32. Where groups
are told apart by more than their size there are many of them, and they are a sixteenth of an octave wide.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.sampling import Floats

Integers = npt.NDArray[np.integer[Any]]

EXACT_UP_TO = 2_000
"""Broadcasts up to which each is a group of its own, which is exact."""
FEWEST_VIEWERS = 2.0**-20
"""Fewer viewers than this are alike: every formula here is linear there."""
BELOW_32ND, BELOW_16TH = 47, 48
"""Bits of a float64 below its exponent and the first five or four of its mantissa, which name a part of an octave."""


class Crowds(NamedTuple):
    """Groups of broadcasts, all of the same shape (groups,), ordered by kind.

    Attributes:
        viewers: mean viewers of a broadcast of the group.
        broadcasts: how many it stands for; none is 0.
        kind: what a caller tells apart besides the size, such as the home region.
    """

    viewers: Floats
    broadcasts: Floats
    kind: Integers

    def of(self, kind: int) -> tuple[Floats, Floats]:
        """Return viewers and broadcasts of the groups of one kind."""
        low, high = np.searchsorted(self.kind, [kind, kind + 1])
        return self.viewers[low:high], self.broadcasts[low:high]


def crowds(viewers: Floats, kind: Integers | None = None, *, exact_up_to: int = EXACT_UP_TO) -> Crowds:
    """Return the broadcasts in groups of a kind and a part of an octave of viewers.

    Args:
        viewers: of each broadcast, none negative, shape (broadcasts,). The work is linear in it.
        kind: a small whole number for each broadcast, the same shape; all alike without it.
        exact_up_to: number of broadcasts up to which each stays a group of its own.
    """
    viewers = np.ascontiguousarray(viewers, dtype=np.float64)
    if viewers.size <= exact_up_to:
        return _each(viewers, kind)
    octave = np.maximum(viewers, FEWEST_VIEWERS).view(np.int64)
    octave >>= BELOW_32ND if kind is None else BELOW_16TH
    octave -= octave.min()
    span = int(octave.max()) + 1
    key = octave if kind is None else np.add(octave, kind * span, out=octave)
    many = np.bincount(key)
    total = np.bincount(key, weights=viewers)
    taken = np.flatnonzero(many)
    broadcasts = many[taken].astype(np.float64)
    return Crowds(total[taken] / broadcasts, broadcasts, taken // span)


def _each(viewers: Floats, kind: Integers | None) -> Crowds:
    if kind is None:
        return Crowds(viewers, np.ones(viewers.size), np.zeros(viewers.size, int))
    order = np.argsort(kind, kind="stable")
    return Crowds(viewers[order], np.ones(viewers.size), np.asarray(kind)[order])
