"""How far the model is off on loads that its fit has not seen, beside the noise floor and the simplest models.

`python -m benchmarks.fidelity [--profile NAME] [--json] [--measure [DIR]]`. Fits the committed bundles of a shipped
profile again, replays them and the committed held-out bundle with what came out, and prints errors, targets and
verdicts. `--measure` measures both anew on this machine, at most two hours; with DIR the bundles are kept, and a run
that was cut short goes on from there. All errors are fractions of the measured value: medians over the held-out loads
up to 0.8 of N_max.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.pairs import machine
from scenarios.bundle import META_FILE, read_meta
from scenarios.errors import CalibrationError, HeadroomError
from scenarios.profile import Profile, load_profile
from scenarios.scenario_file import load_scenario
from sim import fit, replay
from sim.calibration.evidence import hardware
from sim.calibration.held_out import with_held_out
from sim.calibration.null_models import NULL_MODELS
from sim.calibration.replay import ReplayResult

ROOT = Path(__file__).parent.parent
BUNDLES = ROOT / "scenarios" / "bundles"
BASELINE = ROOT / "scenarios" / "library" / "baseline.yaml"
FIGURES = ("segment_publish_mean", "segment_publish_p95", "segment_publish_p99", "frame_p95", "cpu", "startup", "n_max")
DEPTHS = ("full", "holdout")
"""What is measured anew: for the fit, and held out from it."""
SOME_VOID = 3
"""Exit code of a measurement of which some runs are void and the rest stand."""


def committed(profile: Profile, bundles: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of the bundles that a profile was fitted to, and of those held out from it.

    Raises:
        CalibrationError: the profile carries no held-out table, or a bundle is not among the committed ones.
    """
    if profile.held_out is None:
        raise CalibrationError(
            f"profile {profile.name} carries no held-out table; measure one (`headroom measure --holdout`) and add it "
            "(`headroom replay BUNDLE --profile P --out P`)"
        )
    folders = {_identity(path.parent): path.parent for path in sorted(bundles.glob(f"*/{META_FILE}"))}
    lacking = sorted({*profile.measured.bundles, *profile.held_out.bundles} - folders.keys())
    if lacking:
        raise CalibrationError(f"{bundles}: no bundle {lacking[0]}, which profile {profile.name} rests on; commit it")
    return [folders[name] for name in profile.measured.bundles], [folders[name] for name in profile.held_out.bundles]


def of_another_machine(profile: Profile, bundles: Path) -> list[Path]:
    """Return the folders of the committed bundles of another machine than a profile's; of one machine at most."""
    metas = {path.parent: read_meta(path.parent) for path in sorted(bundles.glob(f"*/{META_FILE}"))}
    others = {folder: meta for folder, meta in metas.items() if hardware(meta.machine) != hardware(profile.machine)}
    kinds = [hardware(meta.machine) for meta in others.values()]
    return [folder for folder, meta in others.items() if hardware(meta.machine) == kinds[0]]


def measured_anew(folder: Path) -> tuple[list[Path], list[Path]]:
    """Measure for the fit and for what is held out from it; return both bundles' folders. What is there stays.

    Raises:
        subprocess.CalledProcessError: a measurement failed; its reason stands on stderr.
    """
    for depth in DEPTHS:
        if (folder / depth / META_FILE).is_file():
            continue
        command = [sys.executable, "-c", "import headroom; headroom.main()", "measure", f"--{depth}"]
        done = subprocess.run([*command, "--out", str(folder / depth)], cwd=ROOT, check=False, stdout=sys.stderr)
        if done.returncode not in (0, SOME_VOID):
            raise subprocess.CalledProcessError(done.returncode, command)
    return [folder / "full"], [folder / "holdout"]


def judged(
    in_sample: Sequence[Path], held_out: Sequence[Path], *, name: str, seed: int, workers: int
) -> tuple[Profile, ReplayResult]:
    """Return a fresh fit with its held-out table, and the replay of all bundles with it."""
    fitted = fit(in_sample, name=name, workers=workers)
    result = replay([*in_sample, *held_out], fitted, seed=seed, workers=workers)
    return with_held_out(fitted, result), result


def held_out_at_speed(fitted: Profile, held_out: Sequence[Path], *, seed: int, workers: int) -> ReplayResult | None:
    """Return the replay of what was held out at the machine's speed then; None where that was not measured."""
    if fitted.measured.reference_cpu_s is None:
        return None
    return replay(held_out, fitted, seed=seed, at_speed=True, workers=workers)


def document(
    fitted: Profile, result: ReplayResult, at_speed: ReplayResult | None, carried: ReplayResult | None
) -> dict[str, Any]:
    """Return what was found as plain data; null for what is not known.

    `held_out`, `noise_floor` and `null_models` have one number for each figure: the model's error, what repeats of a
    load differ by, and the error of the best of the null models, each of which stands in `null_models_each`.
    `held_out_at_speed` is the model's error where the machine's speed on the held-out day was known to it, and
    `carried_over` that on another machine, whose speed against the profile's nobody knows.
    """
    assert fitted.held_out is not None
    held_out = result.summary(in_sample=False)
    each = {name: _by_figure(held_out, name) for name in NULL_MODELS}
    return {
        "machine": machine(),
        "measured_on": {"cpu": fitted.machine.cpu_model, "cores": fitted.machine.cores},
        "profile": fitted.name,
        "in_sample_bundles": list(fitted.measured.bundles),
        "held_out_bundles": list(fitted.held_out.bundles),
        "protocol_sha256": fitted.held_out.protocol_sha256,
        "seed": result.seed,
        "repeats": fitted.held_out.repeats,
        "held_out": _by_figure(held_out, "error"),
        "held_out_at_speed": _by_figure(at_speed.summary(in_sample=False), "error") if at_speed else None,
        "carried_over": _carried(carried) if carried else None,
        "held_out_worst": _by_figure(held_out, "worst"),
        "noise_floor": _by_figure(held_out, "noise_floor"),
        "null_models": {figure: _least(each[name][figure] for name in NULL_MODELS) for figure in FIGURES},
        "null_models_each": {figure: {name: each[name][figure] for name in NULL_MODELS} for figure in FIGURES},
        "targets": _by_figure(held_out, "target"),
        "verdicts": _by_figure(held_out, "verdict"),
        "in_sample": _by_figure(result.summary(in_sample=True), "error"),
        "near_capacity": result.document()["rivals"],
        "by_band": result.document()["by_band"],
        "segments_by_band": result.document()["segments_by_band"],
        "ladders": [ladder.model_dump(mode="json") for ladder in fitted.held_out.ladders],
        "cannot_know": result.document()["cannot_know"],
        "notes": list(result.notes),
    }


def differences(fitted: Profile, shipped: Profile) -> dict[str, bool]:
    """Return whether the fresh fit and its held-out table are those that were committed."""
    return {
        "fit_is_the_shipped_one": fitted.model_copy(update={"held_out": None})
        == shipped.model_copy(update={"held_out": None}),
        "held_out_table_is_the_shipped_one": fitted.held_out == shipped.held_out,
    }


def main() -> None:
    """Print the tables, or one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default=load_scenario(BASELINE).profile)
    parser.add_argument("--measure", nargs="?", type=Path, const=Path(), metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        found, text = _found(asked)
    except HeadroomError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    print(json.dumps(found) if asked.json else text)


def _found(asked: argparse.Namespace) -> tuple[dict[str, Any], str]:
    shipped = load_profile(asked.profile)
    with tempfile.TemporaryDirectory() as temporary:
        if asked.measure is None:
            in_sample, held_out = committed(shipped, BUNDLES)
        else:
            in_sample, held_out = measured_anew(Path(temporary) if asked.measure == Path() else asked.measure.resolve())
        fitted, result = judged(in_sample, held_out, name=shipped.name, seed=asked.seed, workers=asked.workers)
        others = of_another_machine(fitted, BUNDLES)
        carried = replay(others, fitted, seed=asked.seed, workers=asked.workers) if others else None
        at_speed = held_out_at_speed(fitted, held_out, seed=asked.seed, workers=asked.workers)
    same = differences(fitted, shipped) if asked.measure is None else {}
    lines = [f"{name.replace('_', ' ')}: {'yes' if value else 'no'}" for name, value in same.items()]
    tables = [result.table_text(), *(one.table_text() for one in (at_speed, carried) if one)]
    return document(fitted, result, at_speed, carried) | same, "\n\n".join([*tables, "\n".join(lines)])


def _carried(result: ReplayResult) -> dict[str, Any]:
    found, machine_there = result.summary(in_sample=False), result.bundles[0].machine
    return {
        "cpu": machine_there.cpu_model,
        "cores": machine_there.cores,
        "bundles": [meta.identity for meta in result.bundles],
        "errors": _by_figure(found, "error"),
        "noise_floor": _by_figure(found, "noise_floor"),
    }


def _identity(folder: Path) -> str:
    return str(json.loads((folder / META_FILE).read_text(encoding="utf-8"))["identity"])


def _by_figure(summary: pd.DataFrame, column: str) -> dict[str, Any]:
    values = dict(zip(summary["metric"], summary[column], strict=True))
    return {name: None if pd.isna(values.get(name)) else values[name] for name in FIGURES}


def _least(errors: Iterable[float | None]) -> float | None:
    return min((error for error in errors if error is not None), default=None)


if __name__ == "__main__":
    main()
