"""Does a load hold? The verdict on one run, and what makes a run void."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.load.schedule import LATE_S
from scenarios.backlog import FEWEST_POINTS, Slope, backlog_slope, grows

LATE_FRACTION = 0.05
"""Share of frames that the generator may send late before the run is void."""
GENERATOR_CPU = 0.9
"""Share of a core at which the generator, one thread, can no longer be trusted to keep its times."""


@dataclass(frozen=True)
class Verdict:
    """What a run is worth.

    Attributes:
        verdict: as in the bundle.
        void_reason: why it is void, else None.
        slope: of the backlog; None where too few frames came through to tell one.
    """

    verdict: Literal["holds", "overloaded", "void"]
    void_reason: str | None
    slope: Slope | None


@dataclass(frozen=True)
class GeneratorHealth:
    """How well the generator kept its times in the window.

    Attributes:
        late_fraction: share of frames that it sent later than `LATE_S`, delays by the server left out.
        late_p99_s: 99 % quantile of its own delay.
        cpu_share: its CPU ÷ wall-clock time.
        errors: why streams ended early.
    """

    late_fraction: float
    late_p99_s: float
    cpu_share: float
    errors: tuple[str, ...]

    @property
    def void_reason(self) -> str | None:
        """Why it makes the run void, or None."""
        if self.errors:
            return f"a stream was cut off: {self.errors[0]}"
        if self.late_fraction > LATE_FRACTION:
            return f"the generator sent {self.late_fraction:.0%} of the frames more than {LATE_S * 1e3:.0f} ms late"
        if self.cpu_share > GENERATOR_CPU:
            return f"the generator took {self.cpu_share:.0%} of a core"
        return None


def generator_health(
    own_delay_s: Sequence[float], *, cpu_s: float, wall_s: float, errors: Sequence[str]
) -> GeneratorHealth:
    """Return the generator's health from its own delay of each frame in the window."""
    delays = np.asarray(own_delay_s, dtype=float)
    if not delays.size:
        return GeneratorHealth(1.0, float("nan"), cpu_s / wall_s, tuple(errors) or ("no frame was sent",))
    late = float((delays > LATE_S).mean())
    return GeneratorHealth(late, float(np.quantile(delays, 0.99)), cpu_s / wall_s, tuple(errors))


def judge(
    moments_s: Sequence[float],
    lags_s: Sequence[float],
    *,
    window_s: float,
    frame_interval_s: float,
    lost_frames: int,
    void_reason: str | None,
) -> Verdict:
    """Return the verdict on a run.

    Args:
        moments_s: middle of each segment length.
        lags_s: mean lag of its frames, from the moment each was due.
        window_s: length of the window.
        frame_interval_s: 1 / frames per second of the source.
        lost_frames: frames of the window that were dropped, or not yet decoded seconds after its end: a queue that is
            full has no slope any more, and is overload nonetheless.
        void_reason: what is wrong with the run itself, if anything.
    """
    slope = backlog_slope(moments_s, lags_s) if len(moments_s) >= FEWEST_POINTS else None
    if void_reason is not None:
        return Verdict("void", void_reason, slope)
    if lost_frames:
        return Verdict("overloaded", None, slope)
    if slope is None:
        return Verdict("void", f"{len(moments_s)} segment lengths are too few for a slope", None)
    growing = grows(slope, window_s=window_s, frame_interval_s=frame_interval_s)
    return Verdict("overloaded" if growing else "holds", None, slope)
