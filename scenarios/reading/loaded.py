"""What loading a file gives: the model, and where each of its values came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from scenarios.base import SpecModel
from scenarios.errors import Problem
from scenarios.reading.explain import problem_at
from scenarios.reading.node import KeyPath, Node

M = TypeVar("M", bound=SpecModel)


@dataclass(frozen=True)
class Loaded(Generic[M]):
    """A validated file, and where each of its values came from.

    Attributes:
        value: the model.
        root: the document it was made of, with places.
        files: every file read: the one asked for, then what it extends.
    """

    value: M
    root: Node
    files: tuple[Path, ...]

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """Return a problem of the value at `path`, with its place in the text.

        For checks that reach across files, such as dangling names, once the model itself is valid.
        """
        return problem_at(self.root, path, message, hint)
