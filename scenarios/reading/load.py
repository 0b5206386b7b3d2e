"""Load a file of the language: read, extend, validate, and report every problem at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from scenarios.base import SpecModel
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.beside import with_files_beside
from scenarios.reading.explain import explain
from scenarios.reading.extends import LIBRARY, Extended, read_extended
from scenarios.reading.loaded import Loaded
from scenarios.reading.node import Node, plain
from scenarios.reading.resolve import origin, resolve_text
from scenarios.reading.trace_curves import TraceCurves

M = TypeVar("M", bound=SpecModel)

__all__ = ["Loaded", "load", "origin", "resolve_text"]


def load(path: Path | str, model: type[M], *, library: Path | None = LIBRARY) -> Loaded[M]:
    """Load a file.

    Args:
        path: the file.
        model: what it holds.
        library: folder in which `extends` finds bare names; None for files that cannot extend others.

    Returns:
        The model, and where its values came from.

    Raises:
        ScenarioError: with every problem found, in the order of the text; of the first file first.
    """
    document = read_extended(Path(path), model, library=library)
    if library is not None:
        document = with_files_beside(document, model)
        document = _with_traces(document, model)
    value, problems = _validated(document.root, model)
    if document.base is not None and problems:
        _, before = _validated(document.base, model)
        problems = [_at_its_cause(problem, before, document) for problem in problems]
    if value is None or document.problems:
        raise ScenarioError(_ordered([*document.problems, *problems], document))
    return Loaded(value, document.root, document.files)


def _with_traces(document: Extended, model: type[M]) -> Extended:
    """Return the document with the samples of the trace files it names; raise where one of them is no trace."""
    traces = TraceCurves(document.files, document.shown)
    root = traces.filled(document.root, model)
    if traces.problems:
        raise ScenarioError([*document.problems, *dict.fromkeys(traces.problems)])
    files, shown = (*document.files, *traces.files.values()), (*document.shown, *traces.files)
    return replace(document, root=root, files=files, shown=shown)


def _validated(root: Node, model: type[M]) -> tuple[M | None, list[Problem]]:
    try:
        return model.model_validate(plain(root)), []
    except ValidationError as error:
        return None, explain(error, root, model)


def _at_its_cause(problem: Problem, before: Sequence[Problem], document: Extended) -> Problem:
    """Place a problem where it came in: in the extended file if that has it unchanged, else at the change."""
    for earlier in before:
        if (earlier.field, earlier.message) == (problem.field, problem.message):
            return earlier
    if problem.file == document.shown[0] or problem.file in document.beside:
        return problem
    nearest = max(document.changes, key=lambda path: _shared(path, problem.field), default="")
    if not nearest or not _shared(nearest, problem.field):
        return problem
    place = document.changes[nearest]
    return replace(problem, file=place.file, line=place.line, column=place.column)


def _shared(path: str, other: str) -> int:
    """The number of keys that two dotted paths begin with alike."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(path.split("."), other.split("."), strict=False))
    return sum(1 for _ in alike)


def _ordered(problems: Sequence[Problem], document: Extended) -> list[Problem]:
    def position(problem: Problem) -> tuple[bool, int, int, int]:
        last = problem.line is None
        return last, document.shown.index(problem.file), problem.line or 0, problem.column or 0

    return sorted(problems, key=position)
