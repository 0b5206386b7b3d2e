"""Reading measurement bundles into pandas frames, checked before anything is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.bundle import (
    MICROSECONDS_PER_S,
    PER_RUN,
    TABLES,
    BundleMeta,
    Content,
    TableFile,
    read_meta,
    stored_column,
)
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.machine import EncoderFacts

VERDICTS = {"holds", "overloaded", "void"}
MAY_BE_NULL = {"string": {"void_reason"}, "int64": set[str](), "bool": set[str]()}
"""Columns that may hold null, by type; every float64 and every time may: what was not observed is null."""


@dataclass(frozen=True)
class Bundle:
    """One measurement in memory.

    Attributes:
        folder: where it was read from.
        meta: its description.
        runs, streams, frames, rungs, segments, origin, authorisations, restarts: its tables, columns as in
            `scenarios.bundle.TABLES`, all times in seconds.
    """

    folder: Path
    meta: BundleMeta
    runs: pd.DataFrame
    streams: pd.DataFrame
    frames: pd.DataFrame
    rungs: pd.DataFrame
    segments: pd.DataFrame
    origin: pd.DataFrame
    authorisations: pd.DataFrame
    restarts: pd.DataFrame

    def ladder_of(self, run: int) -> Ladder:
        """Return the ladder of a run."""
        return self.meta.ladders[str(self._fact(run, "ladder"))]

    def content_of(self, run: int) -> Content:
        """Return what the publishers of a run sent."""
        contents = {content.name: content for content in self.meta.content}
        return contents[str(self._fact(run, "clip"))]

    def encoder_of(self, run: int) -> EncoderFacts:
        """Return the encoder of a run."""
        return self.meta.encoders[str(self._fact(run, "preset"))]

    def _fact(self, run: int, column: str) -> object:
        found: object = self.runs.loc[self.runs["run"] == run, column].iloc[0]
        return found

    @property
    def ladder(self) -> Ladder:
        """The one ladder of the bundle's runs.

        Raises:
            CalibrationError: the runs used several.
        """
        return self.meta.ladders[_only_one(self, "ladder", known=set(self.meta.ladders))]

    @property
    def source(self) -> Source:
        """What the publishers of the bundle's runs sent.

        Raises:
            CalibrationError: the runs used several clips.
        """
        sources = {content.name: content.source for content in self.meta.content}
        return sources[_only_one(self, "clip", known=set(sources))]


def read_bundle(folder: Path) -> Bundle:
    """Return a bundle after checking its checksums, columns, types and keys.

    Raises:
        CalibrationError: not a bundle, of another version, incomplete, damaged, or without a single run.
    """
    meta = read_meta(folder)
    tables = {name: _read_table(folder, name, meta.tables[name]) for name in TABLES}
    bundle = Bundle(folder=folder, meta=meta, **tables)
    if bundle.runs.empty:
        raise CalibrationError(f"{folder}: the bundle holds no run; measure again (`headroom measure`)")
    _check_runs(bundle)
    return bundle


def valid_runs(bundle: Bundle) -> pd.DataFrame:
    """Return the runs that are not void.

    Raises:
        CalibrationError: every run is void.
    """
    valid = bundle.runs[bundle.runs["verdict"] != "void"]
    if valid.empty:
        reasons = sorted(set(bundle.runs["void_reason"].dropna()))
        raise CalibrationError(
            f"{bundle.folder}: every run is void ({'; '.join(reasons) or 'no reason given'}); "
            "remove the cause and measure again"
        )
    return valid


def _read_table(folder: Path, name: str, described: TableFile) -> pd.DataFrame:
    path = folder / described.file
    try:
        table = pq.read_table(path, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise CalibrationError(f"{path}: cannot be read ({error}); copy the bundle again or measure again") from error
    stored = {column: stored_column(column, kind) for column, kind in TABLES[name].items()}
    wanted = {on_disk: pa.type_for_alias(alias) for on_disk, alias in stored.values()}
    found = dict(zip(table.schema.names, table.schema.types, strict=True))
    if found != wanted:
        wrong = sorted(column for column in found.keys() | wanted.keys() if found.get(column) != wanted.get(column))
        raise CalibrationError(
            f"{path}: missing, unknown or wrongly typed columns: {', '.join(wrong)}; "
            "the file is not from this version of headroom, measure again"
        )
    if table.num_rows != described.rows:
        raise CalibrationError(
            f"{path}: {table.num_rows} rows, its description says {described.rows}; copy the bundle again"
        )
    for column, alias in TABLES[name].items():
        if alias in MAY_BE_NULL and column not in MAY_BE_NULL[alias] and table[column].null_count:
            raise CalibrationError(f"{path}: {column} has {table[column].null_count} empty cells; measure again")
    frame: pd.DataFrame = table.to_pandas()
    for column, kind in TABLES[name].items():
        if kind == "time":
            frame[stored[column][0]] = frame[stored[column][0]].astype("float64") / MICROSECONDS_PER_S
    return frame.rename(columns={on_disk: column for column, (on_disk, _) in stored.items()})


def _check_runs(bundle: Bundle) -> None:
    verdicts = set(bundle.runs["verdict"])
    if not verdicts <= VERDICTS:
        unknown = ", ".join(sorted(verdicts - VERDICTS))
        raise CalibrationError(f"{bundle.folder}: runs have unknown verdicts ({unknown}); measure again")
    if bundle.runs["run"].duplicated().any():
        raise CalibrationError(f"{bundle.folder}: two runs have the same number; measure again")
    for column, known_names in (
        ("ladder", set(bundle.meta.ladders)),
        ("clip", {content.name for content in bundle.meta.content}),
        ("preset", set(bundle.meta.encoders)),
    ):
        unknown_names = sorted(set(bundle.runs[column]) - known_names)
        if unknown_names:
            raise CalibrationError(
                f"{bundle.folder}: {column} {unknown_names[0]!r} is not described in meta.json; measure again"
            )
    known = set(bundle.runs["run"])
    for name in PER_RUN[1:]:
        strays = sorted(set(getattr(bundle, name)["run"]) - known)
        if strays:
            raise CalibrationError(f"{bundle.folder}: {name} has rows of run {strays[0]}, which is not in runs")


def _only_one(bundle: Bundle, column: str, *, known: set[str]) -> str:
    names: Sequence[str] = sorted(set(bundle.runs[column]))
    if len(names) > 1:
        raise CalibrationError(
            f"{bundle.folder}: its runs use several values of {column} ({', '.join(names)}); "
            f"one {column} is fitted at a time, measure each into its own bundle"
        )
    if names[0] not in known:
        raise CalibrationError(f"{bundle.folder}: {column} {names[0]!r} is not described in meta.json; measure again")
    return names[0]
