"""The page about a result: the answer, the numbers, plots, what they rest on, and how to repeat it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scenarios.catalogue import load_catalogue
from sim.answer import FAILURE_TITLES, answer, failure_rows
from sim.bands import bin_minutes
from sim.carried import carried_coefficients
from sim.html_page import coefficient_row, picture, profile_argument, render, shared_facts, source_text, weakest
from sim.metrics import METRICS
from sim.plots import OF_VIEWERS, PLOTS
from sim.results import RunResult
from sim.whole_file import write_whole

CAPTIONS = {
    "fleet": "Broadcasts that are live and those in service; below, the transcode nodes that carry them. Paid for "
    "are nodes that boot, serve or drain.",
    "full_node": "Share of each resource's planned capacity that a full node has in use. The first to reach its "
    "plan binds.",
    "cost": "Nodes are paid for by the hour, from the order until they are gone; delivery, chat included, by the byte.",
    "audience": "Viewers of broadcasts in service; below, what is sent to them and what leaves the origin.",
    "hit_ratios": "Share of viewers' requests that a cluster answers from its cache: a playlist has to be fresh.",
}


def report(result: RunResult, path: Path) -> Path:
    """Write the page about a result, whole or not at all, and return its path; equal results give equal bytes.

    Raises:
        NotReady: the page cannot be written there.
    """
    return write_whole(path, page(result))


def page(result: RunResult) -> str:
    """Return the page as HTML. Every text in it is escaped, and shows characters that would hide in it."""
    return render("report.html.j2", ["page.css"], shared_facts(result.scenario, result.profile) | _facts(result))


def _facts(result: RunResult) -> dict[str, Any]:
    coefficients = (*result.profile.coefficients, *carried_coefficients(result.scenario, load_catalogue()))
    return {
        "replications": result.replications,
        "precision": result.precision_text,
        "bin_minutes": bin_minutes(result),
        "answer": answer(result),
        "ranged": bool(result.ranges),
        "has_parts": len(result.parts) > 0,
        "groups": _groups(result),
        "failures": list(failure_rows(result)),
        "failure_titles": FAILURE_TITLES,
        "pictures": list(_pictures(result)),
        "grounds": result.rests_on(),
        "weakest": weakest(coefficients),
        "coefficients": [coefficient_row(coefficient) for coefficient in coefficients],
        "sources": list(dict.fromkeys(source_text(coefficient) for coefficient in coefficients)),
        "commands": list(_commands(result)),
    }


def _groups(result: RunResult) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in result.summary.itertuples():
        texts = result.texts(row.metric)
        binds = row.metric == f"full_node_{result.binding}"
        facts = {"what": METRICS[row.metric].meaning, "binds": binds} | texts._asdict()
        groups.setdefault(row.component, []).append(facts)
    return list(groups.items())


def _pictures(result: RunResult) -> Iterator[dict[str, str]]:
    for name, plot in PLOTS.items():
        if name in OF_VIEWERS and not result.is_watched:
            continue
        yield picture(plot(result), name=name, caption=CAPTIONS[name])


def _commands(result: RunResult) -> Iterator[str]:
    yield (
        f"headroom run scenario.yaml --profile {profile_argument(result.profile)} --seed {result.seed} "
        f"--replications {result.replications} --out result"
    )
    yield "headroom report result"
