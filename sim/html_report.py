"""One self-contained HTML page about a result: no script, no network, nothing of the host it was written on."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import unicodedata
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from scenarios.base import SpecModel
from scenarios.catalogue import load_catalogue
from scenarios.coefficient import COEFFICIENTS, Coefficient
from scenarios.errors import NotReady
from scenarios.profile import PROFILES, Profile
from sim.answer import FAILURE_TITLES, answer, failure_rows, value_text
from sim.bands import bin_minutes
from sim.carried import carried_coefficients
from sim.format import interval_text
from sim.metrics import METRICS
from sim.plots import OF_VIEWERS, PLOTS, svg
from sim.results import RunResult
from sim.whole_file import write_whole

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as error:
    raise NotReady("a report needs jinja2, which is not installed: pip install 'headroom[report]'") from error

TEMPLATES = Path(__file__).parent / "templates"
LIBRARIES = ("numpy", "pandas", "scipy", "simpy", "matplotlib")
FROM_STRONG_TO_WEAK = ("measured", "datasheet", "scaled", "assumed")
"""Kinds of provenance."""
CAPTIONS = {
    "fleet": "Broadcasts that are live and those in service; below, the transcode nodes that carry them. Paid for "
    "are nodes that boot, serve or drain.",
    "full_node": "Share of each resource's planned capacity that a full node has in use. The first to reach its "
    "plan binds.",
    "cost": "Nodes are paid for by the hour, from the order until they are gone; delivery, chat included, by the byte.",
    "audience": "Viewers of broadcasts in service; below, what is sent to them and what leaves the origin.",
    "hit_ratios": "Share of viewers' requests that a cluster answers from its cache: a playlist has to be fresh.",
}
HIDDEN = {chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the direction of text and are not seen themselves."""


def report(result: RunResult, path: Path) -> Path:
    """Write the page about a result, whole or not at all, and return its path; equal results give equal bytes.

    Raises:
        NotReady: the page cannot be written there.
    """
    return write_whole(path, page(result))


def page(result: RunResult) -> str:
    """Return the page as HTML. Every text in it is escaped, and shows characters that would hide in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        css=Markup(css),
        css_hash=Markup(f"sha256-{digest}"),
        **_facts(result),
    )


def _facts(result: RunResult) -> dict[str, Any]:
    scenario, profile = result.scenario, result.profile
    coefficients = (*profile.coefficients, *carried_coefficients(scenario, load_catalogue()))
    return {
        "scenario": scenario,
        "profile": profile,
        "replications": result.replications,
        "span": f"{scenario.horizon.horizon_s / 3600:g} hours",
        "bin_minutes": bin_minutes(result),
        "answer": answer(result),
        "ranged": bool(result.ranges),
        "groups": _groups(result),
        "failures": list(failure_rows(result)),
        "failure_titles": FAILURE_TITLES,
        "pictures": list(_pictures(result)),
        "grounds": result.rests_on(),
        "weakest": weakest(coefficients),
        "coefficients": [_coefficient_row(coefficient) for coefficient in coefficients],
        "sources": list(dict.fromkeys(_source(coefficient) for coefficient in coefficients)),
        "commands": list(_commands(result)),
        "profile_origin": _profile_origin(profile),
        "libraries": LIBRARIES,
        "versions": {name: metadata.version(name) for name in ("headroom", *LIBRARIES)}
        | {"python": platform.python_version()},
        "scenario_fingerprint": _fingerprint(scenario),
        "profile_fingerprint": _fingerprint(profile),
        "scenario_text": json.dumps(scenario.model_dump(mode="json"), indent=2),
    }


def weakest(coefficients: Sequence[Coefficient]) -> str:
    """Return, in a sentence, the weakest provenance among coefficients, and the widest interval."""
    kinds = [coefficient.provenance.kind for coefficient in coefficients]
    kind = max(kinds, key=FROM_STRONG_TO_WEAK.index)
    weak = [c for c in coefficients if c.provenance.kind == kind]
    widest = max((c for c in coefficients if c.middle > 0), key=lambda c: (c.high - c.low) / c.middle, default=weak[0])
    named = ", ".join(c.key for c in weak[:3]) + (" …" if len(weak) > 3 else "")
    return (
        f"the inputs marked as assumed above, which no interval covers. Of the {len(kinds)} coefficients "
        + (f"all are {kind}" if len(weak) == len(kinds) else f"{len(weak)} are only {kind} ({named})")
        + f"; the widest interval is that of {widest.key}: "
        + f"{value_text(widest.middle, widest.low, widest.high, widest.unit)}."
    )


def _groups(result: RunResult) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in result.summary.itertuples():
        value, between, days = result.texts(row.metric)
        binds = row.metric == f"full_node_{result.binding}"
        facts = {"what": METRICS[row.metric].meaning, "value": value, "interval": between, "days": days, "binds": binds}
        groups.setdefault(row.component, []).append(facts)
    return list(groups.items())


def _pictures(result: RunResult) -> Iterator[dict[str, str]]:
    for name, plot in PLOTS.items():
        if name in OF_VIEWERS and not result.is_watched:
            continue
        drawing = svg(plot(result), salt=name)
        # As an image, an SVG can run no script and load nothing, whatever a name in it says.
        yield {"base64": base64.b64encode(drawing.encode()).decode(), "caption": CAPTIONS[name]}


def _coefficient_row(coefficient: Coefficient) -> dict[str, str]:
    scale, unit = (1e3, "core-ms") if coefficient.unit == "core-s" else (1.0, coefficient.unit)
    middle, low, high = (end * scale for end in (coefficient.middle, coefficient.low, coefficient.high))
    value, between = interval_text(middle, low, high, unit)
    return {
        "meaning": COEFFICIENTS[coefficient.name].meaning,
        "key": coefficient.key,
        "value": value,
        "interval": between,
        "source": _source(coefficient),
    }


def _source(coefficient: Coefficient) -> str:
    provenance = coefficient.provenance
    return f"{provenance.kind}, {provenance.date}: {provenance.source}"


def _commands(result: RunResult) -> Iterator[str]:
    name = result.profile.name
    profile = name if _is_shipped(result.profile) else f"{name}.yaml"
    yield (
        f"headroom run scenario.yaml --profile {profile} --seed {result.seed} "
        f"--replications {result.replications} --out result"
    )
    yield "headroom report result"


def _profile_origin(profile: Profile) -> str:
    if _is_shipped(profile):
        return f"Profile {profile.name} comes with headroom."
    return (
        f"{profile.name}.yaml is the profile that headroom fit wrote from bundle "
        f"{', '.join(profile.measured.bundles)}; a new measurement gives another one."
    )


def _is_shipped(profile: Profile) -> bool:
    return (PROFILES / f"{profile.name}.yaml").is_file()


def _fingerprint(model: SpecModel) -> str:
    return hashlib.sha256(model.model_dump_json().encode()).hexdigest()[:16]


def _visible(value: object) -> object:
    """Return a text with its control and direction characters spelt out, so that none can hide."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(f"⟨U+{ord(c):04X}⟩" if _hides(c) else c for c in value)


def _hides(character: str) -> bool:
    return character in HIDDEN or (unicodedata.category(character) == "Cc" and character not in "\n\t")
