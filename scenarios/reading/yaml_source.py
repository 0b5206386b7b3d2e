"""Read a YAML 1.2 file into plain values with positions; whatever is not one plain mapping is refused."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from scenarios.errors import Problem, ScenarioError
from scenarios.reading.node import KeyPath, Node, plain, trail
from scenarios.reading.phrases import did_you_mean
from scenarios.reading.yaml_events import NodeBuilder

LARGEST_BYTES = 5_000_000
LONGEST_LINE = 100_000
"""Characters; the parser needs quadratic time for some tokens of one line."""

_REMEDIES = {
    "character '\\t'": "indent with spaces",
    "mapping values are not allowed": "put a text that contains ': ' in quotes, and each key on its own line",
    "could not find expected ':'": "every key is followed by ':' and a blank",
}


@dataclass(frozen=True)
class Source:
    """A file as read.

    Attributes:
        root: the top-level mapping, every value and key with its place.
        problems: what is wrong with single keys, which were skipped, and values, which are unreadable.
    """

    root: Node
    problems: tuple[Problem, ...]

    @property
    def value(self) -> object:
        """The content as dicts, tuples and scalars.

        Raises:
            ScenarioError: something in the file is wrong.
        """
        if self.problems:
            raise ScenarioError(self.problems)
        return plain(self.root)

    def position(self, path: KeyPath, *, key: bool = False) -> tuple[int | None, int | None]:
        """Return line and column, 1-based, of the value at `path`, or of its key.

        Where `path` leads nowhere, the position of the last value on the way that exists.
        """
        steps = trail(self.root, path)
        wants_key = key and len(steps) > len(path)
        place = (steps[-1].key if wants_key else None) or steps[-1].node.place
        return place.line, place.column


def read(path: Path, *, shown_as: str | None = None) -> Source:
    """Read a file.

    Args:
        path: the file.
        shown_as: how problems name it; by default as `path`.

    Returns:
        Its content with positions. Sequences are tuples; scalars follow the core schema of YAML 1.2, so that
        `no` and dates are texts; `.inf` and `1e400` are floats, for the models to refuse.

    Raises:
        ScenarioError: not a readable regular file, too large, not UTF-8, or not one plain YAML mapping.
    """
    file = str(path) if shown_as is None else shown_as
    return parse(_decoded(_content(path, file), file), file)


def parse(text: str, file: str) -> Source:
    """Read a text as `read` reads a file; `file` names it in problems."""
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LONGEST_LINE:
            raise _refusal(file, f"a line of more than {LONGEST_LINE} characters", "break it", (number, 1))
    builder = NodeBuilder(file)
    try:
        for event in _events(text, file):
            builder.feed(event)
    except ScenarioError as error:
        raise ScenarioError([*builder.problems, *error.problems]) from None
    root = builder.root
    if root is None or root.content is None:
        raise _refusal(file, "the file is empty", "a mapping of keys belongs here")
    if not isinstance(root.content, dict):
        what = "a list" if isinstance(root.content, tuple) else "a single value"
        message, hint = f"the top level is {what}, not a mapping", "start with a key: 'title: ...'"
        raise ScenarioError([Problem(file, root.place.line, root.place.column, "", message, hint)])
    return Source(root, tuple(builder.problems))


def _content(path: Path, file: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refusal(file, "not a regular file", "a plain file is read, no folder, pipe or device")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(file, "no such file", _near_file(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _refusal(file, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > LARGEST_BYTES:
        raise _refusal(file, f"larger than {LARGEST_BYTES // 10**6} MB", "keep large tables in files of their own")
    return content


def _near_file(path: Path) -> str:
    try:
        return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:  # the folder does not exist either, or may not be listed: there is nothing to suggest
        return ""


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        position = _line_column(content[: error.start].decode("utf-8"))
        message = f"not UTF-8: the byte 0x{content[error.start]:02x} starts no character"
        raise _refusal(file, message, "save the file as UTF-8", position) from None


def _events(text: str, file: str) -> Iterator[Any]:
    line = 0
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.end_mark.line + 1
            yield event
    except MarkedYAMLError as error:
        raise _syntax_error(error, file) from None
    except ReaderError as error:
        position = _line_column(text[: error.position])
        message = f"the control character U+{error.character:04X} is not allowed"
        raise _refusal(file, message, "delete it", position) from None
    except (ValueError, OverflowError):
        # The parser turns "\UFFFFFFFF" into a character without asking whether there is one.
        raise _refusal(file, "an escape that is no character", "look at '\\U' in this line", (line, 1)) from None


def _syntax_error(error: MarkedYAMLError, file: str) -> ScenarioError:
    mark = error.problem_mark or error.context_mark
    position = (mark.line + 1, mark.column + 1) if mark else None
    message = f"not valid YAML: {error.problem or error.context}"
    if error.problem and error.context and error.context_mark:
        message += f" {error.context} that starts in line {error.context_mark.line + 1}"
    hint = next((remedy for start, remedy in _REMEDIES.items() if start in message), "")
    return _refusal(file, message, hint, position)


def _line_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _refusal(file: str, message: str, hint: str = "", position: tuple[int, int] | None = None) -> ScenarioError:
    line, column = position or (None, None)
    return ScenarioError([Problem(file, line, column, "", message, hint)])
