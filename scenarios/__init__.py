"""The language: what a platform is and what is asked of it. Imports nothing else of ours.

The names below load on first use, so that whoever needs one error class does not wait for pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scenarios.catalogue import load_catalogue
    from scenarios.errors import CalibrationError, EncoderUnavailable, HeadroomError, NotReady, ScenarioError
    from scenarios.ladder import Ladder, Rung, Source
    from scenarios.profile import Profile, load_profile
    from scenarios.reading.trace_file import read_trace
    from scenarios.scenario import Scenario
    from scenarios.scenario_file import load_scenario

__all__ = [
    "CalibrationError",
    "EncoderUnavailable",
    "HeadroomError",
    "Ladder",
    "NotReady",
    "Profile",
    "Rung",
    "Scenario",
    "ScenarioError",
    "Source",
    "load_catalogue",
    "load_profile",
    "load_scenario",
    "read_trace",
]

_HOMES = {
    "catalogue": ("load_catalogue",),
    "errors": ("CalibrationError", "EncoderUnavailable", "HeadroomError", "NotReady", "ScenarioError"),
    "ladder": ("Ladder", "Rung", "Source"),
    "profile": ("Profile", "load_profile"),
    "reading.trace_file": ("read_trace",),
    "scenario": ("Scenario",),
    "scenario_file": ("load_scenario",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"scenarios.{module}"), name)
    raise AttributeError(f"module 'scenarios' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
