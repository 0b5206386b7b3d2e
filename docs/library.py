"""Runs the scenarios of the library and writes `docs/library.md` from what they say.

`python docs/library.py` runs them all, about a quarter of an hour on one core; `python docs/library.py NAME ...` runs
those and keeps the others as they are; `--replications N` takes fewer, and the page says so. What was said is kept in
`measured/library.json`; no figure is typed by hand.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

from scenarios import CalibrationError, Scenario, load_profile, load_scenario
from sim import run
from sim.answer import answer, binding_text, failure_rows
from sim.assumed_grounds import assumed_grounds
from sim.comparison import Comparison
from sim.metrics import METRICS
from sim.results import RunResult
from sim.tipping import tipping_point
from sim.varied import parse_span

DOCS = Path(__file__).parent
PAGE = DOCS / "library.md"
KEPT = DOCS / "measured" / "library.json"
LIBRARY = DOCS.parent / "scenarios" / "library"
FLIP_REPLICATIONS = 4
CHECKED = 2
"""Replications whose figures are kept, for a test to repeat."""
CHECKED_METRICS = ("nodes_peak", "transcode_usd_per_month", "viewers_peak")
ORDER = {
    "baseline": ("more_clusters", "no_cache_lock", "source_rung"),
    "twitch_evening": ("twitch_evening_quota",),
    "esports_final": ("esports_final_spare",),
    "spot_storm": ("spot_storm_on_demand", "spot_storm_reserved"),
    "zone_loss": ("zone_loss_spare",),
    "rolling_deploy": ("rolling_deploy_migrate",),
    "guide_hpa": ("guide_hpa_live",),
    "nvenc_or_x264": ("nvenc_or_x264_cpu",),
    "guide_ladder": (),
}
"""Each scenario, and the what-ifs that are compared with it."""
FLIPS: dict[str, tuple[tuple[str, str, float | None], ...]] = {
    "twitch_evening_quota": (("platform.transcode.max_nodes=300..4000", "source_only_fraction", 0.01),),
    "esports_final": (("platform.transcode.image_pull.mean_s=0..30 min", "refused_fraction", 0.001),),
    "spot_storm": (("failures.spot storm.share=0.1..1", "unserved_viewer_fraction", 0.001),),
    "spot_storm_reserved": (("platform.transcode.pools.spot.discount=0..0.9", "transcode_usd_per_month", None),),
    "zone_loss": (("platform.transcode.autoscaler.target_utilisation=0.4..0.9", "refused_fraction", 0.001),),
    "nvenc_or_x264_cpu": (("platform.transcode.pools.t4.discount=0..0.9", "transcode_usd_per_month", None),),
}
"""By scenario: what is varied, the metric, and the value up to which it holds; without one, against its base."""
COMPARED = (
    "nodes_peak",
    "transcode_usd_per_month",
    "usd_per_stream_hour",
    "start_wait_p95_s",
    "refused_fraction",
    "queued_fraction",
    "source_only_fraction",
    "interrupted",
    "moved",
    "viewer_hours_lost",
    "viewer_hours_away",
    "unserved_viewer_fraction",
    "recovery_s",
    "exhausted_in_s",
    "segment_hit_ratio",
    "origin_egress_peak_bps",
)
READ = {
    "twitch_evening": (
        "Nobody has measured a g4dn.xlarge here: what it holds is a range, and so are fleet and cost; the means of the "
        "what-if below are those of the draws within it. A fleet that follows its load has room for all but a few."
    ),
    "esports_final": (
        "The autoscaler does nothing while the load is within its tolerance of the target, so that a tenth of spare "
        "places with a tolerance of a tenth is nearly none at times; what saves this evening is that broadcasts last "
        "for hours, so that even a rate that jumps moves the number live slowly."
    ),
    "spot_storm": (
        "A storm costs viewers little as long as the notice is longer than it takes to find room: broadcasts move, and "
        "only those without room when the notice ends are interrupted. Its price is paid by those who want to start "
        "in the minutes after it."
    ),
    "rolling_deploy": (
        "A node that drains counts neither for the surge nor for the fleet, as with Kubernetes, so that the deploy "
        "holds far more nodes than the surge says for as long as nodes take to empty. An interrupted publisher finds "
        "a new node ready and is back within seconds. Its gap is told until it has a place: the first segment from "
        "there takes a segment's length more, which a broadcast that moves is charged."
    ),
    "guide_hpa": (
        "The queue of those who wait is empty when all have a place, and an empty queue asks for `minReplicas`. After "
        "the stabilisation window the fleet is taken from under those who are live. They come back and wait, which "
        "brings a part of the pods back for a while; but five who wait for each pod are on target, so that the fleet "
        "settles near its minimum before a queue that never drains, and hardly anybody new gets in."
    ),
    "nvenc_or_x264": (
        "Nobody has measured either node: the answer is a range, and pictures are not compared. x264 ultrafast gives "
        "a worse picture than NVENC's p4 at the same bitrate; a slower preset that matches it costs more CPU."
    ),
}
"""What the numbers mean, without any of them."""
HEAD = """# The library, answered

Every scenario of `scenarios/library` with its question and the answer of a run: means over replications, in brackets
their 95 % intervals; where nobody measured the node, the range of all that is not known instead. A what-if is told by
its differences on the same days. "Flips" says how far an assumed input may move before the decision changes. The
commands give the same figures again. `python docs/library.py` writes this page, and a test holds it to what it kept.
"""


@cache
def result_of(name: str, replications: int) -> RunResult:
    """Return what a run of a library scenario says."""
    scenario = of_library(name)
    return run(scenario, load_profile(scenario.profile), replications=replications)


def of_library(name: str) -> Scenario:
    """Return a scenario of the library."""
    return load_scenario(LIBRARY / f"{name}.yaml")


def said(name: str, base: str | None, replications: int) -> dict[str, Any]:
    """Return what a scenario says: its texts, and its answer or its differences."""
    scenario = of_library(name)
    found: dict[str, Any] = {"title": scenario.title, "question": scenario.question}
    try:
        result = result_of(name, replications)
    except CalibrationError as error:
        return found | {"refused": str(error)}
    found["replications"] = replications
    found["grounds"] = list(assumed_grounds(scenario))
    found["check"] = checked(result)
    if base is None:
        found["answer"] = [line for line in answer(result) if not line.startswith(binding_text(result))]
        found["failures"] = [list(row) for row in failure_rows(result)]
    else:
        found["differences"] = differences(Comparison(result_of(base, replications), result))
        found["flag"] = result.unstable
    return found


def checked(result: RunResult) -> dict[str, list[float]]:
    """Return figures of the first replications, which a test repeats."""
    rows = result.values[result.values["replication"] < CHECKED].sort_values("replication")
    return {name: rows.loc[rows["metric"] == name, "value"].tolist() for name in CHECKED_METRICS}


def differences(comparison: Comparison) -> list[list[str]]:
    """Return the rows of what changes, among the metrics that decide."""
    meanings = {METRICS[name].meaning for name in COMPARED}
    table = comparison.table()
    rows = table[table["what"].isin(meanings) & (table["told apart"] != "the same")]
    return [list(row) for row in rows.itertuples(index=False)]


def flip(name: str, base: str | None, varied: str, metric: str, below: float | None) -> dict[str, str]:
    """Return the answer of one search, and the command that repeats it."""
    scenario = of_library(name)
    first = of_library(base) if base is not None and below is None else below
    assert first is not None
    found = tipping_point(
        first,
        scenario,
        load_profile(scenario.profile),
        parse_span(varied),
        metric=metric,
        replications=FLIP_REPLICATIONS,
    )
    verb = command("run", name) if isinstance(first, float) else command("compare", str(base), name)
    limit = f" --below {below:g}" if below is not None else ""
    return {
        "text": f"{found.text()}.",
        "command": f"{verb} --replications {FLIP_REPLICATIONS} --flip '{varied}' --by {metric}{limit}",
    }


def command(verb: str, *names: str) -> str:
    """Return a command over files of the library."""
    return " ".join(["headroom", verb, *(f"scenarios/library/{name}.yaml" for name in names)])


def page(kept: dict[str, Any]) -> str:
    """Return the page as what was kept makes it."""
    parts = [HEAD]
    for name, what_ifs in ORDER.items():
        parts += _scenario(name, kept[name])
        for what_if in what_ifs:
            parts += _what_if(name, what_if, kept[what_if])
    return "\n".join(parts)


def _scenario(name: str, told: dict[str, Any]) -> list[str]:
    lines = [f"## {name}", "", f"**{told['question']}**", ""]
    if "refused" in told:
        return [*lines, f"`run` refuses it: {told['refused']}.", "", *_commands(command("run", name)), ""]
    lines += [" ".join(told["answer"]), ""]
    if told["failures"]:
        lines += ["| failure | at | nodes | broadcasts | viewers | 99 % are back after |", "|---|---|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in told["failures"]] + [""]
    if name in READ:
        lines += [READ[name], ""]
    lines += [f"- {line}" for line in told["grounds"]] + [""]
    return (
        lines
        + _flips(told)
        + _commands(f"{command('run', name)}{_as_run(told)}", *(one["command"] for one in told.get("flips", ())))
        + [""]
    )


def _what_if(base: str, name: str, told: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", "", f"**{told['question']}**", ""]
    if told["flag"]:
        lines += [f"{told['flag']}.", ""]
    lines += [f"| | {base} | {name} | difference | 95 % interval | told apart |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in told["differences"]] + [""]
    commands = f"{command('compare', base, name)}{_as_run(told)}", *(one["command"] for one in told.get("flips", ()))
    return lines + _flips(told) + _commands(*commands) + [""]


def _as_run(told: dict[str, Any]) -> str:
    return f" --replications {told['replications']}"


def _flips(told: dict[str, Any]) -> list[str]:
    return [line for one in told.get("flips", ()) for line in (one["text"], "")]


def _commands(*commands: str) -> list[str]:
    return ["```sh", *commands, "```"]


def kept() -> dict[str, Any]:
    """Return what was kept of earlier runs."""
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.is_file() else {}


def bases() -> dict[str, str | None]:
    """Return every scenario of the page, and what it is compared with."""
    found: dict[str, str | None] = {}
    for name, what_ifs in ORDER.items():
        found |= {name: None, **dict.fromkeys(what_ifs, name)}
    return found


def keep(told: dict[str, Any]) -> None:
    """Write what was said so far, and the page once it is whole."""
    KEPT.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if told.keys() == bases().keys():
        PAGE.write_text(page(told), encoding="utf-8")


def main() -> None:
    """Run what was asked for, then search where it flips; what is said is kept, and the page written, as it comes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--replications", type=int, default=10)
    parser.add_argument("--flips-only", action="store_true", help="keep the runs, search anew where they flip")
    parser.add_argument("--page-only", action="store_true", help="run nothing, write the page from what was kept")
    options = parser.parse_args()
    told, known = kept(), bases()
    asked = [] if options.page_only else options.names or list(known)
    keep(told)
    for name in [] if options.flips_only else asked:
        told[name] = said(name, known[name], options.replications)
        keep({each: told[each] for each in known if each in told})
    for name in asked:
        if "refused" not in told[name]:
            told[name]["flips"] = [flip(name, known[name], *how) for how in FLIPS.get(name, ())]
            keep({each: told[each] for each in known if each in told})


if __name__ == "__main__":
    main()
