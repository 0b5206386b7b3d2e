"""Print a scenario as understood: every default filled in, every value with the place it came from."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scenarios.reading.loaded import Loaded
from scenarios.reading.node import KeyPath, at, trail
from scenarios.reading.yaml_events import scalar

WIDEST = 64
"""Columns for keys and values, before the comment; longer lists and texts are broken."""

_PLAIN_TEXT = re.compile(r"[A-Za-z0-9_./](?:[A-Za-z0-9_./+@ -]*[A-Za-z0-9_./+@-])?")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


class _Line(NamedTuple):
    text: str
    path: KeyPath | None = None
    """Of the value that starts on this line; None for a heading or a continuation."""
    value: object = None


def origin(loaded: Loaded[Any], path: KeyPath) -> str:
    """Return where a value came from: `baseline.yaml:12`, `whatif.yaml:4 (set)` or `default`.

    Args:
        loaded: the file.
        path: keys and indices of the value.

    Raises:
        KeyError: the model has no value there.
    """
    value = _dumped(loaded)
    for part in path:
        within = dict(enumerate(value)) if isinstance(value, list) else value
        if not isinstance(within, dict):
            raise KeyError(part)
        value = within[part]
    return _origin(loaded, path)


def resolve_text(loaded: Loaded[Any]) -> str:
    """Return the whole as YAML that can be loaded again; a comment after each value tells its origin.

    A value that was written with a unit, and converted, is repeated in the comment as it was written.
    """
    lines = list(_lines(_dumped(loaded), (), 0))
    column = max(len(line.text) for line in lines if line.path is not None)
    return "".join(
        line.text + ("\n" if line.path is None else f"{' ' * (column - len(line.text))}  # {_comment(loaded, line)}\n")
        for line in lines
    )


def yaml_text(value: dict[str, Any]) -> str:
    """Return a mapping of plain values as YAML."""
    return "".join(f"{line.text}\n" for line in _lines(value, (), 0))


def _dumped(loaded: Loaded[Any]) -> Any:
    return loaded.value.model_dump(mode="json", by_alias=True, round_trip=True)


def _origin(loaded: Loaded[Any], path: KeyPath) -> str:
    steps = trail(loaded.root, path)
    place = steps[-1].node.place
    is_unwritten = len(steps) <= len(path) and isinstance(steps[-1].node.content, dict | tuple)
    if is_unwritten or place.line is None:
        return "default"
    return f"{_on_one_line(Path(place.file).name)}:{place.line}" + (" (set)" if place.by_set else "")


def _comment(loaded: Loaded[Any], line: _Line) -> str:
    assert line.path is not None
    written = at(loaded.root, line.path)
    given = written.content if written else None
    is_converted = isinstance(given, str) and not isinstance(line.value, str)
    return _origin(loaded, line.path) + (f", {_on_one_line(str(given))}" if is_converted else "")


def _lines(value: Any, path: KeyPath, indent: int) -> Iterator[_Line]:
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for part, item in items:
        head = " " * indent + ("-" if isinstance(part, int) else f"{_text(part)}:")
        if not _is_nested(item):
            first, *others = _broken(head, item, indent + 2)
            yield _Line(first, (*path, part), item)
            yield from map(_Line, others)
        elif isinstance(part, int):
            start, *rest = _lines(item, (*path, part), indent + 2)
            yield start._replace(text=head + start.text[indent + 1 :])
            yield from rest
        else:
            yield _Line(head)
            yield from _lines(item, (*path, part), indent + 2)


def _is_nested(value: Any) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict) and bool(value)


def _broken(head: str, value: Any, indent: int) -> list[str]:
    """A value after its key, on as many lines as it needs."""
    line = f"{head} {_leaf(value)}"
    if len(line) <= WIDEST or not isinstance(value, str | list):
        return [line]
    margin = " " * indent
    if isinstance(value, str):
        can_fold = value.isprintable() and " ".join(value.split()) == value
        width = WIDEST - indent
        wrapped = textwrap.wrap(value, width, break_long_words=False, break_on_hyphens=False)
        return [f"{head} >-", *(margin + text for text in wrapped)] if can_fold else [line]
    lines = [f"{head} ["]
    for item in value:
        piece = f"{_leaf(item)}, "
        if len(lines[-1]) + len(piece) > WIDEST:
            lines.append(margin)
        lines[-1] += piece
    return [text.rstrip() for text in lines[:-1]] + [lines[-1].removesuffix(", ") + "]"]


def _leaf(value: Any) -> str:
    """A scalar, or a list of scalars, or an empty mapping."""
    if isinstance(value, list):
        return f"[{', '.join(_leaf(item) for item in value)}]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return json.dumps(value)


def _text(value: str) -> str:
    if _PLAIN_TEXT.fullmatch(value) and scalar(value) == value:
        return value
    escaped = (_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in value)
    return f'"{"".join(escaped)}"'


def _on_one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
