"""The notebooks: each runs in a copy of its folder, and the committed form belongs to its source."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
from pathlib import Path
from types import ModuleType

import jupytext
import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
PRIVATE = re.compile(r"/(?:root|home|Users|tmp|private|work)/|site-packages|0x[0-9a-f]{8,}")


def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_build", NOTEBOOKS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = builder()
SOURCES = build.sources()


def committed(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Return, for each output, the forms it has."""
    return [sorted(output.get("data", [output.output_type])) for output in outputs(notebook)]


def texts(notebook: nbformat.NotebookNode) -> str:
    """Return everything in a notebook but its images."""
    found = [cell.source for cell in notebook.cells]
    for output in outputs(notebook):
        found += [output.get("text", "")]
        found += [value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(found)


def test_there_is_a_notebook():
    assert SOURCES


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_notebook_runs_and_shows_what_the_committed_one_shows(source, tmp_path):
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks", ignore=shutil.ignore_patterns("*.ipynb", ".*", "__pycache__"))
    for data in ("library", "bundles"):
        shutil.copytree(ROOT / "scenarios" / data, tmp_path / "scenarios" / data)
    before = sorted((tmp_path / "notebooks").rglob("*"))
    notebook = build.execute(tmp_path / "notebooks" / source.name)
    assert kinds(notebook) == kinds(committed(source))
    assert not PRIVATE.search(texts(notebook))
    assert sorted((tmp_path / "notebooks").rglob("*")) == before


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_committed_notebook_belongs_to_its_source(source):
    expected, notebook = jupytext.read(source), committed(source)
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in expected.cells
    ]
    assert notebook.cells[0].source.splitlines()[0].startswith("# ")
    assert notebook.cells[0].source.splitlines()[0].endswith("?")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_committed_notebook_is_executed_and_tells_nothing_of_where(source):
    notebook = committed(source)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any("execution" in cell.metadata for cell in code)
    assert outputs(notebook)
    assert not PRIVATE.search(texts(notebook))
    assert len(platform.node()) < 4 or platform.node() not in texts(notebook)


def test_a_cell_that_fails_fails_the_build(tmp_path):
    source = tmp_path / "99_broken.py"
    source.write_text("# %%\nraise RuntimeError('planted')\n", encoding="utf-8")
    with pytest.raises(CellExecutionError, match="planted"):
        build.execute(source)
