"""Takes the benchmarks of the intervals and writes `docs/intervals.md` from what they printed.

`python docs/intervals.py coverage common_numbers` runs those (some ten minutes of CPU) and keeps their JSON in
`measured/`; without names it only writes the page anew. No figure is typed by hand.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
PAGE = DOCS / "intervals.md"
NAMES = ("coverage", "common_numbers")
HEAD = """# How sure the intervals are

- **A mean** has Student's interval over independent replications, a **share** of days the exact one (Clopper and
  Pearson 1934), a **quantile** over days the two order statistics around it, a **ratio** of sums a paired BCa
  bootstrap whose level is raised for few pairs (Hesterberg 2015). An end that so few days cannot bound is infinite,
  never a guess.
- **How many replications** is found on the way (`replications: auto`): at least ten, then five more at a time until
  the half-width is 5 % of the mean, at most 60 (Chow and Robbins 1965). `--precision` and `--by` ask for another
  rule.
- **Noise and ignorance.** Each replication is a day in a world of its own. The same days are simulated once more in
  the middle world, by the control plane alone: their spread is the noise of days, and what the world changes on the
  same day is ignorance. More days narrow the first, a measurement narrows the second.
- **A difference** is taken on the same days: each random number belongs to the replication and to what it is for.
  What pairing is worth depends on what is changed, so it is told for each example and never as a constant.
- **No warm-up.** Broadcasts that are live when a run starts are drawn at their exact law.
"""
COVERAGE = """## Do they cover?

`python -m benchmarks.coverage`: a queue with a known answer through the compiled path (Kiefer and Wolfowitz 1955),
each run of ten or twenty replications started in its exact stationary state. Wanted are 93 to 97 % of nominal 95 %
intervals, and 92 % where the number of replications is found on the way. The last two rows of each queue are what
would be told without replications, from the customers of one path as if they were independent.
"""
PAIRS = """## What are common random numbers worth?

`python -m benchmarks.common_numbers`: variance of the difference between independent runs ÷ that between runs on the
same days, with its bootstrap interval. 1 is worth nothing, 4 saves three of four replications.
"""


def take(name: str) -> None:
    """Run one benchmark and keep what it printed."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", "--workers", "2"]
    printed = subprocess.run(command, cwd=DOCS.parent, check=True, stdout=subprocess.PIPE, text=True).stdout
    keep(name, printed)


def keep(name: str, printed: str) -> None:
    """Keep what a benchmark printed."""
    text = json.dumps(json.loads(printed), indent=2, ensure_ascii=False)
    (DOCS / "measured" / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def page() -> str:
    """Return the page as Markdown."""
    coverage, pairs = (_told(name) for name in NAMES)
    return "\n".join([HEAD, COVERAGE, coverage, "", PAIRS, pairs, ""])


def _told(name: str) -> str:
    document = json.loads((DOCS / "measured" / f"{name}.json").read_text(encoding="utf-8"))
    return f"```text\n{importlib.import_module(f'benchmarks.{name}').text(document)}\n```"


def main() -> None:
    """Take the benchmarks that are named, and write the page."""
    sys.path.insert(0, str(DOCS.parent))
    for name in sys.argv[1:]:
        take(name)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
