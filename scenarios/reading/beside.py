"""Take the content of files that a scenario names into the document, where the model says that a file may be named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pydantic import BaseModel

from scenarios.base import FromFileBeside
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.explain import problem_at
from scenarios.reading.extends import Extended, shown
from scenarios.reading.node import UNREADABLE, Entry, KeyPath, Node
from scenarios.reading.path_beside import NotThereError, path_beside
from scenarios.reading.shape import Slot, top
from scenarios.reading.yaml_source import read


def with_files_beside(document: Extended, model: type[BaseModel]) -> Extended:
    """Return the document with the content of every file that it names, each value with its place in that file.

    A file lies beside or below the file that names it; `set` does not reach into it. What is wrong with one is a
    problem of the document.
    """
    reader = _Reader(document)
    root = reader.filled(document.root, model)
    base = None if document.base is None else reader.filled(document.base, model)
    return dataclasses.replace(
        document,
        root=root,
        base=base,
        files=(*document.files, *reader.files.values()),
        shown=(*document.shown, *reader.files),
        beside=frozenset(reader.files),
        problems=(*document.problems, *dict.fromkeys(reader.problems)),
    )


class _Reader:
    """Reads the files that a document names, and remembers which."""

    def __init__(self, document: Extended) -> None:
        self._first = document.files[0]
        self._folder = {name: file.resolve().parent for name, file in zip(document.shown, document.files, strict=True)}
        self.files: dict[str, Path] = {}
        self.problems: list[Problem] = []

    def filled(self, root: Node, model: type[BaseModel]) -> Node:
        """Return a document with the content of the files that it names."""
        return self._filled(root, top(model), (), root)

    def _filled(self, node: Node, slot: Slot, path: KeyPath, root: Node) -> Node:
        content, here = node.content, slot.fitting(node)
        if isinstance(content, dict):
            entries = {
                key: Entry(entry.key, self._filled(entry.node, here.below(key), (*path, key), root))
                for key, entry in content.items()
            }
            return Node(entries, node.place)
        if isinstance(content, tuple):
            items = enumerate(content)
            return Node(tuple(self._filled(item, here.below(i), (*path, i), root) for i, item in items), node.place)
        names_a_file = any(isinstance(limit, FromFileBeside) for form in slot.forms for limit in form.limits)
        return self._content(node, content, path, root) if names_a_file and isinstance(content, str) else node

    def _content(self, node: Node, name: str, path: KeyPath, root: Node) -> Node:
        try:
            file = path_beside(name, self._folder[node.place.file], kind="file", suffix="yaml")
            self.files.setdefault(shown(file, self._first), file)
            source = read(file, shown_as=shown(file, self._first))
        except ScenarioError as error:
            self.problems += error.problems
        except NotThereError as error:
            self.problems.append(problem_at(root, path, str(error), error.hint))
        else:
            self.problems += source.problems
            return source.root
        return Node(UNREADABLE, node.place)
