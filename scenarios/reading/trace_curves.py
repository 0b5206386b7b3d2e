"""Put the samples of CSV files into the trace curves of a document, so that the model holds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from scenarios.curves import TraceCurve
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.node import Entry, Node, Place
from scenarios.reading.path_beside import NotThereError, path_beside
from scenarios.reading.shape import Slot, top
from scenarios.reading.trace_file import read_trace

FILLED = ("at_s", "levels")


class TraceCurves:
    """Reads the trace files that a document names.

    Attributes:
        problems: what is wrong with them.
        files: those that were read, and how problems name them.
    """

    def __init__(self, files: Sequence[Path], shown: Sequence[str]) -> None:
        """Take the files of the document, and how problems name each."""
        self._folders = {name: file.resolve().parent for name, file in zip(shown, files, strict=True)}
        self.problems: list[Problem] = []
        self.files: dict[str, Path] = {}

    def filled(self, root: Node, model: type[BaseModel]) -> Node:
        """Return the document with the samples of every trace file in it."""
        return self._filled(root, top(model))

    def _filled(self, node: Node, slot: Slot) -> Node:
        slot = slot.fitting(node)
        content = node.content
        if isinstance(content, tuple):
            return Node(tuple(self._filled(item, slot.below(index)) for index, item in enumerate(content)), node.place)
        if not isinstance(content, dict):
            return node
        if slot.models == (TraceCurve,) and _names_a_file(content):
            return self._read(content, node.place)
        entries = {key: Entry(entry.key, self._filled(entry.node, slot.below(key))) for key, entry in content.items()}
        return Node(entries, node.place)

    def _read(self, content: dict[str, Entry], place: Place) -> Node:
        written = {key: entry for key, entry in content.items() if key not in FILLED}
        try:
            path, shown = self._found(content["file"].node)
            column = content["column"].node.content if "column" in content else None
            trace = read_trace(path, column if isinstance(column, str) else None, shown_as=shown)
        except ScenarioError as error:
            self.problems.extend(error.problems)
            return Node(content, place)
        self.files[shown] = path
        for key, numbers in zip(FILLED, (trace.at_s, trace.levels), strict=True):
            places = (Place(shown, line, 1) for line in trace.lines)
            nodes = tuple(Node(number, where) for number, where in zip(numbers, places, strict=True))
            start = Place(shown, trace.lines[0], 1)
            written[key] = Entry(start, Node(nodes, start))
        return Node(written, place)

    def _found(self, node: Node) -> tuple[Path, str]:
        """Return the file a node names, and how to show it."""
        place = node.place
        try:
            path = path_beside(node.content, self._folders[place.file], kind="CSV file", suffix="csv")
        except NotThereError as error:
            raise ScenarioError([Problem(place.file, place.line, place.column, "", str(error), error.hint)]) from None
        return path, str(Path(place.file).parent / str(node.content))


def _names_a_file(content: dict[str, Entry]) -> bool:
    """True where a file is named and its samples are not written, or an extending file names another one."""
    file = content.get("file")
    if file is None or file.node.content is None:
        return False
    samples = content.get(FILLED[0])
    return samples is None or (file.node.place.by_set and not samples.node.place.by_set)
