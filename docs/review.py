"""Takes the shipped review and writes `docs/review.md` from what it said.

`python docs/review.py` runs `COMMAND`, some minutes on two cores, and keeps what it printed in `measured/review.json`;
`--page` only writes the page anew. No figure is typed by hand.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import resource
import sys
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PAGE = DOCS / "review.md"
KEPT = DOCS / "measured" / "review.json"
TYPES = "g4dn.xlarge,g4dn.12xlarge,g5.xlarge,g6.xlarge,g6e.xlarge,vt1.3xlarge,c7i.4xlarge,c7g.4xlarge"
SCENARIO = "scenarios/library/twitch_evening.yaml"
ARGUMENTS = ["review", SCENARIO, "--instances", TYPES, "--workers", "2"]


def take() -> dict[str, Any]:
    """Run the review from cold, as the command does; return what its reader sees, and the same as plain data."""
    begun = time.perf_counter()
    from benchmarks.pairs import machine
    from scenarios import load_profile, load_scenario
    from sim import review
    from sim.cli.reviewing import print_review

    scenario = load_scenario(DOCS.parent / SCENARIO)
    found = review(scenario, load_profile(scenario.profile), TYPES.split(","), workers=2)
    seen = io.StringIO()
    with contextlib.redirect_stdout(seen):
        print_review(found, "the profile named by the scenario")
    wall_s = time.perf_counter() - begun
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    of = machine()
    return {
        "machine": f"{of['cores']} cores of {of['cpu']}, Python {platform.python_version()}",
        "wall_s": round(wall_s, 1),
        "cpu_s": round(sum(one.ru_utime + one.ru_stime for one in used), 1),
        "text": seen.getvalue(),
        "document": found.document(),
    }


def page(kept: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    told = kept["document"]
    first, *others = told["answer"]
    types = [row["instance"] for row in told["types"]]
    finalists = [row["instance"] for row in told["types"] if row["is_finalist"]]
    return "\n".join(
        [
            "# Which instance type?",
            "",
            f"{told['question']} And on which of {len(types)} types?",
            "",
            f"**{first}** {' '.join(others)}",
            "",
            "The page is written from what this command printed, by `python docs/review.py`; `--out DIR` also writes "
            "the report, one HTML file with the plots.",
            "",
            "```sh",
            f"headroom {' '.join(ARGUMENTS)}",
            "```",
            "",
            f"It took {kept['wall_s'] / 60:.1f} minutes ({kept['cpu_s'] / 60:.1f} of CPU) on {kept['machine']}, from "
            f"cold, with {len(finalists)} finalists.",
            "",
            "```text",
            kept["text"].rstrip(),
            "```",
            "",
            HOW,
        ]
    )


HOW = """## How it is found

- **One draw for all.** Every replication is a day in a world of its own: a row of the profile's joint draws, the
  CoreMark of the measured machine (one draw shared by all types), and a position for each thing that nobody measured.
  All types live through the same days in the same worlds, so their order is surer than any of their costs. The
  audience that wants to watch is drawn and advanced once a replication for all of them (`sim/lockstep.py`).
- **Screening.** The control plane alone, 20 days of each type. A type is dropped if even the upper end of the
  interval of the days on which it keeps the promise (`slo`) lies below what is promised, or if its cost lies above
  that of the third best, at a confidence that holds for all types together. Who is not told from the third best goes
  on, and that is said.
- **Finals.** The whole platform, at least ten days of each finalist and five more at a time, until the leader's cost
  is told from that of every other or known to 5 % of it; `--replications` is the most.
- **Ways to buy.** As written, all on demand, all on spot, and reserved + on demand: the reservation whose expected
  month is cheapest, found on the fleet that was simulated on demand (`sim/capacity_review/purchases.py`).
- **Is cheapest.** The share of the finals' days on which a type is the cheapest of those that keep the promise on
  that day, with its exact interval; and the share of 1,000 joint draws, in which a fleet is taken to be in proportion
  to 1 ÷ the broadcasts a node holds.
- **Measure next.** For each thing that is not known: who would be cheapest at either end of it, and what it is worth
  to know it before choosing (expected value of partial perfect information, Strong and Oakley 2013). What does not
  rise above draws in random order is told as 0.
- **Not compared:** the quality of the picture. x264 on a CPU, NVENC and an ASIC make the same ladder at the same
  bitrates.
"""


def main() -> None:
    """Take the review, unless only the page is asked for, and write the page."""
    sys.path.insert(0, str(DOCS.parent))
    if "--page" not in sys.argv[1:]:
        KEPT.write_text(json.dumps(take(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(KEPT.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
