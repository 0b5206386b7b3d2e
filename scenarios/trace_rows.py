"""What makes a row of samples a trace: steps of one length, no gap, no repeat, no jump of the clock.

Both the reader of CSV files and the model of the language judge by this, so that a trace written out in a scenario
is held to the same rules as one in a file.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

DAY_S = 86_400.0
SHORTEST_STEP, LONGEST_STEP = 0.5, 1.5
"""Of the middle step: outside of this a sample is missing, or there is one too many."""
CLOCK_JUMPS_S = (1800.0, 3600.0)
"""By which clocks are put forward and back where there is daylight saving time."""
JUMP_AGREES_S = 60.0


class Fault(NamedTuple):
    """What is wrong with one sample: which one, what, and what to do."""

    sample: int
    message: str
    hint: str = ""


def faults(at_s: Sequence[float], levels: Sequence[float]) -> Iterator[Fault]:
    """Yield what is wrong with samples: times that do not go on in even steps, levels that are no numbers of people.

    Args:
        at_s: times in seconds, of any origin.
        levels: what was counted, one for each time.
    """
    for index, (time_s, level) in enumerate(zip(at_s, levels, strict=True)):
        if not math.isfinite(time_s) or not math.isfinite(level):
            yield Fault(index, "must be finite")
        elif level < 0:
            yield Fault(index, f"{level:g} is below 0", "a trace counts viewers or streams")
    steps_s = [later - earlier for earlier, later in itertools.pairwise(at_s)]
    forward = [step for step in steps_s if step > 0]
    if not forward:
        yield Fault(max(len(at_s) - 1, 0), f"{len(at_s)} samples are no trace", "at least two moments are needed")
        return
    usual_s = statistics.median(forward)
    for index, step_s in enumerate(steps_s, start=1):
        if not SHORTEST_STEP * usual_s <= step_s <= LONGEST_STEP * usual_s:
            yield _uneven(index, step_s, usual_s)


def whole_days_s(at_s: Sequence[float]) -> float | None:
    """Return the days that samples in even steps span, in seconds; None where they span no whole number of days.

    The last sample may be the one before the first's time of day comes again, or that very time.
    """
    step_s = (at_s[-1] - at_s[0]) / (len(at_s) - 1)
    for span_s in (at_s[-1] - at_s[0] + step_s, at_s[-1] - at_s[0]):
        days = round(span_s / DAY_S)
        if days >= 1 and abs(span_s - days * DAY_S) < step_s / 2:
            return days * DAY_S
    return None


def _uneven(index: int, step_s: float, usual_s: float) -> Fault:
    other = f"the other steps are {span_words(usual_s)}"
    jumped = any(abs(abs(step_s - usual_s) - jump_s) < JUMP_AGREES_S for jump_s in CLOCK_JUMPS_S)
    hint = "a clock that was put forward or back (daylight saving time)? write the times in UTC" if jumped else ""
    if step_s == 0:
        return Fault(index, "the same time as the sample before", hint or "keep one sample for each moment")
    if step_s < 0:
        return Fault(index, f"{span_words(-step_s)} before the sample above it", hint or "sort the rows by time")
    if step_s < usual_s:
        return Fault(index, f"only {span_words(step_s)} after the sample above it; {other}", hint or "sample evenly")
    return Fault(
        index,
        f"{span_words(step_s)} after the sample above it; {other}",
        hint or "fill the gap, or cut the trace before it",
    )


def span_words(seconds: float) -> str:
    """Return a span of time as a reader says it: `1 h 15 min`, `90 s`."""
    if seconds < 120 or seconds % 60:
        return f"{seconds:g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)
