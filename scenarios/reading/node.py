"""Values that remember where they stand: what the YAML reader builds and `extends` and `set` work on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Way from the top to a value: keys of mappings and 0-based indices of lists."""

DEEPEST = 64
"""Levels of mappings and lists that a file may nest."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands.

    Attributes:
        file: path as it is shown to the user; empty for what stands in no file.
        line: 1-based, or None when it stands in no file.
        column: 1-based, or None.
        by_set: the `set` of an extending file put it here.
    """

    file: str
    line: int | None
    column: int | None
    by_set: bool = False


NOWHERE = Place("", None, None)
UNREADABLE = object()
"""Content of a node whose value the reader has refused already: nothing more is to be said about it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value with its place.

    Attributes:
        content: a scalar; or a tuple of nodes; or a mapping from key to `Entry`.
        place: where the value starts.
    """

    content: object
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """What a mapping holds under one key.

    Attributes:
        key: where the key stands.
        node: the value.
    """

    key: Place
    node: Node


@dataclass(frozen=True, slots=True)
class Step:
    """A node met on a way from the top.

    Attributes:
        node: the value.
        key: where its key stands; None for the top and for items of a list.
    """

    node: Node
    key: Place | None

    @property
    def shown(self) -> Place:
        """Where a reader would look for it: the key of a mapping, a list or nothing, else the value itself."""
        if self.key is not None and isinstance(self.node.content, dict | tuple | None):
            return self.key
        return self.node.place


def plain(node: Node) -> object:
    """Return the value without its places: dicts, tuples and scalars."""
    content = node.content
    if isinstance(content, dict):
        return {key: plain(entry.node) for key, entry in content.items()}
    if isinstance(content, tuple):
        return tuple(plain(item) for item in content)
    return content


def trail(root: Node, path: KeyPath) -> list[Step]:
    """Return the nodes met on the way to `path`, from the top down to the last one that exists."""
    steps = [Step(root, None)]
    for part in path:
        content = steps[-1].node.content
        if isinstance(content, dict) and part in content:
            steps.append(Step(content[part].node, content[part].key))
        elif isinstance(content, tuple) and isinstance(part, int) and 0 <= part < len(content):
            steps.append(Step(content[part], None))
        else:
            break
    return steps


def at(root: Node, path: KeyPath) -> Node | None:
    """Return the node at `path`, or None when it leads nowhere."""
    steps = trail(root, path)
    return steps[-1].node if len(steps) > len(path) else None


def first_set(node: Node, key: Place | None = None) -> Place | None:
    """Return the place of the first key in the text that `set` put at or below a node, or None.

    Args:
        node: the node.
        key: where its own key stands.
    """
    if node.place.by_set:
        return key or node.place
    content = node.content
    if isinstance(content, dict):
        below: Iterable[Place | None] = (first_set(entry.node, entry.key) for entry in content.values())
    else:
        below = (first_set(item) for item in content) if isinstance(content, tuple) else ()
    found = [place for place in below if place is not None]
    return min(found, key=lambda place: (place.line or 0, place.column or 0), default=None)


def marked_as_set(node: Node) -> Node:
    """Return the same value, every place of it marked as coming from `set`."""
    content = node.content
    if isinstance(content, dict):
        content = {
            key: Entry(replace(entry.key, by_set=True), marked_as_set(entry.node)) for key, entry in content.items()
        }
    elif isinstance(content, tuple):
        content = tuple(marked_as_set(item) for item in content)
    return Node(content, replace(node.place, by_set=True))


def unplaced(value: object) -> Node:
    """Return dicts, lists and scalars as nodes that stand in no file."""
    if isinstance(value, dict):
        return Node({key: Entry(NOWHERE, unplaced(item)) for key, item in value.items()}, NOWHERE)
    if isinstance(value, list | tuple):
        return Node(tuple(unplaced(item) for item in value), NOWHERE)
    return Node(value, NOWHERE)


def height(node: Node) -> int:
    """Return the levels of nesting at and below a node; 1 for a scalar."""
    content = node.content
    if isinstance(content, dict):
        return 1 + max((height(entry.node) for entry in content.values()), default=0)
    if isinstance(content, tuple):
        return 1 + max((height(item) for item in content), default=0)
    return 1


def dotted(root: Node, path: KeyPath) -> str:
    """Return a path as `set` would write it, items of lists by their name: `ladder.rungs.720p30.bitrate_bps`.

    An item without a name is shown by its index, `points[3]`. Keys too long or unprintable are shown quoted.
    """
    shown = ""
    steps = trail(root, path)
    for depth, part in enumerate(path, start=1):
        step = steps[depth] if depth < len(steps) else None
        if isinstance(part, int):
            name = item_name(step.node) if step else None
            shown += f"[{part}]" if name is None else f".{name}"
        else:
            shown += f".{printable(part)}"
    return shown.removeprefix(".")


def item_name(node: Node) -> str | None:
    """Return the text under the key `name` of a mapping, or None."""
    entry = node.content.get("name") if isinstance(node.content, dict) else None
    name = entry.node.content if isinstance(entry, Entry) else None
    return name if isinstance(name, str) else None


def printable(text: str, longest: int = 60) -> str:
    """Return a text from a file fit for one line of a terminal: as it is, or quoted, escaped and cut."""
    if text.isprintable() and 0 < len(text) <= longest:
        return text
    return repr(text if len(text) <= longest else text[: longest - 3] + "...")
