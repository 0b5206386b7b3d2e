"""Build nodes from the events of a YAML parser, refusing what a plain document has no need of.

Events construct no objects, and nothing here recurses: depth, size and aliases are judged as they arrive,
before anything walks over the result. Refused are tags, merge keys, keys that are no texts, duplicate keys,
several documents, and aliases that would multiply the document or contain themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
)

from scenarios.errors import Problem, ScenarioError
from scenarios.reading.node import DEEPEST, UNREADABLE, Entry, Node, Place, printable

MOST_NODES = 200_000
"""Keys and values written in one file."""
MOST_ALIASED = 10_000
"""Values that all aliases of one file may stand for together."""
LONGEST_INTEGER = 100
"""Characters; no model's range is wider, and Python itself refuses to convert some thousand digits."""

# The core schema of YAML 1.2.2, section 10.3.2.
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}


def scalar(text: str) -> str | int | float | bool | None:
    """Return what an unquoted text stands for by the core schema of YAML 1.2: `no` and dates are texts.

    Raises:
        ValueError: an integer of more than `LONGEST_INTEGER` characters.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > LONGEST_INTEGER:
            raise ValueError(f"an integer of {len(text)} digits is too long")
        return int(text, base={"0o": 8, "0x": 16}.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been seen."""

    place: Place
    anchor: str | None
    is_mapping: bool
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: tuple[str, Place] | None = None
    """The key that awaits its value."""
    drop: bool = False
    """The value to come belongs to a refused key."""
    size: int = 1
    height: int = 1


@dataclass(frozen=True, slots=True)
class _Anchored:
    node: Node
    size: int
    height: int


class NodeBuilder:
    """Takes the events of one document in order and leaves the top node in `root`.

    Attributes:
        root: the top node; None for an empty document.
        problems: what is wrong with single keys, which are skipped, and values, which become `UNREADABLE`.
    """

    def __init__(self, file: str) -> None:
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._file = file
        self._documents = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}  # None: not closed yet
        self._written = 0
        self._aliased = 0

    def feed(self, event: Any) -> None:
        """Take the next event of the parser.

        Raises:
            ScenarioError: something that makes the rest of the file meaningless or dangerous to read.
        """
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._close()
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, DocumentStartEvent):
            self._document(event)

    def _document(self, event: DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document starts here", "keep one document in a file, without '---' lines")
        if event.version not in (None, (1, 2)):
            self._stop(event, "this is not YAML 1.2", "delete the %YAML line")

    def _scalar(self, event: ScalarEvent) -> None:
        place = self._arrive(event)
        top = self._stack[-1] if self._stack else None
        if top is not None and top.is_mapping and top.key is None and not top.drop:
            self._key(top, event, place)
            return
        value: object = UNREADABLE
        try:
            event.value.encode()
            value = scalar(event.value) if event.style is None else event.value
        except UnicodeEncodeError:
            self._complain(place, "half a surrogate pair is no character", "write the character itself")
        except ValueError as error:
            self._complain(place, str(error), f"at most {LONGEST_INTEGER} are read")
        self._add(Node(value, place), 1, 1, event.anchor)

    def _key(self, mapping: _Open, event: ScalarEvent, place: Place) -> None:
        text, quoted = event.value, event.style is not None
        if text == "<<" and not quoted:
            self._complain(place, "merge keys ('<<') are not read", "write the keys out")
        elif not text.isprintable() or not (quoted or _is_text(text)):
            self._complain(place, f"the key {printable(text)} is not a text", "a name goes in quotes")
        elif text in mapping.entries:
            first = mapping.entries[text].key.line
            self._complain(place, f"duplicate key {text!r}: line {first} has it already", "keep one of them")
        else:
            mapping.key = (text, place)
        mapping.drop = mapping.key is None

    def _open(self, event: CollectionStartEvent) -> None:
        place = self._arrive(event)
        self._refuse_as_key(event)
        if len(self._stack) >= DEEPEST:
            self._stop(event, f"nested deeper than {DEEPEST} levels")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(place, event.anchor, isinstance(event, MappingStartEvent)))

    def _close(self) -> None:
        done = self._stack.pop()
        content = done.entries if done.is_mapping else tuple(done.items)
        self._add(Node(content, done.place), done.size, done.height + 1, done.anchor)

    def _alias(self, event: AliasEvent) -> None:
        self._refuse_as_key(event)
        name = str(event.anchor)
        if name not in self._anchors:
            self._stop(event, f"no anchor '&{printable(name)}' stands before this alias")
        anchored = self._anchors[name]
        if anchored is None:
            self._stop(event, f"the anchor '&{printable(name)}' contains itself")
        self._aliased += anchored.size
        if self._aliased > MOST_ALIASED:
            self._stop(event, f"the aliases of this file stand for more than {MOST_ALIASED} values")
        if len(self._stack) + anchored.height > DEEPEST:
            self._stop(event, f"nested deeper than {DEEPEST} levels by this alias")
        self._add(anchored.node, anchored.size, anchored.height, None)

    def _add(self, node: Node, size: int, height: int, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = _Anchored(node, size, height)
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.size += size
        parent.height = max(parent.height, height)
        if not parent.is_mapping:
            parent.items.append(node)
        elif parent.key is not None:
            text, place = parent.key
            parent.entries[text] = Entry(place, node)
        parent.key, parent.drop = None, False

    def _arrive(self, event: Any) -> Place:
        self._written += 1
        if self._written > MOST_NODES:
            self._stop(event, f"more than {MOST_NODES} keys and values", "keep large tables in files of their own")
        if event.ctag is not None:
            self._stop(event, f"the tag {printable(_tag(event))} is not read", "delete it; texts go in quotes")
        return self._place(event)

    def _refuse_as_key(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.is_mapping and top.key is None and not top.drop:
            self._stop(event, "a key must be a plain text", "text in { } or [ ] needs quotes to be a key")

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _complain(self, place: Place, message: str, hint: str) -> None:
        self.problems.append(Problem(self._file, place.line, place.column, "", message, hint))

    def _stop(self, event: Any, message: str, hint: str = "") -> NoReturn:
        place = self._place(event)
        raise ScenarioError([Problem(self._file, place.line, place.column, "", message, hint)])


def _is_text(text: str) -> bool:
    try:
        return isinstance(scalar(text), str)
    except ValueError:
        return False


def _tag(event: Any) -> str:
    return f"{event.ctag.handle or ''}{event.ctag.suffix or ''}"
