"""Pictures of what the laws miss: measured against fitted, and the relative residual by size and by load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scenarios.profile import Profile
from sim.calibration.blocks import block_sums
from sim.calibration.evidence import Evidence, gather
from sim.calibration.laws import LAWS, mean_cpu, predicted
from sim.calibration.rates import run_facts
from sim.calibration.regression import Floats
from sim.calibration.resample import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = {"decode": "pixels", "scale": "rung_pixels", "encode": "pixels", "mux": "bytes"}
"""Stage → the size on the horizontal axis."""
AXIS = {"pixels": "pixels of the picture", "rung_pixels": "pixels of the rung", "bytes": "bytes of a mean frame"}


def residuals(folders: Sequence[Path], profile: Profile) -> pd.DataFrame:
    """Return what every stage cost in every run and rung that holds, beside what the profile's laws say.

    Args:
        folders: the bundles that the profile was fitted to.
        profile: whose laws, for its preset and reference content.

    Returns:
        Columns stage, ladder, rung, streams, utilisation, size (of `SIZES`), measured_s and fitted_s per frame, low_s
        and high_s, the 95 % interval of the fit.
    """
    evidence = gather(folders, preset=profile.encoder.preset)
    return pd.concat([_of_stage(evidence, profile, stage) for stage in LAWS], ignore_index=True)


def plot_residuals(folders: Sequence[Path], profile: Profile, directory: Path) -> list[Path]:
    """Write one SVG for each stage; return their paths.

    Raises:
        CalibrationError: the bundles are not those of the profile.
    """
    from sim.plots import svg

    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for stage, rows in residuals(folders, profile).groupby("stage", sort=False):
        path = directory / f"{stage}.svg"
        path.write_text(svg(stage_figure(str(stage), rows), salt=f"residuals {stage}"), encoding="utf-8")
        written.append(path)
    return written


def stage_figure(stage: str, rows: pd.DataFrame) -> Figure:
    """Return three panels about one stage: measured against fitted, and the residual by size and by load."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(12, 4.2), layout="constrained")
    against, by_size, by_load = figure.subplots(1, 3)
    low, high = 1e3 * rows["fitted_s"].min(), 1e3 * rows["fitted_s"].max()
    against.plot([low, high], [low, high], color="0.6", linewidth=1, zorder=0)
    for number, (ladder, part) in enumerate(rows.groupby("ladder", sort=False)):
        style = {"color": f"C{number % 10}", "marker": "osD^v<>pP*"[number % 10], "markersize": 4, "linestyle": ""}
        widths = 1e3 * np.array([part["fitted_s"] - part["low_s"], part["high_s"] - part["fitted_s"]])
        against.errorbar(1e3 * part["fitted_s"], 1e3 * part["measured_s"], xerr=widths, elinewidth=0.8, **style)
        residual = 100 * (part["measured_s"] / part["fitted_s"] - 1)
        error = 100 * widths / (1e3 * part["fitted_s"].to_numpy())
        by_size.errorbar(part["size"], residual, yerr=error, elinewidth=0.8, **style)
        by_load.errorbar(100 * part["utilisation"], residual, yerr=error, elinewidth=0.8, label=ladder, **style)
    _named(
        against, f"Does the law of {stage} meet what was measured?", "fitted, ms per frame", "measured, ms per frame"
    )
    _named(by_size, "Is it wrong for small or large ones?", AXIS[SIZES[stage]], "measured ÷ fitted − 1, %")
    _named(by_load, "Is it wrong on a busy machine?", "cores in use, %", "measured ÷ fitted − 1, %")
    for axes in (by_size, by_load):
        axes.axhline(0.0, color="0.6", linewidth=1, zorder=0)
    by_size.set_xlim(left=0)
    by_size.locator_params(axis="x", nbins=4)
    by_load.set_xlim(0, 100)
    figure.legend(loc="outside lower center", ncols=4, title="ladder; bars: 95 % interval of the fit", fontsize=8)
    return figure


def _named(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _of_stage(evidence: Evidence, profile: Profile, stage: str) -> pd.DataFrame:
    sample = whole(run_facts(evidence), block_sums(evidence.bundle))
    seen = mean_cpu(sample, evidence.cases, stage)
    chosen = seen.rows["content"] == evidence.chief.content
    if stage == "encode":
        chosen &= seen.rows["preset"] == evidence.preset
    seen = seen.where(chosen)
    facts = sample.facts.iloc[seen.rows["run"].to_numpy(int)]
    load = facts["utilisation"].to_numpy(float)
    fitted = _laws(profile, stage, seen.rows, load, {key: np.array([v]) for key, v in profile.middle().items()})[0]
    drawn = _laws(profile, stage, seen.rows, load, dict(_columns(profile)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return pd.DataFrame(
        {
            "stage": stage,
            "ladder": [evidence.cases[case].ladder_name for case in facts["case"]],
            "rung": seen.rows["rung"].to_numpy(),
            "streams": facts["streams"].to_numpy(),
            "utilisation": load,
            "size": seen.rows[SIZES[stage]].to_numpy(float),
            "measured_s": seen.seen[0],
            "fitted_s": fitted,
            "low_s": np.minimum(low, fitted),
            "high_s": np.maximum(high, fitted),
        }
    )


def _laws(profile: Profile, stage: str, rows: pd.DataFrame, load: Floats, values: dict[str, Floats]) -> Floats:
    growth: Floats = 1.0 + values["cpu_growth_with_load"][:, np.newaxis] * load
    return predicted(stage, rows, values) * growth


def _columns(profile: Profile) -> Iterator[tuple[str, Floats]]:
    rows = np.array(profile.draws.rows)
    yield from ((key, rows[:, position]) for position, key in enumerate(profile.draws.columns))
