"""How far a profile was off on loads that its fit has not seen: the table it carries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Count, IsoDate, Name, PositiveCount, SpecModel, Text

Verdict = Literal["met", "missed", "UNRESOLVED"]
Fraction = Annotated[float, Field(ge=0)]
"""An error as a fraction of what was measured; may exceed 1."""


class FigureErrors(SpecModel):
    """One figure over all held-out loads up to 0.8 of N_max; N_max itself over the ladders that were searched."""

    figure: Name
    loads: PositiveCount
    """Held-out loads behind it, of N_max searches."""
    error: Fraction
    """Median of the absolute errors."""
    worst: Fraction
    """The largest of them."""
    noise_floor: Fraction | None
    """Median difference between pooled halves of the repeats; null where nothing was repeated."""
    target: Fraction | None
    verdict: Verdict | None
    """Null where no target was set."""
    null_models: dict[str, Fraction | None]
    """Median absolute error of each of the simplest models; null where one says nothing."""


class CpuError(SpecModel):
    """The error of CPU per stream-second on one ladder, beside its noise floor."""

    error: Fraction
    noise_floor: Fraction | None
    verdict: Verdict


class NMaxError(SpecModel):
    """The largest number of streams that a ladder's node holds."""

    measured: PositiveCount
    predicted: Count
    division: Count
    """Cores ÷ CPU per stream: capacity as a spreadsheet has it."""
    verdict: Verdict


class LadderErrors(SpecModel):
    """One held-out ladder with one clip."""

    ladder: Name
    clip: Name
    source: Text
    """Its picture: `1280x720@30`."""
    rungs: tuple[Text, ...]
    """Theirs, highest first."""
    cpu_s_per_stream_s: Annotated[float, Field(gt=0)]
    """CPU-seconds per stream-second of one stream alone, as the profile has it: where the ladder stands."""
    cpu: CpuError | None
    """CPU per stream-second, median over its loads up to 0.8 of N_max; null where there is none."""
    n_max: NMaxError | None
    """Null where it was not searched."""


class HeldOutErrors(SpecModel):
    """What `headroom replay` found on bundles that were measured by a protocol fixed before the fit."""

    bundles: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Identity of each held-out bundle."""
    date: IsoDate
    """Of the latest."""
    protocol_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the file that named the held-out loads before anything was fitted."""
    seed: Count
    """Of the predicted service times."""
    repeats: PositiveCount
    """The fewest runs of a held-out load."""
    figures: tuple[FigureErrors, ...]
    ladders: Annotated[tuple[LadderErrors, ...], Field(min_length=1)]
