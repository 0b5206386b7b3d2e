"""Executes the notebooks: from each percent-format `.py` beside this file the `.ipynb` that is committed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

FOLDER = Path(__file__).parent
LONGEST_CELL_S = 240


def sources(folder: Path = FOLDER) -> list[Path]:
    """Return the notebooks' sources; they are numbered."""
    return sorted(folder.glob("[0-9]*.py"))


def execute(source: Path) -> NotebookNode:
    """Return the notebook of a source, executed in its folder.

    It holds nothing that differs from one run to the next, or tells where it ran: no times, no progress, no
    addresses, and cells named by their position.

    Raises:
        CellExecutionError: a cell failed, or what a widget calls.
    """
    notebook = jupytext.read(source)
    with tempfile.TemporaryDirectory() as folder:
        # Sockets in a folder of our own: the kernel takes no port of the machine.
        transport = {"transport": "ipc", "ip": f"{folder}/kernel"}
        NotebookClient(
            notebook,
            timeout=LONGEST_CELL_S,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(source.parent)}},
            config=Config({"AsyncKernelManager": transport}),
        ).execute()
    _raise_what_failed_in_widgets(notebook)
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position:02d}"
        if cell.cell_type == "code":
            cell.outputs = [_without_repr(output) for output in cell.outputs if not _lives_with_the_kernel(output)]
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec}
    nbformat.validate(notebook)
    return notebook


def _raise_what_failed_in_widgets(notebook: NotebookNode) -> None:
    """Raise the first error that a widget shows: its cell goes on as if nothing were wrong."""
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    for model in widgets.get("state", {}).values():
        for output in model["state"].get("outputs", ()):
            if output["output_type"] == "error":
                raise CellExecutionError("\n".join(output["traceback"]), output["ename"], output["evalue"])


def _lives_with_the_kernel(output: NotebookNode) -> bool:
    """Whether an output is a progress bar on stderr, or a widget: they hold times, and die with the kernel."""
    return output.get("name") == "stderr" or "application/vnd.jupyter.widget-view+json" in output.get("data", {})


def _without_repr(output: NotebookNode) -> NotebookNode:
    """Drop the `repr` beside a richer form: it is long, and may hold addresses of memory."""
    if len(output.get("data", {})) > 1:
        del output.data["text/plain"]
    return output


def main() -> None:
    """Build every notebook, or those whose sources are named."""
    for source in [Path(name) for name in sys.argv[1:]] or sources():
        nbformat.write(execute(source), source.with_suffix(".ipynb"))
        print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main()
