"""Can a generator's load be trusted? What makes a run void, whatever the server did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.load.schedule import LATE_S, Schedule

LATE_FRACTION = 0.05
"""Share of frames or polls that a generator may send late before the run is void."""
GENERATOR_CPU = 0.9
"""Share of a core at which a generator, one thread, can no longer be trusted to keep its times."""


@dataclass(frozen=True)
class GeneratorHealth:
    """How well a generator kept its times in the window.

    Attributes:
        sends: what it sends: "frames" or "polls".
        late_fraction: share of them that it sent later than `LATE_S`, delays by the server left out.
        late_p99_s: 99 % quantile of its own delay; None where nothing was sent.
        cpu_share: its CPU ÷ wall-clock time.
        errors: why streams ended early.
    """

    sends: str
    late_fraction: float
    late_p99_s: float | None
    cpu_share: float
    errors: tuple[str, ...]

    @property
    def void_reason(self) -> str | None:
        """Why it makes the run void, or None."""
        if self.errors:
            return f"a stream was cut off: {self.errors[0]}"
        if self.late_p99_s is None:
            return f"none of the {self.sends} were sent"
        if self.late_fraction > LATE_FRACTION:
            late = f"{self.late_fraction:.0%} of the {self.sends} more than {LATE_S * 1e3:.0f} ms late"
            return f"the generator sent {late}"
        if self.cpu_share > GENERATOR_CPU:
            return f"the generator of {self.sends} took {self.cpu_share:.0%} of a core"
        return None


def generator_health(
    own_delay_s: Sequence[float], *, cpu_s: float, wall_s: float, errors: Sequence[str] = (), sends: str = "frames"
) -> GeneratorHealth:
    """Return a generator's health from its own delay of each frame or poll in the window."""
    delays = np.asarray(own_delay_s, dtype=float)
    if not delays.size:
        return GeneratorHealth(sends, 1.0, None, cpu_s / wall_s, tuple(errors))
    late = float((delays > LATE_S).mean())
    return GeneratorHealth(sends, late, float(np.quantile(delays, 0.99)), cpu_s / wall_s, tuple(errors))


def publishers_health(published: Mapping[str, Any], schedule: Schedule, *, wall_s: float) -> GeneratorHealth:
    """Return the health of the publishers from their report as plain data."""
    delays = [
        delay_s
        for stream in published["streams"]
        for due_s, delay_s in zip(stream["scheduled_s"], stream["own_delay_s"], strict=True)
        if schedule.in_window(due_s)
    ]
    errors = [stream["error"] for stream in published["streams"] if stream["error"]]
    return generator_health(delays, cpu_s=published["cpu_s"], wall_s=wall_s, errors=errors)
