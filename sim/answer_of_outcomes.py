"""What became of broadcasts and of the fleet under failures and scaling, in sentences written from the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from sim.assumed_grounds import startup_mean_s
from sim.results import RunResult


def outcomes(result: RunResult, text: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for everything that happened: waits, losses, each failure, and how long the spare would last.

    Args:
        result: of a run.
        text: each metric with its unit and interval.
    """
    mean = result.summary.set_index("metric")["mean"].to_dict()
    if mean.get("queued_fraction", 0) > 0:
        yield f"{text['queued_fraction']} of broadcasts wait for a place."
    if mean.get("source_only_fraction", 0) > 0:
        yield f"{text['source_only_fraction']} of broadcasts go on without a ladder."
    yield from _losses(text, mean)
    yield from _failures(result)
    yield from _spare(result, text, mean)


def _losses(text: Mapping[str, str], mean: Mapping[str, float]) -> Iterator[str]:
    if mean.get("interrupted", 0) > 0:
        yield f"Interrupted: {text['interrupted']}, away for {text['outage_mean_s']} each time on average."
    if mean.get("lost", 0) > 0:
        yield f"Never back: {text['lost']}."
    if mean.get("moved", 0) > 0:
        yield f"Moved to another node: {text['moved']}."
    if mean.get("viewer_hours_lost", 0) > 0:
        yield (
            f"Viewers of those miss {text['viewer_hours_lost']} until the broadcast is back, and "
            f"{text['viewer_hours_away']} until their players are."
        )


def _failures(result: RunResult) -> Iterator[str]:
    for row in result.failures().itertuples():
        viewers = f" and their {row.viewers:,.0f} viewers" if result.is_watched else ""
        yield (
            f"'{row.what}', {row.at_s / 3600:.3g} h after the start, is about {row.nodes:,.0f} nodes with "
            f"{row.broadcasts:,.0f} broadcasts{viewers}{_back(row.kind, row.back_after_s)}."
        )


def _back(kind: str, after_s: float) -> str:
    if kind == "rolling_deploy":  # wave after wave: no one moment after which they are back
        return ""
    if after_s == 0:
        return "; more than 1 % of them are never away at once"
    return f"; {'not within the run' if math.isinf(after_s) else f'{after_s:,.0f} s later'} 99 % of them are in service"


def _spare(result: RunResult, text: Mapping[str, str], mean: Mapping[str, float]) -> Iterator[str]:
    lasts = mean.get("exhausted_in_s", math.nan)
    if math.isnan(lasts):
        return
    needs = startup_mean_s(result.scenario.platform.transcode)
    enough = "longer" if lasts > needs else "less"
    yield (
        f"At the tightest moment the ready places would last {text['exhausted_in_s']} at 1.7 times the load an hour "
        f"(assumed), {enough} than the {needs:,.0f} s that a node takes to start on average."
    )
