"""A review on disk: its report, its tables, and how it was made."""

from __future__ import annotations

import datetime
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.csv_file import write_csv
from sim.results import to_json
from sim.whole_file import write_folder

if TYPE_CHECKING:
    from sim.capacity_review.result import Review

REVIEW_VERSION = 1
MARKED = {"mark": "review.json", "what": "a review"}
"""How the folder of a review is told from any other (`sim.whole_file.require_folder`)."""


def write(review: Review, folder: Path) -> Path:
    """Write the folder of a review, whole or not at all; an older review at the place is replaced.

    Files: report.html, answer.json, types|purchases|measure_next.csv, review.json (when, where, with which versions,
    and scenario and profile as used).

    Raises:
        NotReady: the folder cannot be written, or holds something that is not a review.
    """
    return write_folder(folder, lambda path: _fill(review, path), **MARKED)


def _fill(review: Review, folder: Path) -> None:
    from sim.capacity_review.page import page

    folder.mkdir()
    (folder / "report.html").write_text(page(review), encoding="utf-8")
    (folder / "answer.json").write_text(to_json(review.document()), encoding="utf-8")
    write_csv(review.standings.drop(columns="stands_at"), folder / "types.csv")
    write_csv(review.purchases, folder / "purchases.csv")
    write_csv(review.measure_next(), folder / "measure_next.csv")
    (folder / "review.json").write_text(to_json(_provenance(review)), encoding="utf-8")


def _provenance(review: Review) -> dict[str, Any]:
    return {
        "headroom_review": REVIEW_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("headroom", "numpy", "scipy", "pandas", "simpy")},
        "cpus": os.cpu_count(),
        "seed": review.seed,
        "instances": list(review.candidates),
        "scenario": review.scenario.model_dump(mode="json"),
        "profile": review.profile.model_dump(mode="json"),
    }
