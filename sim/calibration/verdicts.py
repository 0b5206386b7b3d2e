"""Whether a prediction is good enough, judged beside what the measurement itself can tell."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from sim.calibration.comparison import BANDS
from sim.calibration.figures import FIGURES
from sim.calibration.null_models import NULL_MODELS

MET, MISSED, UNRESOLVED = "met", "missed", "UNRESOLVED"
FLOOR_FACTOR = 1.25
"""An error of this many noise floors cannot be told from noise."""
HIGHEST_FLOOR = 0.25
"""Noise floor above which nothing can be said."""
N_MAX_STREAMS, N_MAX_TARGET = 1.0, 0.07
"""N_max may be wrong by the larger of so many streams and this fraction."""
MODEL = "model"
SUMMARY = ["metric", "cases", "error", "worst", "noise_floor", "target", "verdict", *NULL_MODELS]


def verdict(error: float, *, floor: float, target: float | None) -> str | None:
    """Return whether a figure is predicted well enough: |error| ≤ max(target, 1.25 × noise floor).

    UNRESOLVED, neither met nor missed, where the floor is above 25 % or was not measured; None without a target or
    without an error.
    """
    if target is None or math.isnan(error):
        return None
    if math.isnan(floor) or floor > HIGHEST_FLOOR:
        return UNRESOLVED
    return MET if abs(error) <= max(target, FLOOR_FACTOR * floor) else MISSED


def n_max_verdict(*, predicted: float, measured: float, floor: float) -> str:
    """Return whether N_max is predicted well enough: within one stream or 7 % of it, whichever is more.

    UNRESOLVED where the search left more than a quarter of it open.
    """
    if math.isnan(floor) or floor > HIGHEST_FLOOR:
        return UNRESOLVED
    allowed = max(N_MAX_STREAMS, N_MAX_TARGET * measured)
    return MET if abs(predicted - measured) <= allowed + 1e-9 else MISSED


def overall(verdicts: list[str]) -> str | None:
    """Return one verdict for several: missed if one is, else UNRESOLVED if one is; None for none."""
    return next((worst for worst in (MISSED, UNRESOLVED, MET) if worst in verdicts), None)


def null_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the absolute errors of the null models, one row for each of relative figures; NaN where one is silent."""
    answers = rows[list(NULL_MODELS)].astype(float)
    return answers.sub(rows["measured"], axis=0).div(rows["measured"], axis=0).abs()


def judged_loads(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the loads up to 0.8 of N_max that are judged.

    Where some were repeated, only those: the single runs of a search have no noise floor to stand beside.
    """
    within = metrics[metrics["band"].isin([name for _, name in BANDS])]
    repeated = within[within["repeats"] > 1]
    return within if repeated.empty else repeated


def summary(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each figure that is a fraction, over the judged loads, and one of N_max.

    Columns: metric; cases, loads behind it (of N_max, searches); error, the median of the absolute errors, and
    worst, the largest; noise_floor, the median; target; verdict, of the median error; the null models' median errors
    over the loads of more than one stream, NaN where one is silent at any of them.
    """
    within = judged_loads(metrics)
    rows = []
    for name, figure in FIGURES.items():
        of_figure = within[(within["metric"] == name) & within["error"].notna()]
        if figure.relative and len(of_figure):
            floor = float(of_figure["noise_floor"].median())
            error = float(of_figure["error"].abs().median())
            judged = verdict(error, floor=floor, target=figure.target)
            rows.append(_summary_row(of_figure, floor=floor, target=figure.target, judged=judged))
    searched = metrics[metrics["metric"] == "n_max"]
    if len(searched):
        judged = overall(n_max_verdicts(searched))
        floor = float(searched["noise_floor"].median())
        rows.append(_summary_row(searched, floor=floor, target=N_MAX_TARGET, judged=judged))
    return pd.DataFrame(rows, columns=SUMMARY)


def n_max_verdicts(rows: pd.DataFrame) -> list[str]:
    """Return the verdict of each row of N_max."""
    return [
        n_max_verdict(predicted=row["predicted"], measured=row["measured"], floor=row["noise_floor"])
        for row in rows.to_dict("records")
    ]


def rivals(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return who predicts best at the judged loads between 0.5 and 0.8 of N_max: a row for each relative figure.

    Columns: metric; loads; model and each null model, their median absolute errors, NaN for one that is silent at any
    of the loads; beaten, whether the model's is below all of theirs; adopted, the best: the model unless a null
    model is better.
    """
    judged = judged_loads(metrics)
    band = judged[(judged["band"] == BANDS[-1][1]) & judged["error"].notna()]
    rows = list(_rival_rows(band))
    return pd.DataFrame(rows, columns=["metric", "loads", MODEL, *NULL_MODELS, "beaten", "adopted"])


def _rival_rows(band: pd.DataFrame) -> Iterator[dict[str, object]]:
    for name, figure in FIGURES.items():
        rows = band[band["metric"] == name]
        if not figure.relative or rows.empty:
            continue
        errors = {MODEL: float(rows["error"].abs().median()), **_null_medians(rows)}
        answered = {who: error for who, error in errors.items() if not math.isnan(error)}
        adopted = min(answered, key=lambda who: (answered[who], who != MODEL))
        beaten = all(errors[MODEL] < answered[who] for who in answered if who != MODEL)
        yield {"metric": name, "loads": len(rows), **errors, "beaten": beaten, "adopted": adopted}


def _summary_row(rows: pd.DataFrame, *, floor: float, target: float | None, judged: str | None) -> dict[str, object]:
    return {
        "metric": rows["metric"].iloc[0],
        "cases": len(rows),
        "error": float(rows["error"].abs().median()),
        "worst": float(rows["error"].abs().max()),
        "noise_floor": floor,
        "target": math.nan if target is None else target,
        "verdict": judged,
        **_null_medians(rows),
    }


def _null_medians(rows: pd.DataFrame) -> dict[str, float]:
    several = rows[rows["load"].astype("Int64").ne(1).fillna(True)]
    errors = null_errors(several)
    return {name: float(errors[name].median(skipna=False)) for name in NULL_MODELS}
