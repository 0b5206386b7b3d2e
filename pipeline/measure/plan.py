"""What a measurement may take, decided and told before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.load.schedule import OPENING_S, TAIL_S
from scenarios.errors import NotReady

STAGGER_S = 0.3
"""Between the starts of two streams: their keyframes must not fall together, which no audience of ours does."""
WARM_UP_SEGMENTS = 2
QUICK_SEGMENTS = 9
FEWEST_SEGMENTS = 8
MOST_RUNS = 6
START_S = 1.5
"""For two processes to start and load their libraries."""
END_S = 3.0
"""For the last frames of a server that is behind."""
AROUND_S = 6.0
"""For checks before the first load and for writing the bundle."""
USUAL_STREAMS = 5
"""Streams that a run is planned with: what two cores carry."""


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        budget_s: wall-clock time for everything but making the clip.
        runs: loads that are run at most.
        segments: measured at each load, after the warm-up.
        segment_s: length of a segment.
        warm_up_segments: of the last stream to start.
        stagger_s: between the starts of two streams.
    """

    budget_s: float
    runs: int
    segments: int
    segment_s: float
    warm_up_segments: int = WARM_UP_SEGMENTS
    stagger_s: float = STAGGER_S

    def run_s(self, streams: int) -> float:
        """Return the time that one load takes."""
        starting_s = START_S + OPENING_S + (streams - 1) * self.stagger_s
        return starting_s + (self.warm_up_segments + self.segments) * self.segment_s + TAIL_S + END_S

    def describe(self) -> str:
        """Return the budget in a sentence."""
        return (
            f"budget {self.budget_s:.0f} s: up to {self.runs} loads of {self.segments} segments of "
            f"{self.segment_s:g} s after {self.warm_up_segments} of warm-up, "
            f"{self.run_s(USUAL_STREAMS):.0f} s each"
        )


def quick_plan(*, budget_s: float, segment_s: float) -> Plan:
    """Return the plan with the most loads that the budget allows, and then the most segments, up to the usual ones.

    Raises:
        NotReady: the budget does not even allow two loads.
    """
    for segments in range(QUICK_SEGMENTS, FEWEST_SEGMENTS - 1, -1):
        plan = Plan(budget_s=budget_s, runs=MOST_RUNS, segments=segments, segment_s=segment_s)
        runs = int((budget_s - AROUND_S) / plan.run_s(USUAL_STREAMS))
        if runs >= MOST_RUNS - 1 or (segments == FEWEST_SEGMENTS and runs >= 2):
            return Plan(budget_s=budget_s, runs=min(runs, MOST_RUNS), segments=segments, segment_s=segment_s)
    raise NotReady(
        f"{budget_s:.0f} s are too short to measure two loads of {FEWEST_SEGMENTS} segments of {segment_s:g} s; "
        "allow more, or choose shorter segments"
    )
