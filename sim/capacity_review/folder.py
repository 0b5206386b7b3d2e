"""A review on disk: its report, its tables, and how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.csv_file import write_csv
from sim.results import to_json
from sim.whole_folder import made_here, write_whole_folder

if TYPE_CHECKING:
    from sim.capacity_review.result import Review

REVIEW_VERSION = 1
MARKER = "review.json"
"""A file that every folder of a review has."""


def write(review: Review, folder: Path) -> Path:
    """Write the folder of a review, whole or not at all; an older review at the place is replaced.

    Files: report.html, answer.json, types|purchases|measure_next.csv, review.json (when, where, with which versions,
    and scenario and profile as used).

    Raises:
        NotReady: the folder cannot be written, or holds something that is not a review.
    """
    return write_whole_folder(folder, MARKER, "review", lambda empty: _fill(review, empty))


def _fill(review: Review, folder: Path) -> None:
    from sim.capacity_review.page import write_review_page

    write_review_page(review, folder / "report.html")
    (folder / "answer.json").write_text(to_json(review.document()), encoding="utf-8")
    write_csv(review.standings.drop(columns="stands_at"), folder / "types.csv")
    write_csv(review.purchases, folder / "purchases.csv")
    write_csv(review.measure_next(), folder / "measure_next.csv")
    (folder / MARKER).write_text(to_json(_provenance(review)), encoding="utf-8")


def _provenance(review: Review) -> dict[str, Any]:
    return {
        "headroom_review": REVIEW_VERSION,
        **made_here(),
        "seed": review.seed,
        "instances": list(review.candidates),
        "scenario": review.scenario.model_dump(mode="json"),
        "profile": review.profile.model_dump(mode="json"),
    }
