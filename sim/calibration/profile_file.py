"""Writing a profile as YAML that people read: facts first, one line for a coefficient, draws last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scenarios.profile import Profile
from sim.whole_file import write_whole

HEADER = """\
# Calibration profile: what one machine and one encoder were measured to cost. Written by
#     headroom fit {bundles} --name {name} --out {name}.yaml
# Do not edit the figures: measure and fit again. The coefficients are described in docs/coefficients.md.
"""
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_/.@-]*(?: [A-Za-z0-9_/.@-]+)*")
NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off"}


def write_profile(profile: Profile, path: Path) -> None:
    """Write the profile, whole or not at all; an older file of that name is replaced.

    `scenarios.profile.load_profile` reads an equal profile back.

    Raises:
        NotReady: it cannot be written there.
    """
    write_whole(path, profile_text(profile))


def profile_text(profile: Profile) -> str:
    """Return the profile as YAML 1.2."""
    data = profile.model_dump(mode="json")
    coefficients, draws = data.pop("coefficients"), data.pop("draws")
    for name in ("nodes", "held_out"):
        if not data[name]:
            del data[name]
    lines = [HEADER.format(bundles=" ".join(profile.measured.bundles), name=profile.name)]
    lines += _block(data, indent="")
    lines += ["coefficients:", *(f"  - {_flow(_without_empty(entry))}" for entry in coefficients)]
    lines += ["draws:", "  columns:", *(f"    - {_flow(key)}" for key in draws["columns"])]
    lines += ["  rows:", *(f"    - {_flow(row)}" for row in draws["rows"])]
    return "\n".join(lines) + "\n"


def _block(mapping: Mapping[str, object], *, indent: str) -> Iterator[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{_flow(key)}:"
            yield from _block(value, indent=indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{indent}{_flow(key)}:"
            yield from (f"{indent}  - {_flow(entry)}" for entry in value)
        else:
            yield f"{indent}{_flow(key)}: {_flow(value)}"


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(entry) for entry in value) + "]"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in NOT_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False)


def _without_empty(entry: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if value != ""}
