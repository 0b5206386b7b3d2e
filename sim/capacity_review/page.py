"""The page about a review: the answer, types and ways to buy, plots, what to measure next, and how to repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from scenarios.catalogue import load_catalogue
from scenarios.coefficient import Coefficient
from sim.capacity_review.plots import MOST_SOURCES, PLOTS
from sim.capacity_review.result import Review
from sim.capacity_review.text import OF_NODE, beyond, course
from sim.carried import carried_coefficients
from sim.fleet_plan import kinds_of_nodes
from sim.format import interval_text
from sim.html_page import coefficient_row, picture, profile_argument, render, shared_facts, source_text, weakest
from sim.metrics import METRICS
from sim.whole_file import write_whole

CAPTIONS = {
    "pareto": "Each point is a type with its nodes bought in one way; filled ones are on the front: nothing else costs "
    "less and leaves less viewer-time unserved. Whiskers are 95 % intervals of the means; along the cost "
    "of types that nobody measured they are ranges, which such types share in part. A long one runs out of the frame.",
    "fleet": "Nodes that boot, serve or drain, as the scenario buys them. Lines are means over days; where a line is "
    "solid, 95 % of days lie in the band around it.",
    "cost": "Transcode nodes by type and way to buy; ingest, chat and delivery are the same whatever the type, and "
    "shown for the leader's days. Bars are means; whiskers, their 95 % intervals or the range of what nobody measured.",
    "node": "The dot is in the middle of everything that is not known about a type, the bar reaches from its costly to "
    "its cheap end; beside it, what is full first.",
    "sensitivity": "Left, how often the leader is the cheapest in the tenth of the joint draws at each end of what is "
    "not known, with 95 % intervals; an orange bar is longer than noise makes one. Right, where any is above 0, what "
    "it saves in the mean to know it before choosing; 0 where that is no more than the noise of the draws.",
}
VALUE_AND_ENDS = re.compile(r"([^()]+) (\([^()]* … [^()]*\))")
"""A cell such as `763.8 (607.6 … 920.1)`."""
NUMBER = re.compile(r"[–<\d]")
"""How the cells of a column of numbers begin."""
OF_WORDS = ("list price",)
"""Columns that begin with a digit and are read as text: a price, and the day it was read."""


def write_review_page(review: Review, path: Path) -> Path:
    """Write the page about a review, whole or not at all, and return its path; equal reviews give equal bytes.

    Raises:
        NotReady: the page cannot be written there.
    """
    return write_whole(path, page(review))


def page(review: Review) -> str:
    """Return the page as HTML. Every text in it is escaped, and shows characters that would hide in it."""
    facts = shared_facts(review.scenario, review.profile) | _facts(review)
    return render("review.html.j2", ["page.css", "review.css"], facts)


def _facts(review: Review) -> dict[str, Any]:
    types, carried = review.table(), _carried(review)
    coefficients = [*review.profile.coefficients, *(coefficient for _, coefficient in carried)]
    return {
        "answer": review.answer(),
        "day": _day(review),
        "beyond": list(beyond(review)),
        "objectives": list(_objectives(review)),
        "share_of_days": f"{review.slo.share_of_days:.0%}",
        "leader": review.leader,
        "types": _rows(types.drop(columns=OF_NODE)),
        "nodes": _rows(types[["type", *OF_NODE]]),
        "dropped": dict(review.dropped),
        "purchases": _rows(review.purchase_table(), by="type"),
        "influences": _rows(review.measure_next().head(MOST_SOURCES)),
        "sources_left": max(len(review.influences) - MOST_SOURCES, 0),
        "draws": f"{len(review.joint.places):,}",
        "pictures": {name: [_picture(review, name)] for name in PLOTS},
        "notes": list(course(review)),
        "grounds": review.rests_on(),
        "own_grounds": list(_own_grounds(review, {coefficient.key for _, coefficient in carried})),
        "weakest": weakest(coefficients),
        "carried": [coefficient_row(coefficient) | {"types": types} for types, coefficient in carried],
        "coefficients": [coefficient_row(coefficient) for coefficient in review.profile.coefficients],
        "sources": list(dict.fromkeys(source_text(coefficient) for coefficient in coefficients)),
        "commands": [_command(review)],
    }


def _day(review: Review) -> str:
    """Return how long a simulated day is, as a day or in hours."""
    hours = review.scenario.horizon.horizon_s / 3600.0
    return "whole days" if hours == 24 else f"{hours:g} hour" + ("" if hours == 1 else "s")


def _picture(review: Review, name: str) -> dict[str, str]:
    return picture(PLOTS[name](review), name=name, caption=CAPTIONS[name])


def _objectives(review: Review) -> Iterator[str]:
    for metric, most in review.slo.objectives.items():
        value, _ = interval_text(most, most, most, METRICS[metric].unit)
        yield f"{METRICS[metric].meaning}: at most {value}"


def _rows(table: pd.DataFrame, *, by: str | None = None) -> dict[str, Any]:
    """Return a table of text as a page shows it: titles, and groups of rows, by a column or all in one.

    A cell is its value, its interval for a line of its own, and whether it is a number.
    """
    shown = table.drop(columns=by) if by else table
    is_number = [
        column not in OF_WORDS and all(NUMBER.match(cell) for cell in shown[column]) for column in shown.columns
    ]
    groups: dict[str, list[list[tuple[str, str, bool]]]] = {}
    for name, row in zip(table[by] if by else [""] * len(table), shown.itertuples(index=False), strict=True):
        cells = [
            (*_value_and_ends(cell, column), number)
            for cell, column, number in zip(row, shown.columns, is_number, strict=True)
        ]
        groups.setdefault(name, []).append(cells)
    return {"titles": list(zip(shown.columns, is_number, strict=True)), "groups": list(groups.items())}


def _value_and_ends(cell: str, column: str) -> tuple[str, str]:
    if column in OF_WORDS:
        value, _, date = cell.partition(", ")
        return value, date
    found = VALUE_AND_ENDS.fullmatch(cell)
    return (found[1], found[2]) if found else (cell, "")


def _carried(review: Review) -> list[tuple[str, Coefficient]]:
    """Return what was carried over to types that were not measured, and to which of them."""
    types: dict[str, list[str]] = {}
    found: dict[str, Coefficient] = {}
    for name, candidate in review.candidates.items():
        for kind in kinds_of_nodes(candidate):
            for coefficient in carried_coefficients(kind, load_catalogue()):
                text = coefficient.model_dump_json()
                found[text] = coefficient
                types.setdefault(text, [])
                types[text] += [] if name in types[text] else [name]
    return [(", ".join(types[text]), coefficient) for text, coefficient in found.items()]


def _own_grounds(review: Review, told: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what the numbers of a type rest on beyond those of all, without the coefficients of the page's table."""
    lines = {name: review.result(name).rests_on() for name in review.candidates}
    shared = set.intersection(*(set(of) for of in lines.values()))
    for name, of in lines.items():
        if own := [line for line in of if line not in shared and line.partition(": ")[0] not in told]:
            yield name, own


def _command(review: Review) -> str:
    days = next(iter(review.finals.values())).replications
    return (
        f"headroom review scenario.yaml --instances {','.join(review.candidates)} \\\n"
        f"  --profile {profile_argument(review.profile)} --seed {review.seed} --replications {days} --out review"
        + (" --extrapolate" if any(beyond(review)) and not review.scenario.extrapolate else "")
    )
