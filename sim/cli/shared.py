"""What several verbs do before and after their one call: open files, ask the budget, search a flip, print grounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.terminal import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scenarios.profile import Profile
    from scenarios.reading.loaded import Loaded
    from scenarios.scenario import Scenario
    from sim.bracket import TippingPoint
    from sim.stopping import Replications
    from sim.varied import Span


MOST_REPLICATIONS = 10_000


def asked_replications(
    scenarios: Sequence[Scenario], replications: str | None, precision: str | None, by: str, *, least: int
) -> tuple[int, dict[str, Any]]:
    """Return how many replications there will be at least, by flags and scenarios, and the arguments that say so.

    Args:
        scenarios: whose own numbers count where no flag is given.
        replications: a whole number from `least` to `MOST_REPLICATIONS`, or `auto`.
        precision: a share of the mean, such as `5%` or `0.05`; asks for `auto`.
        by: the metric that `auto` makes precise.
        least: see `replications`.

    Raises:
        ScenarioError: a flag is malformed, both are given, or there is no such metric.
    """
    from sim.statistics.sequential import Precision
    from sim.stopping import least_replications, replications_plan

    how: dict[str, Any] = {"replications": None if replications is None else _replications(replications, least)}
    named = how["replications"] or any(one.replications != "auto" for one in scenarios)
    if precision is not None:
        how["precision"] = Precision(metric=by, relative=_share(precision))
    elif how["replications"] == "auto" or not named:
        how["precision"] = Precision(metric=by)
    return least_replications(replications_plan(scenarios, **how)), how


def _replications(text: str, least: int) -> Replications:
    from sim.stopping import refused

    if text == "auto":
        return "auto"
    count = int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else 0
    if not least <= count <= MOST_REPLICATIONS:
        wanted = f"neither auto nor a whole number from {least} to {MOST_REPLICATIONS:,}"
        raise refused("--replications", text, wanted, "write auto, or a number such as 20")
    return count


def _share(text: str) -> float:
    from sim.stopping import refused

    number = re.fullmatch(r"([0-9]*\.?[0-9]+) ?(%?)", text, re.ASCII)
    share = float(number[1]) / (100 if number[2] else 1) if number else 0.0
    if not 0 < share < 1:
        wanted = "not a share of the mean between 0 and 100 %, both excluded"
        raise refused("--precision", text, wanted, "write it as 5% or 0.05")
    return share


def asked_span(flip: str | None, by: str, *, lacks_below: bool = False) -> Span | None:
    """Return what --flip asks to vary, before anything runs; None where it was not given."""
    if flip is None:
        return None
    from sim.stopping import require_metric
    from sim.varied import parse_span, refusal

    if lacks_below:
        raise refusal("", "needs --below VALUE, up to which the scenario holds", "or compare two scenarios")
    require_metric(by)
    return parse_span(flip)


def search_flip(
    first: Scenario | float | None, second: Scenario, profile: Profile, span: Span | None, quiet: bool, **how: Any
) -> TippingPoint | None:
    """Return at which value of the span the decision flips; None without a span."""
    if span is None or first is None:
        return None
    from sim.tipping import tipping_point

    with ProgressBar("values", quiet) as progress:  # the budget has been asked for a run like each of these
        return tipping_point(first, second, profile, span, progress=progress, force=True, **how)


def flip_document(flips: TippingPoint | None) -> dict[str, object]:
    """Return what a search for a flip adds to a JSON document; nothing without one."""
    return {"flip": flips.document()} if flips else {}


def scenario_and_profile(file: Path, profile: str | None) -> tuple[Loaded[Scenario], Profile, bool]:
    """Return a scenario as read, the profile to use, and whether that was given by --profile."""
    from scenarios import load_profile
    from scenarios.scenario_file import open_scenario, own_profile

    loaded = open_scenario(file)
    return loaded, own_profile(loaded) if profile is None else load_profile(profile), profile is not None


def ask_budget(loaded: Loaded[Scenario], replications: int, force: bool) -> None:
    """Refuse what is beyond the budget of events, at the place in the file that rules it."""
    from scenarios.errors import ScenarioError
    from sim.event_budget import beyond_budget

    finding = None if force else beyond_budget(loaded.value, replications)
    if finding is not None:
        raise ScenarioError([loaded.problem(*finding)])


def print_grounds(choice: str, lines: Iterable[str]) -> None:
    """Print what the numbers rest on, above them."""
    print(f"Rests on {choice}:")
    for line in lines:
        print(f"  - {line}")
    print()
