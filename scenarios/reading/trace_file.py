"""Read a CSV file of samples; whatever is not a trace is refused, each fault with its line."""

from __future__ import annotations

import csv
import datetime
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scenarios.curves import MOST_SAMPLES
from scenarios.errors import Problem, ScenarioError
from scenarios.reading.phrases import did_you_mean, echo, listed
from scenarios.trace_rows import DAY_S, faults

LARGEST_BYTES = 20_000_000
MOST_PROBLEMS = 20
SUM = "sum"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Trace:
    """Samples of a file.

    Attributes:
        at_s: their times, in seconds from 0:00 of the day of the first.
        levels: what was counted at each.
        lines: where each stands in the file, 1-based.
        column: what was read: a name of the head line, or `sum`.
        first_day: the day of the first sample; None where the file counts seconds.
        midnight_s: what was taken off the file's times, in seconds.
    """

    at_s: tuple[float, ...]
    levels: tuple[float, ...]
    lines: tuple[int, ...]
    column: str
    first_day: datetime.date | None
    midnight_s: float


def read_trace(
    path: Path, column: str | None = None, *, shown_as: str | None = None, sum_several: bool = False
) -> Trace:
    """Read a trace.

    Args:
        path: a CSV file with a head line; the first column holds times, in ISO form or in seconds. Those of
            one file have one UTC offset or none; seconds from 1970 on are of UTC.
        column: which other column to read, or `sum`; may be None where there is only one.
        shown_as: how problems name the file; by default as `path`.
        sum_several: take the sum of several columns when none is named.

    Raises:
        ScenarioError: the file cannot be read or is no trace, with the line of each fault.
    """
    file = str(path) if shown_as is None else shown_as
    return _Reading(file, column, sum_several).trace(_text(path, file))


class _Reading:
    """One file while it is read, with the problems found so far."""

    def __init__(self, file: str, column: str | None, sum_several: bool) -> None:
        self._file, self._column, self._sum_several = file, column, sum_several
        self._problems: list[Problem] = []
        self._offset: datetime.timedelta | None = None
        self._first: tuple[bool, bool] | None = None

    def trace(self, text: str) -> Trace:
        rows = self._rows(text)
        _, head = next(rows, (1, []))
        if len(head) < 2:
            raise self._refusal(1, "no head line with a time and a level", "write a first line such as 'time,viewers'")
        columns = self._columns(head)
        samples = [sample for line, row in rows if (sample := self._sample(line, row, head, columns)) is not None]
        if not samples and not self._problems:
            raise self._refusal(1, "the trace is empty", "at least two samples are needed")
        self._give_up_if_wrong()
        lines, at_s, levels = zip(*samples, strict=True)
        for index, message, hint in faults(at_s, levels):
            self._add(lines[index], message, hint)
        self._give_up_if_wrong()
        midnight_s = math.floor(at_s[0] / DAY_S) * DAY_S
        is_iso = bool(self._first and self._first[0])
        day = (EPOCH + datetime.timedelta(seconds=midnight_s)).date() if is_iso else None
        name = SUM if len(columns) > 1 else head[columns[0]]
        return Trace(tuple(time_s - midnight_s for time_s in at_s), levels, lines, name, day, midnight_s)

    def _rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(text.splitlines(keepends=True), strict=True)
        try:
            for row in reader:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield reader.line_num, cells
        except csv.Error as error:
            raise self._refusal(reader.line_num, f"not valid CSV: {error}") from None

    def _columns(self, head: list[str]) -> list[int]:
        names = head[1:]
        if _number(names[0]) is not None:
            raise self._refusal(1, "the head line holds numbers", "write a first line such as 'time,viewers'")
        if self._column in names:
            return [1 + names.index(self._column)]
        if self._column == SUM or (self._column is None and (len(names) == 1 or self._sum_several)):
            return list(range(1, len(head)))
        if self._column is not None:
            hint = did_you_mean(self._column, names, otherwise=f"its columns are {listed(names, last='and')}")
            raise self._refusal(1, f"no column {echo(self._column)}", hint)
        hint = f"name one of them as 'column', or '{SUM}'"
        raise self._refusal(1, f"{len(names)} columns: {listed(names, last='and')}", hint)

    def _sample(
        self, line: int, row: list[str], head: list[str], columns: list[int]
    ) -> tuple[int, float, float] | None:
        if len(row) != len(head):
            self._add(line, f"{len(row)} cells under a head line of {len(head)}")
            return None
        time_s = self._time_s(line, row[0])
        level = 0.0
        for column in columns:
            number = _number(row[column])
            if number is None:
                self._add(line, f"{head[column]}: {echo(row[column]) if row[column] else 'empty'} is no number")
                return None
            if not math.isfinite(number):
                self._add(line, f"{head[column]}: must be finite")
                return None
            level += number
        return None if time_s is None else (line, time_s, level)

    def _time_s(self, line: int, text: str) -> float | None:
        """Return a time in seconds of 1970 UTC, or of the file's own clock where it names no offset."""
        number = _number(text)
        moment = _moment(text) if number is None else None
        if number is None and moment is None:
            self._add(line, f"{echo(text)} is no time", "write 2026-11-22T18:15, or seconds")
            return None
        if number is not None and not math.isfinite(number):
            self._add(line, "must be finite")
            return None
        kind = (moment is not None, moment is not None and moment.tzinfo is not None)
        self._first = self._first or kind
        if kind != self._first:
            self._add(line, f"{echo(text)} is written otherwise than the times above it", "use one form")
            return None
        if number is not None:
            return number
        assert moment is not None
        offset = moment.utcoffset() or datetime.timedelta()
        self._offset = offset if self._offset is None else self._offset
        if offset != self._offset:
            hint = "daylight saving time? write the times in UTC"
            self._add(line, f"the clock jumps: UTC offset {_signed(offset)} after {_signed(self._offset)}", hint)
            return None
        return (moment.replace(tzinfo=datetime.UTC) - EPOCH).total_seconds()

    def _add(self, line: int, message: str, hint: str = "") -> None:
        self._problems.append(Problem(self._file, line, 1, "", message, hint))

    def _give_up_if_wrong(self) -> None:
        more = len(self._problems) - MOST_PROBLEMS
        if more > 0:
            left_out = Problem(self._file, None, None, "", f"{more} more lines are wrong", "mend these first")
            raise ScenarioError([*self._problems[:MOST_PROBLEMS], left_out])
        if self._problems:
            raise ScenarioError(self._problems)

    def _refusal(self, line: int, message: str, hint: str = "") -> ScenarioError:
        return ScenarioError([Problem(self._file, line, 1, "", message, hint)])


def _text(path: Path, file: str) -> str:
    def refusal(message: str, hint: str = "") -> ScenarioError:
        return ScenarioError([Problem(file, None, None, "", message, hint)])

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refusal("not a regular file", "a plain file is read, no folder, pipe or device")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise refusal(f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_BYTES or content.count(b"\n") > MOST_SAMPLES:
        raise refusal(f"longer than {MOST_SAMPLES} samples", "take the mean of longer steps, such as a minute")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ScenarioError([Problem(file, line, 1, "", "not UTF-8", "save the file as UTF-8")]) from None
    return text.replace("\0", "�")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _signed(offset: datetime.timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
