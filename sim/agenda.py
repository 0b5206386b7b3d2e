"""What happens whatever the platform does: broadcasters go live and stop, at moments that are known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from sim.components.broadcasts import BroadcastTable

CHUNK = 65_536
"""Moments that are turned into Python numbers at once: as floats they take four times their room."""


def moments(
    env: simpy.Environment,
    table: BroadcastTable,
    horizon_s: float,
    *,
    go_live: Callable[[int], None],
    stop: Callable[[int], None],
) -> Generator[simpy.Event, Any, None]:
    """Process: tell every going live and every stop within [0, horizon_s), in order, at its moment.

    Both are sorted beforehand, so that the clock's own queue stays short: one step for each instead of an entry that
    waits there for hours.
    """
    at_s = np.concatenate([table.publish_s, table.end_s])
    what = np.concatenate([np.arange(len(table)), -1 - np.arange(len(table))])
    within = np.flatnonzero((at_s >= 0.0) & (at_s < horizon_s))
    order = within[np.argsort(at_s[within], kind="stable")]
    for first in range(0, order.size, CHUNK):
        rows = order[first : first + CHUNK]
        for moment_s, number in zip(at_s[rows].tolist(), what[rows].tolist(), strict=True):
            wait_s = moment_s - env.now
            if wait_s > 0:
                yield env.timeout(wait_s)
            if number >= 0:
                go_live(number)
            else:
                stop(-1 - number)
