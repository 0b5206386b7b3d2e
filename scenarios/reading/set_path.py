"""Replace one value of a document, named by a dotted path as `set` writes it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from pydantic import BaseModel

from scenarios.reading.node import DEEPEST, NOWHERE, Entry, Node, Place, height, item_name, marked_as_set, unplaced
from scenarios.reading.phrases import did_you_mean, echo, listed
from scenarios.reading.shape import Slot


class NoSuchPlace(Exception):  # noqa: N818 - caught by the reader of `set`, which knows the file and the line
    """A path of `set` leads nowhere.

    Attributes:
        message: why.
        hint: what to do.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def replaced(root: Node, slot: Slot, path: str, entry: Entry, *, before: Sequence[str]) -> Node:
    """Return the document with one value replaced, or added.

    Args:
        root: the document; it is not changed.
        slot: what its model accepts at the top.
        path: keys joined by dots; an item of a list by its `name`. A name may itself contain dots.
        entry: the new value, as it stands under `set`.
        before: the paths already set by the same file, which this one must not undo.

    Raises:
        NoSuchPlace: the path passes through a single value or an unknown item, or undoes an earlier one. A
            key that the model does not know is added, for the model to refuse in its place.
    """
    parts = path.split(".")
    if "" in parts:
        raise NoSuchPlace("is not a dotted path", "such as 'platform.cdn.clusters'")
    if len(parts) + height(entry.node) > DEEPEST:
        raise NoSuchPlace(f"nested deeper than {DEEPEST} levels")
    undone = [earlier for earlier in before if earlier.startswith(f"{path}.")]
    if undone:
        raise NoSuchPlace(f"undoes {undone[0]!r}, set above", "put the wider path first")
    return _within(root, slot, parts, entry)


def value_at(root: Node, path: str) -> object:
    """Return the scalar at a path as `set` writes it; None for a mapping, a list or nothing at all.

    Raises:
        NoSuchPlace: an item of a list on the way has no such name.
    """
    node, parts = root, path.split(".")
    while parts:
        if isinstance(node.content, tuple):
            index, parts = _item(node, parts)
            node = node.content[index]
        elif isinstance(node.content, dict):
            key, rest = _leading(parts, node.content)
            if key not in node.content:
                return None
            node, parts = node.content[key].node, list(rest)
        else:
            return None
    return None if isinstance(node.content, dict | tuple) else node.content


def _item(node: Node, parts: Sequence[str]) -> tuple[int, list[str]]:
    """Return the index of the item that a path enters, and the rest of the path."""
    assert isinstance(node.content, tuple)
    names = [name for name in map(item_name, node.content) if name is not None]
    name, rest = _leading(parts, names)
    if name not in names:
        hint = did_you_mean(name, names) or (f"its items are {listed(names, last='and')}" if names else "")
        raise NoSuchPlace(f"no item of the list is named {echo(name)}", hint or "set the whole list")
    return next(i for i, item in enumerate(node.content) if item_name(item) == name), list(rest)


def _within(node: Node, slot: Slot, parts: Sequence[str], entry: Entry) -> Node:
    slot = slot.fitting(node)
    if node.content is None:
        node = Node({}, node.place)
    if isinstance(node.content, tuple):
        return _within_list(node, slot, parts, entry)
    if not isinstance(node.content, dict):
        raise NoSuchPlace(f"there is nothing inside {echo(node.content)} to set", "set the value itself")
    key, rest = _leading(parts, [*node.content, *slot.keys])
    if rest:
        inner = node.content.get(key) or _unwritten(slot, key, entry.key)
        changed = Entry(inner.key, _within(inner.node, slot.below(key), rest, entry))
    else:
        changed = Entry(replace(entry.key, by_set=True), marked_as_set(entry.node))
    return Node({**node.content, key: changed}, node.place)


def _within_list(node: Node, slot: Slot, parts: Sequence[str], entry: Entry) -> Node:
    assert isinstance(node.content, tuple)
    index, rest = _item(node, parts)
    old = node.content[index]
    new = _within(old, slot.below(index), rest, entry) if rest else marked_as_set(entry.node)
    return Node((*node.content[:index], new, *node.content[index + 1 :]), node.place)


def _leading(parts: Sequence[str], known: Collection[str]) -> tuple[str, Sequence[str]]:
    """Split off the longest known name that a path begins with; one part where none is known."""
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in known:
            return name, parts[end:]
    return parts[0], parts[1:]


def _unwritten(slot: Slot, key: str, place: Place) -> Entry:
    """What a path enters that no file spells out: the model's default, or a mapping that is empty so far."""
    field = slot.keys.get(key)
    default = _dumped(field.get_default(call_default_factory=True)) if field else None
    if isinstance(default, dict | list | tuple):
        return Entry(NOWHERE, unplaced(default))
    return Entry(place, Node({}, place))


def _dumped(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(by_alias=True, round_trip=True)
    if isinstance(value, dict):
        return {key: _dumped(item) for key, item in value.items()}
    return tuple(_dumped(item) for item in value) if isinstance(value, tuple) else value
