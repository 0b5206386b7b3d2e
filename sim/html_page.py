"""What our HTML pages share: one self-contained file, no script, no network, nothing of the host it was written on."""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.base import SpecModel
from scenarios.coefficient import COEFFICIENTS, FROM_STRONG_TO_WEAK, Coefficient
from scenarios.errors import NotReady
from scenarios.profile import PROFILES, Profile
from scenarios.scenario import Scenario
from sim.answer import value_text
from sim.format import interval_text
from sim.plots import svg

try:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
except ModuleNotFoundError as error:
    raise NotReady("a report needs jinja2, which is not installed: pip install 'headroom[report]'") from error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEMPLATES = Path(__file__).parent / "templates"
LIBRARIES = ("numpy", "pandas", "scipy", "simpy", "matplotlib")
SHOWN_IN = {"core-s": (1e3, "core-ms"), "engine-s/pixel": (1e9, "engine-ns/pixel"), "Hz": (1e-6, "MHz")}
"""Units whose numbers are too small or too large to read, and what is shown in their place."""
COUNTS = ("encode_engines", "decode_engines")
"""Coefficients without a unit that are no share of anything."""
HIDDEN = {chr(code) for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the direction of text and are not seen themselves."""


def render(template: str, styles: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Return a page as HTML. Every text in it is escaped, and shows characters that would hide in it.

    Args:
        template: a file of `TEMPLATES`, which extends `page.html.j2`.
        styles: style sheets of `TEMPLATES`; the page's policy allows no other.
        facts: what the template asks for.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    css = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return environment.get_template(template).render(
        css=Markup(css),
        css_hash=Markup(f"sha256-{digest}"),
        **facts,
    )


def shared_facts(scenario: Scenario, profile: Profile) -> dict[str, Any]:
    """Return what every page says of its scenario and profile, and of what wrote it."""
    return {
        "scenario": scenario,
        "profile": profile,
        "span": f"{scenario.horizon.horizon_s / 3600:g} hours",
        "profile_origin": profile_origin(profile),
        "libraries": LIBRARIES,
        "versions": {name: metadata.version(name) for name in ("headroom", *LIBRARIES)}
        | {"python": platform.python_version()},
        "scenario_fingerprint": fingerprint(scenario),
        "profile_fingerprint": fingerprint(profile),
        "scenario_text": json.dumps(scenario.model_dump(mode="json"), indent=2),
    }


def picture(figure: Figure, *, name: str, caption: str) -> dict[str, str]:
    """Return a figure as an image: so, an SVG can run no script and load nothing, whatever a name in it says."""
    drawing = svg(figure, salt=name)
    return {"base64": base64.b64encode(drawing.encode()).decode(), "caption": caption}


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
        + f"{value_text(*_as_shown(widest))}."
    )


def coefficient_row(coefficient: Coefficient) -> dict[str, str]:
    """Return a coefficient as a page shows it: meaning, key, value with its unit, 95 % interval, source."""
    value, between = interval_text(*_as_shown(coefficient))
    return {
        "meaning": COEFFICIENTS[coefficient.name].meaning,
        "key": coefficient.key,
        "value": value,
        "interval": between,
        "source": source_text(coefficient),
    }


def source_text(coefficient: Coefficient) -> str:
    """Return where a coefficient comes from: its kind, date and source."""
    provenance = coefficient.provenance
    return f"{provenance.kind}, {provenance.date}: {provenance.source}"


def profile_argument(profile: Profile) -> str:
    """Return what `--profile` is given for a profile: its name where it is shipped, else a file."""
    return profile.name if _is_shipped(profile) else f"{profile.name}.yaml"


def profile_origin(profile: Profile) -> str:
    """Return, in a sentence, where a reader finds the profile."""
    if _is_shipped(profile):
        return f"Profile {profile.name} comes with headroom."
    return (
        f"{profile.name}.yaml is the profile that headroom fit wrote from bundle "
        f"{', '.join(profile.measured.bundles)}; a new measurement gives another one."
    )


def fingerprint(model: SpecModel) -> str:
    """Return the first 16 digits of the SHA-256 of a model's JSON."""
    return hashlib.sha256(model.model_dump_json().encode()).hexdigest()[:16]


def _as_shown(coefficient: Coefficient) -> tuple[float, float, float, str]:
    """Return middle, low and high in the unit that a page shows, and that unit."""
    scale, unit = (1.0, "") if coefficient.name in COUNTS else SHOWN_IN.get(coefficient.unit, (1.0, coefficient.unit))
    return coefficient.middle * scale, coefficient.low * scale, coefficient.high * scale, unit


def _is_shipped(profile: Profile) -> bool:
    return (PROFILES / f"{profile.name}.yaml").is_file()


def _visible(value: object) -> object:
    """Return a text with its control and direction characters spelt out, so that none can hide."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(f"⟨U+{ord(c):04X}⟩" if _hides(c) else c for c in value)


def _hides(character: str) -> bool:
    return character in HIDDEN or (unicodedata.category(character) == "Cc" and character not in "\n\t")
