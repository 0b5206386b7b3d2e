"""Several bundles as one: runs renumbered, void ones left out, names that mean different things told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import pandas as pd

from scenarios.bundle import PER_RUN, TABLES
from scenarios.errors import CalibrationError
from sim.calibration.tables import Bundle, valid_runs

Described = TypeVar("Described")


def joined(bundles: Sequence[Bundle]) -> Bundle:
    """Return the valid runs of all bundles as one, numbered so that no two runs share a number.

    A ladder or clip that has the name of another bundle's but is not the same gets its bundle's identity
    behind its name. Machine and library versions are those of the first bundle.

    Raises:
        CalibrationError: every run of a bundle is void, or two bundles mean different options by one preset.
    """
    first = bundles[0]
    shift = max(int(bundle.runs["run"].max()) for bundle in bundles) + 1
    ladders, clips = dict(first.meta.ladders), {content.name: content for content in first.meta.content}
    encoders = dict(first.meta.encoders)
    tables: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    for position, bundle in enumerate(bundles):
        _check_presets(first, bundle)
        encoders = dict(bundle.meta.encoders) | encoders
        identity = bundle.meta.identity
        ladder_names = _merged(ladders, bundle.meta.ladders, identity)
        clip_names = _merged(clips, {content.name: content for content in bundle.meta.content}, identity)
        kept = set(valid_runs(bundle)["run"])
        for name, parts in tables.items():
            rows = getattr(bundle, name)
            if name in PER_RUN:
                rows = rows[rows["run"].isin(kept)]
                rows = rows.assign(run=rows["run"] + position * shift)
            if name == "runs":
                rows = rows.assign(ladder=rows["ladder"].map(ladder_names), clip=rows["clip"].map(clip_names))
            parts.append(rows)
    content = tuple(content.model_copy(update={"name": name}) for name, content in clips.items())
    meta = first.meta.model_copy(update={"ladders": ladders, "content": content, "encoders": encoders})
    whole = {name: _stacked(parts) for name, parts in tables.items()}
    return Bundle(folder=first.folder, meta=meta, **whole)


def _merged(known: dict[str, Described], more: Mapping[str, Described], identity: str) -> dict[str, str]:
    """Add what is not known yet; return the name by which each is known now."""
    names = {}
    for name, described in more.items():
        names[name] = name if known.setdefault(name, described) == described else f"{name} {identity}"
        known.setdefault(names[name], described)
    return names


def _stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if len(part)] or list(parts[:1])
    whole = filled[0] if len(filled) == 1 else pd.concat(filled)
    return whole.reset_index(drop=True)


def _check_presets(first: Bundle, other: Bundle) -> None:
    """Refuse options of one preset that differ in more than the rungs they are for, `720p30.maxrate`."""
    for preset in first.meta.encoders.keys() & other.meta.encoders.keys():
        one, two = (
            {name: value for name, value in bundle.meta.encoders[preset].options.items() if "." not in name}
            for bundle in (first, other)
        )
        if one != two:
            raise CalibrationError(
                f"{first.folder} and {other.folder} differ in the options of preset {preset}: {one} against {two}; "
                "a profile belongs to one encoder, fit each by itself"
            )
