"""What several verbs do before and after their one call: open files, ask the budget, search a flip, print grounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.terminal import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scenarios.profile import Profile
    from scenarios.reading.loaded import Loaded
    from scenarios.scenario import Scenario
    from sim.bracket import TippingPoint
    from sim.varied import Span


def asked_span(flip: str | None, by: str, *, lacks_below: bool = False) -> Span | None:
    """Return what --flip asks to vary, before anything runs; None where it was not given."""
    if flip is None:
        return None
    from sim.tipping import require_metric
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
