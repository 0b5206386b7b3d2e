"""When the processes of one load do what, on CLOCK_MONOTONIC, which all processes of a machine share."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

LATE_S = 0.05
"""Later than this, the generator did not keep its time."""
OPENING_S = 0.1
"""Between opening a connection and its first frame: the handshake and the server's answer take 3 round trips."""
TAIL_S = 0.5
"""How long after the end of the window frames still come, to close the segments that ended in it."""


@dataclass(frozen=True)
class Schedule:
    """The times of one load.

    Attributes:
        start_s: the first stream opens its connection.
        stagger_s: between the starts of two streams.
        window_start_s: measuring starts: the last stream has its warm-up behind it.
        window_end_s: measuring ends; frames come until `TAIL_S` later.
    """

    start_s: float
    stagger_s: float
    window_start_s: float
    window_end_s: float

    def first_frame_s(self, stream: int) -> float:
        """Return when the first frame of a stream is due."""
        return self.start_s + stream * self.stagger_s + OPENING_S

    @property
    def last_frame_s(self) -> float:
        """No frame is due from then on."""
        return self.window_end_s + TAIL_S

    def in_window(self, moment_s: float) -> bool:
        """Return whether a moment is measured."""
        return self.window_start_s <= moment_s < self.window_end_s


async def until(moment_s: float) -> None:
    """Sleep until a moment; a moment that is past is no reason to wait."""
    await asyncio.sleep(max(moment_s - time.monotonic(), 0.0))


async def cpu_in_window(schedule: Schedule) -> float:
    """Return the CPU seconds that this process takes within the window, once it is over."""
    await until(schedule.window_start_s)
    before_s = time.process_time()
    await until(schedule.window_end_s)
    return time.process_time() - before_s
