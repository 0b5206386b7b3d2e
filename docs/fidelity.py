"""Writes `docs/fidelity.md`: how errors are judged, what was found; its chief table into two more pages.

`python docs/fidelity.py --take` runs `benchmarks.fidelity` and keeps its JSON beside this file, in `measured/`; without
it both are only written anew. No figure of a table is typed by hand, and a test reads those of the text.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
TAKEN = DOCS / "measured" / "fidelity.json"
PAGE = DOCS / "fidelity.md"
README = DOCS.parent / "README.md"
WITH_TABLE = (README, DOCS / "model.md")
MARKS = ("<!-- the table of docs/fidelity.py -->", "<!-- its end -->")
HEAD = """# How far the model is off

A profile is fitted to some loads of some ladders. This page is about others: ladders and a clip that a committed file
(`scenarios/protocols/held_out.yaml`) kept from every fit before the first one, measured by `headroom measure --holdout`
and predicted by `headroom replay` from their arrivals alone. `python -m benchmarks.fidelity` fits the committed bundles
again, replays them, and prints what is below; `--measure` measures anew first.

## How an error is judged

- A **load** is so many streams of one ladder and clip. Each held-out load was run six times, in turns with the others.
  Its figures are pooled over all its runs; an error is (predicted − measured) ÷ measured.
- The **noise floor** is the same error between the pooled halves of those runs: the median over the ten ways to halve
  six. No model can be told from a better one below it.
- **Met** means that the median error over the held-out loads up to 0.8 of N_max is no more than the target, or than
  1.25 noise floors if that is more. A noise floor above 25 %, or none, is UNRESOLVED: neither met nor missed.
- **N_max**, the largest number of streams whose backlog does not grow, may be wrong by one stream or by 7 %.
- A 99 % quantile stands only where a load has 1,000 segments, each rung counted.
- Above 0.8 of N_max only the backlog is compared. Latency there is the length of the test.

The same machine is faster at one hour than at another, so a fixed job of half a second runs before each load.
**At that day's speed** is the error of the same prediction with every CPU time multiplied by how much longer that job
took around the held-out load than around those of the fit (`headroom replay --at-speed`). It is not what is judged: it
tells how much of an error is the machine's and how much the model's. In the committed bundles the job took from 0.43 to
0.75 s within two hours, so they were measured in turns: half of what is held out, one bundle for the fit, the other
half, and a second, shorter one for the fit.

Beside each error stand the **null models**, the simplest ones anyone could use instead: *as at N = 1* (nothing changes
with load), *M/D/c* (the same plus the mean wait of a queue of deterministic jobs), and *cores ÷ CPU* per stream. They
start from the **measured** single stream of the very ladder, held out or not, where there is one. The model never sees
it: the rival is given more than we take. Where a null model is nearer between 0.5 and 0.8 of N_max, the table says so,
and that is the figure to use there.

A profile carries the table (`held_out`), written by `headroom replay BUNDLE... --profile P --out P2`. `headroom run`
tells of it the errors of CPU per stream-second and N_max on the held-out ladder that is nearest, by the ratio of the
CPU per stream-second of one stream.
"""
FIGURES = {
    "segment_publish_mean": "publication, mean",
    "segment_publish_p95": "publication, P95",
    "segment_publish_p99": "publication, P99",
    "frame_p95": "frame latency, P95",
    "cpu": "CPU per stream-second",
    "startup": "start-up",
    "n_max": "N_max",
}
NULL_MODELS = {"as_at_one": "as at N = 1", "mdc": "M/D/c", "division": "cores ÷ CPU"}


def take() -> None:
    """Run the benchmark and keep what it printed."""
    command = [sys.executable, "-m", "benchmarks.fidelity", "--json"]
    printed = subprocess.run(command, cwd=DOCS.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = json.dumps({"date": today} | json.loads(printed), indent=2, ensure_ascii=False)
    TAKEN.write_text(text + "\n", encoding="utf-8")


def page() -> str:
    """Return the page as the kept output makes it."""
    if not TAKEN.is_file():
        return HEAD
    taken = json.loads(TAKEN.read_text(encoding="utf-8"))
    return (
        "\n".join([HEAD, *_found(taken), *_near_capacity(taken), *_ladders(taken), *_carried(taken), *_limits(taken)])
        + "\n"
    )


def with_table(text: str) -> str:
    """Return a page with the table between its marks as the kept output makes it."""
    taken = json.loads(TAKEN.read_text(encoding="utf-8"))
    table = "\n".join([MARKS[0], *_table(taken), MARKS[1]])
    return re.sub(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", lambda _: table, text, flags=re.DOTALL)


def _found(taken: dict[str, Any]) -> Iterator[str]:
    yield f"## What was found\n\nProfile `{taken['profile']}`, {taken['measured_on']['cores']} cores of"
    yield f"{taken['measured_on']['cpu']}; {taken['repeats']} repeats; replayed {taken['date']}.\n"
    yield from _table(taken)
    yield ""


def _table(taken: dict[str, Any]) -> Iterator[str]:
    titles = ["figure", "error", "worst", "noise floor", "target", "", "at that day's speed", "in-sample"]
    yield f"| {' | '.join([*titles, *NULL_MODELS.values()])} |"
    yield "|---" * (8 + len(NULL_MODELS)) + "|"
    for name, title in FIGURES.items():
        columns = [taken[key][name] for key in ("held_out", "held_out_worst", "noise_floor", "targets")]
        nulls = [taken["null_models_each"][name][model] for model in NULL_MODELS]
        judged = taken["verdicts"][name] or "–"
        at_speed = (taken["held_out_at_speed"] or {}).get(name)
        others = [at_speed, taken["in_sample"][name], *nulls]
        cells = [*map(_percent, columns), judged, *map(_percent, others)]
        yield f"| {title} | {' | '.join(cells)} |"


def _near_capacity(taken: dict[str, Any]) -> Iterator[str]:
    yield "### Between 0.5 and 0.8 of N_max\n"
    yield f"| figure | loads | model | {' | '.join(NULL_MODELS.values())} | nearest |"
    yield "|---" * (4 + len(NULL_MODELS)) + "|"
    for row in taken["near_capacity"]:
        errors = [_percent(row[name]) for name in ("model", *NULL_MODELS)]
        nearest = NULL_MODELS.get(row["adopted"], row["adopted"])
        yield f"| {FIGURES[row['metric']]} | {row['loads']} | {' | '.join(errors)} | {nearest} |"
    yield ""


def _ladders(taken: dict[str, Any]) -> Iterator[str]:
    yield "### By ladder\n"
    yield "| rungs | source | clip | CPU error | noise floor | N_max measured | predicted | cores ÷ CPU | |"
    yield "|---" * 9 + "|"
    for row in taken["ladders"]:
        cpu, n_max = row["cpu"] or {}, row["n_max"] or {}
        cells = [_percent(cpu.get("error")), _percent(cpu.get("noise_floor"))]
        cells += [str(n_max.get(name, "–")) for name in ("measured", "predicted", "division", "verdict")]
        yield f"| {' + '.join(row['rungs'])} | {row['source']} | {row['clip']} | {' | '.join(cells)} |"
    yield ""


def _carried(taken: dict[str, Any]) -> Iterator[str]:
    there = taken["carried_over"]
    if there is None:
        return
    yield "### On another machine\n"
    yield f"The same profile and the bundles of {there['cores']} cores of {there['cpu']}. Neither hypervisor names its"
    yield "CPU, so no published ratio of their speeds applies: every cost is carried over as it is.\n"
    yield "| figure | error | noise floor |"
    yield "|---|---|---|"
    for name, title in FIGURES.items():
        yield f"| {title} | {_percent(there['errors'][name])} | {_percent(there['noise_floor'][name])} |"
    yield ""


def _limits(taken: dict[str, Any]) -> Iterator[str]:
    yield "## What the model cannot know\n"
    yield from (f"- {what}" for what in taken["cannot_know"])


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def main() -> None:
    """Take the figures if asked, then write the page."""
    if "--take" in sys.argv[1:]:
        take()
    PAGE.write_text(page(), encoding="utf-8")
    for path in WITH_TABLE:
        path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
