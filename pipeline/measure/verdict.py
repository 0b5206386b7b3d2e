"""Does a load hold? The verdict on one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scenarios.backlog import FEWEST_POINTS, Slope, backlog_slope, grows


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
