"""The notebooks: each runs in a copy of its folder, and the committed form belongs to its source."""

from __future__ import annotations

import ast
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

import scenarios
import sim

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


def test_the_notebooks_are_numbered():
    numbers = [source.stem.split("_")[0] for source in SOURCES]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == "01"


def imported(source: Path) -> set[tuple[str, str]]:
    """Return the names that a notebook imports, each with its module."""
    nodes = list(ast.walk(ast.parse(jupytext.writes(jupytext.read(source), "py:percent"))))
    named = {(of.module, one.name) for of in nodes if isinstance(of, ast.ImportFrom) for one in of.names}
    return named | {(one.name, "") for of in nodes if isinstance(of, ast.Import) for one in of.names}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_notebook_needs_public_names_alone(source):
    public = {(module.__name__, name) for module in (scenarios, sim) for name in module.__all__}
    ours = {(module, name) for module, name in imported(source) if module.split(".")[0] in ("scenarios", "sim")}
    assert ours
    assert ours <= public


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_heading_is_a_question_and_the_last_says_what_to_try(source):
    cells = [cell.source for cell in committed(source).cells if cell.cell_type == "markdown"]
    headings = [line for cell in cells for line in cell.splitlines() if line.startswith("#")]
    assert len(headings) > 3
    assert [heading for heading in headings if not heading.endswith("?")] == []
    assert committed(source).cells[-1].cell_type == "markdown"
    heading, *rest = committed(source).cells[-1].source.splitlines()
    assert heading == "## What next?"
    assert "".join(rest)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_committed_notebook_holds_no_widget(source):
    assert set(committed(source).metadata) == {"kernelspec"}
    assert "application/vnd.jupyter.widget" not in source.with_suffix(".ipynb").read_text(encoding="utf-8")


def test_a_what_if_of_5000_broadcasts_answers_in_2_s_and_agrees_with_all_simulated():
    (source,) = (source for source in SOURCES if source.stem == "02_the_final")
    (cell,) = (cell for cell in committed(source).cells if "took_s" in cell.source)
    printed, table = cell.outputs
    assert printed["text"] == "3 replications by the engine fleet in under 2 s of one core: yes\n"
    assert table["data"]["text/html"].count("<td>yes</td>") == 7


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


IN_A_CELL = "raise RuntimeError('planted')"
IN_A_WIDGET = """\
from ipywidgets import interact
def show(uplift):
    raise RuntimeError('planted')
interact(show, uplift=(1, 3))
"""


@pytest.mark.parametrize("code", [IN_A_CELL, IN_A_WIDGET], ids=["cell", "widget"])
def test_what_fails_in_a_cell_or_a_widget_fails_the_build(code, tmp_path):
    source = tmp_path / "99_broken.py"
    source.write_text(f"# %%\n{code}\n", encoding="utf-8")
    with pytest.raises(CellExecutionError, match="planted"):
        build.execute(source)
