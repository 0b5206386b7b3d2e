"""From a replay of held-out loads to the table that a profile carries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from scenarios.bundle import BundleMeta, Content
from scenarios.errors import CalibrationError
from scenarios.held_out import CpuError, FigureErrors, HeldOutErrors, LadderErrors, NMaxError
from scenarios.ladder import Ladder
from scenarios.profile import Profile
from sim.calibration.evidence import hardware
from sim.calibration.figures import FIGURES
from sim.calibration.null_models import NULL_MODELS
from sim.calibration.replay import ReplayResult
from sim.calibration.verdicts import judged_loads, n_max_verdicts, summary, verdict
from sim.stream_cost import stream_cpu_s

DIGITS = 4
"""Of the fractions in the table."""


def with_held_out(profile: Profile, result: ReplayResult) -> Profile:
    """Return the profile with the table of a replay; an older table is replaced.

    Raises:
        CalibrationError: see `held_out_table`.
    """
    return profile.model_copy(update={"held_out": held_out_table(result, profile)})


def held_out_table(result: ReplayResult, profile: Profile) -> HeldOutErrors:
    """Return the errors of a profile on what its fit has not seen.

    Args:
        result: a replay with this very profile.
        profile: of the machine on which the held-out loads were measured.

    Raises:
        CalibrationError: the replay was of another profile, or at another speed; it holds nothing out; what it holds
            out was not measured by a protocol, or by several, or on another machine; or the fit has seen it.
    """
    if result.profile != profile.name:
        raise CalibrationError(f"a replay with profile {result.profile} says nothing of profile {profile.name}")
    if result.at_speed:
        raise CalibrationError("a held-out table is of the profile as it is; replay without --at-speed")
    metas = _held_out_bundles(result.bundles, profile)
    metrics = result.metrics[~result.metrics["in_sample"]]
    _check_unseen(metrics, metas, profile)
    return HeldOutErrors(
        bundles=tuple(meta.identity for meta in metas),
        date=max(meta.date for meta in metas),
        protocol_sha256=_protocol(metas),
        seed=result.seed,
        repeats=_repeats(metrics),
        figures=tuple(_figure(row) for row in summary(metrics).to_dict("records")),
        ladders=tuple(
            _ladder(ladder, clip, rows, metas, profile) for (ladder, clip), rows in metrics.groupby(["ladder", "clip"])
        ),
    )


def _held_out_bundles(metas: Sequence[BundleMeta], profile: Profile) -> list[BundleMeta]:
    held_out = [meta for meta in metas if meta.identity not in profile.measured.bundles]
    if not held_out:
        raise CalibrationError(
            f"profile {profile.name} was fitted to every bundle of this replay; a held-out table needs one that the "
            "fit has not seen (`headroom measure --holdout`)"
        )
    for meta in held_out:
        if meta.depth != "holdout" or meta.protocol_sha256 is None:
            raise CalibrationError(
                f"{meta.identity}: not measured by a protocol that was fixed before the fit; its errors can be "
                "looked at, but a profile carries only those of `headroom measure --holdout`"
            )
        if hardware(meta.machine) != hardware(profile.machine):
            raise CalibrationError(
                f"{meta.identity}: measured on another machine ({meta.machine.cpu_model}) than profile {profile.name} "
                f"({profile.machine.cpu_model}); its errors are those of carrying the profile over"
            )
    return held_out


def _protocol(metas: Sequence[BundleMeta]) -> str:
    hashes = {meta.protocol_sha256 for meta in metas if meta.protocol_sha256 is not None}
    if len(hashes) > 1:
        raise CalibrationError(
            f"{', '.join(meta.identity for meta in metas)} follow different protocols; one table is of one protocol"
        )
    return hashes.pop()


def _check_unseen(metrics: pd.DataFrame, metas: Sequence[BundleMeta], profile: Profile) -> None:
    """Check that nothing held out was fitted, whatever its name."""
    for name, clip, preset in (
        metrics[["ladder", "clip", "preset"]].drop_duplicates().itertuples(index=False, name=None)
    ):
        ladder, content = _described(name, clip, metas)
        for seen in profile.measured.ladders:
            alike = (seen.ladder, seen.source, seen.content, seen.preset)
            if alike == (ladder, content.source, content.shows, preset):
                raise CalibrationError(
                    f"profile {profile.name} was fitted to {seen.name} of {seen.content} {seen.source.label}, which "
                    f"stands in the held-out bundle as {name}; what the fit has seen is not out of sample"
                )


def _repeats(metrics: pd.DataFrame) -> int:
    loads = judged_loads(metrics)
    if loads.empty:
        raise CalibrationError("no held-out load is below 0.8 of N_max; measure one (`headroom measure --holdout`)")
    return int(loads["repeats"].min())


def _figure(row: dict[str, Any]) -> FigureErrors:
    judged = row["verdict"]
    return FigureErrors.model_validate(
        {
            "figure": row["metric"],
            "loads": row["cases"],
            "error": _rounded(row["error"]),
            "worst": _rounded(row["worst"]),
            "noise_floor": _rounded(row["noise_floor"]),
            "target": _rounded(row["target"]),
            "verdict": None if pd.isna(judged) else judged,
            "null_models": {name: _rounded(row[name]) for name in NULL_MODELS},
        }
    )


def _ladder(name: str, clip: str, rows: pd.DataFrame, metas: Sequence[BundleMeta], profile: Profile) -> LadderErrors:
    ladder, content = _described(name, clip, metas)
    return LadderErrors(
        ladder=name,
        clip=clip,
        source=content.source.label,
        rungs=tuple(rung.label for rung in ladder.rungs),
        cpu_s_per_stream_s=float(f"{stream_cpu_s(profile.middle(), content.source, ladder):.{DIGITS}g}"),
        cpu=_cpu(rows),
        n_max=_n_max(rows[rows["metric"] == "n_max"]),
    )


def _described(name: str, clip: str, metas: Sequence[BundleMeta]) -> tuple[Ladder, Content]:
    for meta in metas:
        contents = {content.name: content for content in meta.content}
        if name in meta.ladders and clip in contents:
            return meta.ladders[name], contents[clip]
    raise ValueError(f"no bundle describes ladder {name} and clip {clip}")


def _cpu(rows: pd.DataFrame) -> CpuError | None:
    loads = judged_loads(rows)
    of_cpu = loads[loads["metric"] == "cpu"]
    if of_cpu.empty:
        return None
    error, floor = float(of_cpu["error"].abs().median()), float(of_cpu["noise_floor"].median())
    judged = verdict(error, floor=floor, target=FIGURES["cpu"].target)
    return CpuError.model_validate({"error": _rounded(error), "noise_floor": _rounded(floor), "verdict": judged})


def _n_max(rows: pd.DataFrame) -> NMaxError | None:
    if rows.empty:
        return None
    if len(rows) > 1:  # searched with staggered and with aligned starts: the smaller one is what a node is good for
        rows = rows[rows["measured"] == rows["measured"].min()].iloc[:1]
    row = rows.iloc[0]
    return NMaxError.model_validate(
        {
            "measured": int(row["measured"]),
            "predicted": int(row["predicted"]),
            "division": int(row["division"]),
            "verdict": n_max_verdicts(rows)[0],
        }
    )


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.{DIGITS}g}")
