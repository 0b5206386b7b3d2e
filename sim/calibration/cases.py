"""What was measured, sorted into cases: one ladder, clip, preset and way of starting, at several loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from scenarios.errors import CalibrationError
from scenarios.profile import Profile
from sim.calibration.arrivals import Arrivals, arrivals_of
from sim.calibration.evidence import hardware, holding_loads
from sim.calibration.outcome import Outcome, measured
from sim.calibration.speed import slowness_of_runs
from sim.calibration.tables import Bundle, read_bundle, valid_runs


class Case(NamedTuple):
    """What was run at several loads, by the names that its bundle gives it; one the fit has seen stands apart."""

    ladder: str
    clip: str
    preset: str
    start: str
    in_sample: bool

    @property
    def content(self) -> tuple[str, str, str]:
        """What costs something; the way of starting decides only when it does."""
        return self.ladder, self.clip, self.preset


class Bracket(NamedTuple):
    """What a search found: N_max, and the first load above it that was run and did not hold."""

    n_max: int
    failing: int


@dataclass(frozen=True)
class MeasuredRun:
    """One run that is not void.

    Attributes:
        case: to which it belongs.
        repeat: its number among the runs of this case and load.
        verdict: "holds" or "overloaded".
        arrivals: all of it that a prediction may know.
        seen: what became of it.
        slowness: how much longer CPU took then than in the fit's measurement, see `speed`; NaN where unknown.
    """

    case: Case
    repeat: int
    verdict: str
    arrivals: Arrivals
    seen: Outcome
    slowness: float

    @property
    def load(self) -> int:
        """Streams at once."""
        return len(self.arrivals.streams)


@dataclass(frozen=True)
class Measurements:
    """Everything that is replayed together.

    Attributes:
        bundles: as read.
        runs: by bundle and run number; sorted by case, load, repeat.
        left_out: runs of a preset that the profile does not cover, by preset.
    """

    bundles: tuple[Bundle, ...]
    runs: dict[tuple[str, int], MeasuredRun]
    left_out: dict[str, int]

    def by_case(self) -> dict[Case, list[MeasuredRun]]:
        """Return the runs of each case."""
        found: dict[Case, list[MeasuredRun]] = {}
        for run in self.runs.values():
            found.setdefault(run.case, []).append(run)
        return found


def read_measurements(folders: Sequence[Path], profile: Profile) -> Measurements:
    """Return the runs of bundles of one machine, those that the fit of a profile has seen marked.

    Raises:
        CalibrationError: no bundle; one cannot be read or is all void; they are of several machines, or give
            one name to two ladders or clips; or no run is of the profile's preset.
    """
    if not folders:
        raise CalibrationError("no bundle to replay; name at least one folder that `headroom measure` wrote")
    bundles = tuple(read_bundle(folder) for folder in folders)
    _check_together(bundles)
    runs: dict[tuple[str, int], MeasuredRun] = {}
    left_out: dict[str, int] = {}
    for bundle in bundles:
        in_sample = bundle.meta.identity in profile.measured.bundles
        slowness = slowness_of_runs(bundle.runs, profile)
        for row in valid_runs(bundle).to_dict("records"):
            if row["preset"] != profile.encoder.preset:
                left_out[row["preset"]] = left_out.get(row["preset"], 0) + 1
                continue
            case = Case(row["ladder"], row["clip"], row["preset"], row["start"], in_sample)
            number = int(row["run"])
            runs[bundle.meta.identity, number] = MeasuredRun(
                case,
                int(row["repeat"]),
                row["verdict"],
                arrivals_of(bundle, number),
                measured(bundle, number),
                float(slowness[number]),
            )
    if not runs:
        raise CalibrationError(
            f"{folders[0]}: every run is of preset {', '.join(left_out)}, and profile {profile.name} was measured "
            f"with {profile.encoder.preset}; choose another profile"
        )
    ordered = sorted(runs.items(), key=lambda item: (item[1].case, item[1].load, item[1].repeat, item[0]))
    return Measurements(bundles, dict(ordered), left_out)


def bracket(runs: Sequence[MeasuredRun]) -> Bracket | None:
    """Return the largest load of a case that holds with every smaller one; None unless the next one run did not."""
    holds = holding_loads(
        pd.DataFrame({"concurrent_streams": [run.load for run in runs], "verdict": [run.verdict for run in runs]})
    )
    failing = [streams for streams in holds if not holds[streams]]
    below = [streams for streams in holds if failing and streams < failing[0]]
    return Bracket(max(below), failing[0]) if below else None


def _check_together(bundles: Sequence[Bundle]) -> None:
    first = bundles[0]
    identities = [bundle.meta.identity for bundle in bundles]
    if len(set(identities)) < len(identities):
        raise CalibrationError(f"a bundle was named twice ({', '.join(identities)}); name each once")
    for other in bundles[1:]:
        if hardware(other.meta.machine) != hardware(first.meta.machine):
            raise CalibrationError(
                f"{first.folder} and {other.folder} were measured on different machines "
                f"({first.meta.machine.cpu_model}, {other.meta.machine.cpu_model}); replay each by itself"
            )
    named: dict[tuple[str, str], object] = {}
    for bundle in bundles:
        described = [("ladder", name, ladder) for name, ladder in bundle.meta.ladders.items()]
        for what, name, meaning in [*described, *(("clip", clip.name, clip) for clip in bundle.meta.content)]:
            if named.setdefault((what, name), meaning) != meaning:
                raise CalibrationError(
                    f"{bundle.folder}: its {what} {name!r} is another one than that of the bundles before it; "
                    "replay each by itself"
                )
