"""A review as plain data, for `--json` and for a folder on disk."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from sim.capacity_review.text import answer, grounds, notes

if TYPE_CHECKING:
    from sim.capacity_review.result import Review


def document(review: Review) -> dict[str, Any]:
    """Return the review: no time, path or host, None for what is not known."""
    choice = review.choice
    return {
        "title": review.scenario.title,
        "question": review.scenario.question,
        "profile": review.profile.name,
        "seed": review.seed,
        "answer": list(answer(review)),
        "leader": review.leader,
        "promise_is_kept": review.is_kept,
        "objectives": review.slo.objectives | {"share_of_days": review.slo.share_of_days},
        "types": _plain(review.standings),
        "purchases": _plain(review.purchases),
        "front": list(review.front),
        "joint_draws": {
            "draws": len(review.joint.places),
            "is_cheapest": {name: chance._asdict() for name, chance in review.joint_chances.items()},
            "choice": choice.candidate,
            "perfect_information_usd_per_month": choice.perfect_information_usd_per_month,
        },
        "measure_next": [
            {
                "source": one.source,
                "meaning": one.meaning,
                "touches": list(one.touches),
                "cheapest_at_costly_end": one.costly.cheapest,
                "cheapest_at_cheap_end": one.cheap.cheapest,
                "leader_moves": one.leader_moves,
                "moves_beyond_noise": one.moves,
                "usd_per_month": one.usd_per_month,
            }
            for one in review.influences
        ],
        "notes": list(notes(review)),
        "rests_on": list(grounds(review)),
    }


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    finite = frame.replace([math.inf, -math.inf], math.nan)
    rows: list[dict[str, Any]] = finite.astype(object).where(finite.notna(), None).to_dict("records")
    return rows
