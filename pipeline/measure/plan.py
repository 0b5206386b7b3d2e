"""What a measurement is made of: cases, the loads run of each, and the time they may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.load.clip import DEFAULT_CONTENT, SourceClip, source_clip
from pipeline.load.schedule import OPENING_S, TAIL_S
from pipeline.measure.reference_job import REFERENCE_S
from scenarios.ladder import Ladder, Source

STAGGER_S = 0.31
"""Between the starts of two streams: their keyframes must not fall together, which no audience of ours does.

Not 0.3 s, which is nine frames at 30 per second: then the frames of all streams would arrive at one moment.
"""
WARM_UP_SEGMENTS = 2
START_S = 1.5
"""For two processes to start and load their libraries."""
END_S = 3.0
"""For the last frames of a server that is behind."""
PAUSE_S = 1.0
"""Between two runs, for another measurement on this machine to have its turn."""
AROUND_S = 6.0
"""For checks before the first load and for writing the bundle."""
USUAL_STREAMS = 5
"""Streams that a run is planned with: what two cores carry."""
SEARCHED_RUNS = 9
"""Runs that a search is planned with before its repeats."""

Start = Literal["staggered", "aligned"]
Depth = Literal["quick", "default", "full", "holdout"]


@dataclass(frozen=True)
class Case:
    """What is alike in all loads of a series.

    Attributes:
        ladder_name: of the ladder, in the bundle.
        ladder: what every stream is encoded to.
        source: what every stream sends.
        preset: of the encoder.
        content: what the clip shows, of `CONTENTS`.
        tone: whether the streams carry audio.
        start: whether streams start one after the other or all at once.
    """

    ladder_name: str
    ladder: Ladder
    source: Source
    preset: str
    content: str = DEFAULT_CONTENT
    tone: bool = False
    start: Start = "staggered"

    @property
    def label(self) -> str:
        """The case as the user reads it."""
        audio = " with audio" * self.tone
        aligned = ", aligned starts" * (self.start == "aligned")
        sent = f"{self.content} {self.source.label}{audio}"
        return f"{self.ladder_name} of {sent}, {self.preset}{aligned}"

    @property
    def stagger_s(self) -> float:
        """Time between the starts of two streams."""
        return STAGGER_S if self.start == "staggered" else 0.0

    def clip(self) -> SourceClip:
        """Return the clip that its streams send; made first if it is not in the cache."""
        return source_clip(self.source, content=self.content, tone=self.tone)


@dataclass(frozen=True)
class Series:
    """The loads that are run of one case.

    Attributes:
        case: what is measured.
        loads: streams at once, ascending, each next one only where the one before holds; empty: searched for.
        repeats: runs of each load; in a search, of the largest one that holds.
        base_repeats: runs of one stream in a search.
        most_runs: of a search, void ones included.
        name: distinguishes it from others of the same case.
    """

    case: Case
    loads: tuple[int, ...] = ()
    repeats: int = 3
    base_repeats: int = 2
    most_runs: int = 18
    name: str = ""

    @property
    def expected_runs(self) -> int:
        """How many runs it is planned with."""
        if self.loads:
            return len(self.loads) * self.repeats
        return min(self.most_runs, SEARCHED_RUNS + self.repeats - 1)

    def __str__(self) -> str:
        if not self.loads:
            return f"{self.case.label}: search for the largest N that holds"
        loads = " and ".join(map(str, self.loads))
        return f"{self.case.label}: N = {loads}, {self.repeats} times"


@dataclass(frozen=True)
class Window:
    """How long one load is.

    Attributes:
        segments: measured, after the warm-up.
        segment_s: length of a segment.
        warm_up_segments: of the last stream to start.
        stagger_s: between the starts of two streams.
    """

    segments: int
    segment_s: float
    warm_up_segments: int = WARM_UP_SEGMENTS
    stagger_s: float = STAGGER_S

    def run_s(self, streams: int) -> float:
        """Return the time that one load takes."""
        starting_s = REFERENCE_S + START_S + OPENING_S + (streams - 1) * self.stagger_s
        return starting_s + (self.warm_up_segments + self.segments) * self.segment_s + TAIL_S + END_S


@dataclass(frozen=True)
class Plan:
    """What a measurement does.

    Attributes:
        depth: as in the bundle.
        budget_s: wall-clock time for everything but making the clips and waiting for other measurements.
        series: what is run, the most useful first.
        segments: measured at each load.
        warm_up_segments: before them.
        contention_voids: whether a run that shared the machine is void, or only marked.
        later_runs: that are known only once the searches are done.
        probes_s: for what is measured besides loads; 0 where nothing is.
        protocol_sha256: of the file that names what is held out.
    """

    depth: Depth
    budget_s: float
    series: tuple[Series, ...]
    segments: int
    warm_up_segments: int = WARM_UP_SEGMENTS
    contention_voids: bool = True
    later_runs: int = 0
    probes_s: float = 0.0
    protocol_sha256: str | None = None

    def window(self, case: Case) -> Window:
        """Return how long a load of a case is."""
        return Window(self.segments, case.ladder.segment_s, self.warm_up_segments, case.stagger_s)

    @property
    def expected_s(self) -> float:
        """About how long it takes: no more than the budget."""
        run_s = [self.window(series.case).run_s(USUAL_STREAMS) + PAUSE_S for series in self.series]
        runs_s = sum(series.expected_runs * each_s for series, each_s in zip(self.series, run_s, strict=True))
        return min(self.budget_s, AROUND_S + runs_s + self.later_runs * max(run_s) + self.probes_s)

    def describe(self) -> str:
        """Return the budget, and what it is spent on, line by line."""
        windows = {self.window(series.case).segment_s for series in self.series}
        lengths = " or ".join(f"{segment_s:g}" for segment_s in sorted(windows))
        first = (
            f"budget {self.budget_s:.0f} s, about {self.expected_s:.0f} s expected: "
            f"loads of {self.segments} segments of {lengths} s after {self.warm_up_segments} of warm-up"
        )
        return "\n".join([first, *(f"  {series}" for series in self.series)])
