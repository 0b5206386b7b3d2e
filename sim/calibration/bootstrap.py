"""Joint draws: one resample of the measurement gives one row of all coefficients, so correlation stays.

Every draw is the whole fit repeated on one resample (`sim.calibration.resample`). Beside chance, a law has an error
of its own: what it says of a ladder that it did not see. Each ladder within the range of the others is left out in
turn, the laws are fitted to the rest, and the root mean square of its relative error of CPU per stream-second is the
spread of one lognormal factor per draw on all CPU coefficients. Where no ladder can be left out, `UNREPEATED_CV`
stands in. A contended measurement has every draw moved away from the middle by `CONTENDED_WIDENING`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scenarios.ladder import Ladder, Source
from sim.calibration.evidence import Case, Evidence
from sim.calibration.knee import brackets, usable_core_fraction
from sim.calibration.laws import growth_with_load, run_weights, stage_laws
from sim.calibration.process_laws import latency_laws, memory_law, process_laws, spread_laws
from sim.calibration.regression import Floats
from sim.calibration.resample import UNREPEATED_CV, Sample, lognormal, resampled, whole
from sim.stream_cost import load_growth, stream_cpu_s

CONTENDED_WIDENING = 1.5
"""Factor on the distance of a draw from the middle, of a logarithm where the middle is not 0."""
LEAST_SHARE = 0.1
"""Of the middle that a draw of memory may not fall below: a stream without memory fits a node without end."""


@dataclass(frozen=True)
class LawError:
    """What the laws say wrongly of ladders that they did not see.

    Attributes:
        cv: root mean square of the relative errors, or what stands in for it.
        by_ladder: relative error of CPU per stream-second of each ladder left out; empty if none could be.
    """

    cv: float
    by_ladder: Mapping[str, float]

    def __str__(self) -> str:
        if not self.by_ladder:
            return f"laws unchecked, as no ladder could be left out: ±{self.cv:.1%} taken"
        errors = ", ".join(f"{name} {error:+.1%}" for name, error in self.by_ladder.items())
        return f"CPU per stream-second of a ladder left out: {errors}; rms {self.cv:.1%} widens the interval"


def middle(evidence: Evidence, facts: pd.DataFrame, sums: pd.DataFrame) -> dict[str, float]:
    """Return the coefficients as the whole measurement tells them, by key."""
    sample = whole(facts, sums)
    values = {key: float(value[0]) for key, value in _fitted(sample, evidence.cases, evidence.preset).items()}
    knee = usable_core_fraction(brackets(sample, evidence.cases))
    return values | {"usable_core_fraction": float(knee[0])}


def joint_draws(
    evidence: Evidence,
    facts: pd.DataFrame,
    sums: pd.DataFrame,
    *,
    best: Mapping[str, float],
    law_error: LawError,
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return `draws` rows of coefficients, columns by key; see the module for how each is drawn."""
    sample = resampled(facts, sums, draws=draws, rng=rng)
    rows = pd.DataFrame(_fitted(sample, evidence.cases, evidence.preset))
    rows["usable_core_fraction"] = usable_core_fraction(brackets(sample, evidence.cases), rng=rng)
    rows = rows.fillna(dict(best))  # a resample without a keyframe, or without a run of one content
    of_cpu = [key for key in rows.columns if "_cpu_s_per_" in key]
    rows[of_cpu] = rows[of_cpu].mul(lognormal(law_error.cv, draws, rng), axis=0)
    memory = [key for key in rows.columns if key.startswith("rss_bytes")]
    rows[memory] = rows[memory].mul(lognormal(UNREPEATED_CV, draws, rng), axis=0)
    rows[memory] = rows[memory].clip(lower=LEAST_SHARE * pd.Series({key: best[key] for key in memory}), axis=1)
    return _widened(rows, best) if evidence.contended else rows


def law_errors(evidence: Evidence, facts: pd.DataFrame, sums: pd.DataFrame) -> LawError:
    """Return the errors of every ladder that lies within the range of the others, left out in turn."""
    sample, cases = whole(facts, sums), evidence.cases
    kinds: dict[tuple[Source, Ladder], set[int]] = {}
    for number, case in enumerate(cases):
        if case.capacity_streams and case.preset == evidence.preset and case.content == evidence.chief.content:
            kinds.setdefault((case.source, case.ladder), set()).add(number)
    errors = {}
    for (source, ladder), numbers in kinds.items():
        others = [kind for kind in kinds if kind != (source, ladder)]
        if len(others) < 2 or not _within(source, ladder, others):
            continue
        fitted = _fitted(sample.without(numbers), cases, evidence.preset)
        values = {key: float(value[0]) for key, value in fitted.items()}
        errors[cases[min(numbers)].ladder_name] = _error(sample, values, source, ladder, numbers)
    if not errors:
        return LawError(UNREPEATED_CV, {})
    return LawError(float(np.sqrt(np.mean(np.square(list(errors.values()))))), errors)


def _fitted(sample: Sample, cases: tuple[Case, ...], preset: str) -> dict[str, Floats]:
    growth = growth_with_load(sample, cases)
    return {
        **stage_laws(sample, cases, growth, preset=preset),
        **process_laws(sample, cases, growth),
        **memory_law(sample),
        **latency_laws(sample),
        **spread_laws(sample, cases, preset=preset),
    }


def _error(sample: Sample, values: Mapping[str, float], source: Source, ladder: Ladder, numbers: set[int]) -> float:
    """Return predicted ÷ measured − 1 of CPU per stream-second, the mean over the runs of a ladder that hold."""
    chosen = sample.facts[sample.facts["case"].isin(numbers) & sample.facts["holds"]]
    weights = run_weights(sample)[0][(sample.facts["case"].isin(numbers) & sample.facts["holds"]).to_numpy()]
    base = values["base_cpu_s_per_s"] * chosen["wall_s"] / chosen["media_s"]
    growth = np.array([load_growth(values, utilisation) for utilisation in chosen["utilisation"]])
    foreseen = stream_cpu_s(values, source, ladder) * growth + base
    seen = chosen["cpu_s"] * chosen["speed"] / chosen["media_s"]
    return float(np.average(foreseen / seen - 1.0, weights=weights))


def _within(source: Source, ladder: Ladder, others: list[tuple[Source, Ladder]]) -> bool:
    sources = [other.pixels for other, _ in others]
    rungs = [rung.pixels for _, other in others for rung in other.encoded]
    mine = [rung.pixels for rung in ladder.encoded]
    return min(sources) <= source.pixels <= max(sources) and all(min(rungs) <= own <= max(rungs) for own in mine)


def _widened(rows: pd.DataFrame, best: Mapping[str, float]) -> pd.DataFrame:
    wide: dict[str, pd.Series[float] | Floats] = {}
    for key, drawn in rows.items():
        at = best[str(key)]
        if at > 0.0 and (drawn > 0.0).all():
            wide[str(key)] = at * (drawn / at) ** CONTENDED_WIDENING
        else:
            wide[str(key)] = np.maximum(at + (drawn - at) * CONTENDED_WIDENING, 0.0)
    widened = pd.DataFrame(wide)
    widened["usable_core_fraction"] = widened["usable_core_fraction"].clip(upper=1.0)
    return widened
