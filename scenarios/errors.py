"""The four kinds of error a user can meet; everything else is a bug and keeps its traceback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class HeadroomError(Exception):
    """An error whose text is meant for the reader: what, where, why and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file, with its place and its remedy.

    Attributes:
        file: path as the user gave it.
        line: 1-based line, or None when the problem has no place in the text.
        column: 1-based column, or None.
        field: dotted path of the value, such as `platform.cdn.clusters`; empty for the whole file.
        message: what is wrong.
        hint: what to do about it; may be empty.
    """

    file: str
    line: int | None
    column: int | None
    field: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        named = f"{self.field}: " if self.field else ""
        remedy = f"; {self.hint}" if self.hint else ""
        return f"{place}: {named}{self.message}{remedy}"


class ScenarioError(HeadroomError):
    """A file of the user's is wrong; carries every problem found in it, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CalibrationError(HeadroomError):
    """The measurements, or a profile, cannot support what was asked of them."""


class NotReady(HeadroomError):  # noqa: N818 - the state of a machine, read as "NotReady: port 1935 is in use"
    """This machine lacks something for the moment: a port, a dependency, disk space, a lock."""

    exit_code = 1


class EncoderUnavailable(NotReady):
    """The asked encoder cannot run on this machine; the text says exactly why."""
