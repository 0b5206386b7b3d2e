"""Everything that a replay lets the model predict, on one process or several, with the same result."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from scenarios.profile import Profile
from sim.calibration.arrivals import replicated, stagger_s
from sim.calibration.cases import Case, MeasuredRun, Measurements, bracket
from sim.calibration.n_max_search import n_max_of
from sim.calibration.null_models import NullModels
from sim.calibration.outcome import Outcome, predicted
from sim.calibration.speed import require_known, slowed
from sim.calibration.workers import Progress, results_of

Key = tuple[object, ...]
Jobs = dict[Key, Callable[[], Outcome | int]]


@dataclass(frozen=True)
class Predictions:
    """What the model says of measured runs, from their arrivals and configuration alone.

    Attributes:
        outcomes: by bundle and run number.
        singles: of one stream, for each case of which none was measured.
        n_max: of each case that was searched, or whose loads are shares of nothing measured.
    """

    outcomes: dict[Key, Outcome]
    singles: dict[Case, Outcome]
    n_max: dict[Case, int]


def predict(
    measurements: Measurements,
    profile: Profile,
    *,
    seed: int,
    at_speed: bool,
    workers: int,
    executor: Executor | None,
    progress: Progress | None,
) -> Predictions:
    """Return every prediction that a replay needs; service times are drawn with `seed` + the run's repeat.

    Raises:
        CalibrationError: the profile lacks a source or a rung, a load is too short for a verdict, or with `at_speed`
            it is not known how fast the machine was.
    """
    if at_speed:
        _require_speed(measurements, profile)
    jobs = _jobs(measurements, profile, seed=seed, at_speed=at_speed)
    found = results_of(jobs, workers=workers, executor=executor, progress=progress)
    outcomes = {key: result for key, result in found.items() if isinstance(result, Outcome)}
    cases = measurements.by_case()
    return Predictions(
        {key: outcomes[key] for key in measurements.runs},
        {case: outcomes["single", case] for case in cases if ("single", case) in outcomes},
        {case: size for case in cases if isinstance(size := found.get(("n_max", case)), int)},
    )


def bands_rest_on(cases: Mapping[Case, Sequence[MeasuredRun]]) -> dict[Case, int]:
    """Return the measured N_max by which a case's loads are put into bands, where there is one.

    A case that was not searched takes that of the same content with another way of starting.
    """
    searched = {case: found.n_max for case, runs in cases.items() if (found := bracket(runs))}
    of_content = {case.content: n_max for case, n_max in sorted(searched.items(), reverse=True)}
    return {
        case: searched.get(case, of_content.get(case.content, 0))
        for case in cases
        if case in searched or case.content in of_content
    }


def null_models(case: Case, cases: Mapping[Case, Sequence[MeasuredRun]], singles: Mapping[Case, Outcome]) -> NullModels:
    """Return the null models of a case; one stream starts in one way, so any run of its content serves."""
    arrivals = cases[case][0].arrivals
    measured = _measured_singles(case, cases)
    return NullModels(measured or [singles[case]], bool(measured), arrivals.source.fps, arrivals.cores)


def _measured_singles(case: Case, cases: Mapping[Case, Sequence[MeasuredRun]]) -> list[Outcome]:
    """Return the runs of one stream of a case's content: of its own sample, else of the other."""
    alike = {other: runs for other, runs in cases.items() if other.content == case.content}
    alone = [(other.in_sample, run.seen) for other, runs in alike.items() for run in runs if run.load == 1]
    own = [seen for in_sample, seen in alone if in_sample == case.in_sample]
    return own or [seen for _, seen in alone]


def _require_speed(measurements: Measurements, profile: Profile) -> None:
    for (bundle, _), run in measurements.runs.items():
        require_known(run.slowness, bundle, profile)


def _jobs(measurements: Measurements, profile: Profile, *, seed: int, at_speed: bool) -> Jobs:
    """Return what is to be done."""
    cases, middle = measurements.by_case(), profile.middle()
    known = bands_rest_on(cases)

    def values_for(runs: Sequence[MeasuredRun]) -> dict[str, float]:
        return slowed(middle, statistics.median(run.slowness for run in runs)) if at_speed else middle

    searches: Jobs = {}
    others: Jobs = {}
    for case, runs in cases.items():
        values = values_for(runs)
        pattern = min((run.arrivals for run in runs), key=lambda load: len(load.streams))
        if case not in known or bracket(runs):
            stagger = stagger_s([run.arrivals for run in runs])
            searches["n_max", case] = functools.partial(n_max_of, pattern, stagger_s=stagger, values=values, seed=seed)
        if not _measured_singles(case, cases):
            single = replicated(pattern, 1, stagger_s=0.0)
            others["single", case] = functools.partial(predicted, single, values=values, seed=seed)
    for key, run in measurements.runs.items():
        others[key] = functools.partial(predicted, run.arrivals, values=values_for([run]), seed=seed + run.repeat)
    return others | searches
