"""Executes the console and python blocks of a page and writes their output back; `make docs` runs it.

In a console block each line after `$ ` is a command, and what follows until the next is its output. Commands that
take minutes (`make run`) are only checked to exist, and show no output. A python block runs as a whole. The blocks of a
page do not rest on one another; those of a guide are taken in turn, in a folder of its own, in which each block below
the name of a file becomes that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md",)
GUIDES = (ROOT / "docs" / "defended_answer.md",)
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_HEADROOM = f'headroom() {{ "{sys.executable}" -c "import headroom; headroom.main()" "$@"; }}; '


def output(command: str, *, folder: Path = ROOT) -> str:
    """Return what a command prints on stdout in a folder; a `make` target is looked up, not made.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    dry = command.startswith("make ")
    script = f"{command} --dry-run >/dev/null" if dry else RUN_HEADROOM + command
    return _printed(["bash", "-c", script], folder)


def refreshed(page: str) -> str:
    """Return the page with the output of every command as it is now; python blocks must run without an error."""
    found = list(BLOCK.finditer(page))
    with ThreadPoolExecutor(cpu_count() or 1) as pool:
        outputs = iter(list(pool.map(lambda match: _carried_out(match, ROOT), found)))
    return BLOCK.sub(lambda match: next(outputs), page)


def followed(guide: str) -> str:
    """Return a guide with the output of every command as it is now, each after what stands above it."""
    with tempfile.TemporaryDirectory() as folder:
        for file in FILE.finditer(guide):
            (Path(folder) / file[1]).write_text(file[2], encoding="utf-8")
        return BLOCK.sub(lambda match: _carried_out(match, Path(folder)), guide)


def _carried_out(match: re.Match[str], folder: Path) -> str:
    kind, body = match.groups()
    if kind == "python":
        _printed([sys.executable, "-c", body], folder)
        return match.group()
    commands = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
    told = "".join(f"$ {command}\n{output(command, folder=folder)}" for command in commands)
    return f"```console\n{told}```"


def _printed(command: list[str], folder: Path) -> str:
    known = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    done = subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, timeout=300)
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
    """Refresh every page and guide in place, and the figure."""
    draw_fleet(ROOT / "docs" / "fleet.svg")
    for page in PAGES:
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
    for guide in GUIDES:
        guide.write_text(followed(guide.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
