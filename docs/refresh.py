"""Executes the console and python blocks of a page and writes their output back; `make docs` runs it.

In a console block each line after `$ ` is a command, and what follows until the next is its output. Commands that
take minutes (`make run`) are only checked to exist, and show no output. A python block runs as a whole.
"""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md",)
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_HEADROOM = f'headroom() {{ "{sys.executable}" -c "import headroom; headroom.main()" "$@"; }}; '


def output(command: str) -> str:
    """Return what a command prints on stdout; a `make` target is looked up, not made.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    dry = command.startswith("make ")
    script = f"{command} --dry-run >/dev/null" if dry else RUN_HEADROOM + command
    return _printed(["bash", "-c", script])


def refreshed(page: str) -> str:
    """Return the page with the output of every command as it is now; python blocks must run without an error."""

    def block(match: re.Match[str]) -> str:
        kind, body = match.groups()
        if kind == "python":
            _printed([sys.executable, "-c", body])
            return match.group()
        commands = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"$ {command}\n{output(command)}" for command in commands) + "```"

    found = list(BLOCK.finditer(page))
    with ThreadPoolExecutor(cpu_count() or 1) as pool:  # the blocks of a page do not rest on one another
        outputs = iter(list(pool.map(block, found)))
    return BLOCK.sub(lambda match: next(outputs), page)


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def draw_fleet(path: Path) -> None:
    """Draw the figure of the README: the fleet of the baseline over its day."""
    from scenarios import load_profile, load_scenario
    from sim import run
    from sim.plots import fleet, svg

    scenario = load_scenario(ROOT / "scenarios" / "library" / "baseline.yaml")
    result = run(scenario, load_profile(scenario.profile), workers=2)
    path.write_text(svg(fleet(result), salt="fleet"), encoding="utf-8")


def main() -> None:
    """Refresh every page in place, and the figure."""
    draw_fleet(ROOT / "docs" / "fleet.svg")
    for page in PAGES:
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
