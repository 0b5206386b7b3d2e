"""How a platform behaves: SimPy models, their calibration, metrics and reports.

The verbs of the command as functions: `run`, `compare`, `review`, `report`, `fit`, `replay`, and `report_trace` for
`trace`; `with_values` is `set` for a scenario in memory. They load on first use, so that `headroom --help` does not
wait for numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.calibration.fit import fit
    from sim.calibration.replay import replay
    from sim.capacity_review.stages import review
    from sim.comparison import compare
    from sim.html_report import report
    from sim.replication import run
    from sim.trace_report import report_trace
    from sim.varied import with_values

__all__ = ["compare", "fit", "replay", "report", "report_trace", "review", "run", "with_values"]

_HOMES = {
    "compare": "sim.comparison",
    "fit": "sim.calibration.fit",
    "replay": "sim.calibration.replay",
    "report": "sim.html_report",
    "report_trace": "sim.trace_report",
    "review": "sim.capacity_review.stages",
    "run": "sim.replication",
    "with_values": "sim.varied",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
