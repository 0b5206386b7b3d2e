"""The recipes of CONTRIBUTING, carried out in a copy: each block goes where its line says, each command runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"^(?:`(?P<file>[^`\n]+)`:\n\n|In `(?P<into>[^`\n]+)`, (?P<place>above|instead of) `(?P<line>[^`\n]+)`:\n\n)?"
    r"```(?P<language>\w+)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
COPIED = ("scenarios", "sim", "pipeline", "tests", "headroom.py", "pyproject.toml", "benchmarks")
HEADROOM = f'headroom() {{ "{sys.executable}" -c "import headroom; headroom.main()" "$@"; }}; '
PYTEST = f'pytest() {{ "{sys.executable}" -m pytest "$@"; }}; '


def recipes() -> dict[str, str]:
    """Return the text of each recipe by its title."""
    _, *parts = re.split(r"^## ", TEXT.partition("\n# Recipes\n")[2], flags=re.MULTILINE)
    return {title: body for title, _, body in (part.partition("\n") for part in parts)}


def put(folder: Path, step: re.Match[str]) -> None:
    """Write a file that is not there yet, or put lines above or instead of the one that begins as the step says."""
    if step["file"]:
        path = folder / step["file"]
        assert not path.exists()
        path.write_text(step["body"], encoding="utf-8")
        return
    path = folder / step["into"]
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (number,) = [number for number, line in enumerate(lines) if line.startswith(step["line"])]
    rest = lines[number + (step["place"] == "instead of") :]
    path.write_text("".join([*lines[:number], step["body"], *rest]), encoding="utf-8")


def say(folder: Path, commands: str) -> str:
    """Run commands as a reader would, in a repository; return what they print."""
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": ""}
    command = ["bash", "-euo", "pipefail", "-c", HEADROOM + PYTEST + commands]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def carried_out(folder: Path, title: str) -> str:
    """Follow a recipe in a copy of the repository; return what its commands print."""
    for name in COPIED:
        source = ROOT / name
        if source.is_file():
            shutil.copy(source, folder)
        else:
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("bundles", "__pycache__"))
    steps = list(STEP.finditer(recipes()[title]))
    printed = ""
    for step in steps:
        if step["language"] == "sh":
            printed += say(folder, step["body"])
        else:
            put(folder, step)
    return printed


def test_each_block_of_a_recipe_is_a_step():
    for title, text in recipes().items():
        steps = list(STEP.finditer(text))
        assert text.count("\n```") == 2 * len(steps)
        assert steps[-1]["language"] == "sh", title
        assert all(step["file"] or step["into"] or step["language"] == "sh" for step in steps), title


def test_an_instance_type(tmp_path):
    said = carried_out(tmp_path, "An instance type")
    assert "acme.yaml: valid" in said
    assert "carried over to acme-16 by CoreMark per vCPU (26,250, a vCPU is a core)" in said
    assert "price: 0.35 USD per hour for acme-16 (offer 4711, page 3, 2026-11-20)" in said
    low, high = map(int, re.search(r"^broadcasts a node holds +(\d+) … (\d+)", said, re.MULTILINE).groups())
    assert 10 < low < high < 100
    assert "for a acme-16 node" not in said  # nothing of it is assumed


def test_a_metric(tmp_path):
    said = carried_out(tmp_path, "A metric")
    assert "1 passed" in said
    assert re.search(r"^delivered bytes that the origin did not send +9\d(\.\d+)? %", said, re.MULTILINE)


def test_a_cache_policy(tmp_path):
    said = carried_out(tmp_path, "A cache policy")
    assert "failed" not in said
    assert int(re.search(r"(\d+) passed", said)[1]) >= 20
    assert re.search(r"^playlist requests served fresh from a cluster's cache +\d\d(\.\d+)? %", said, re.MULTILINE)


@pytest.mark.alone
def test_a_ladder_backend(tmp_path):
    said = carried_out(tmp_path, "A ladder backend")
    assert int(re.search(r"(\d+) passed", said)[1]) >= 10
    assert "failed" not in said
    assert "x264-lanczos" in said.splitlines()[-1]


def test_a_recipe_that_lacks_a_step_fails(tmp_path, monkeypatch):
    """The planted mistake: the row of the metric is forgotten."""
    row = re.compile(r"^In `sim/metrics/serving.py`, above ` +\"origin.*?^```$", re.MULTILINE | re.DOTALL)
    whole = recipes()["A metric"]
    less, missing = row.subn("", whole)
    assert missing == 1
    monkeypatch.setitem(globals(), "recipes", lambda: {"A metric": less})
    with pytest.raises(AssertionError, match="KeyError: 'origin_offload'"):
        carried_out(tmp_path, "A metric")
