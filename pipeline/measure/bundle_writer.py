"""Writing a measurement bundle, whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scenarios.bundle import META_FILE, MICROSECONDS_PER_S, TABLES, BundleMeta, TableFile, stored_column
from scenarios.errors import NotReady


def require_free(out: Path) -> None:
    """Check that a bundle can be written to `out`, before anything is measured.

    Raises:
        NotReady: something is there already, or its folder cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise NotReady(f"{out} exists already; choose another --out, measurements are never overwritten")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-"):
            pass
    except OSError as error:
        raise _unwritable(out, error) from error


Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Of some tables; times in seconds."""
Tables = Mapping[str, pa.Table]
"""The same as it is stored, a tenth of the memory."""


def packed(rows: Rows) -> Tables:
    """Return rows as they are stored."""
    return {name: _table(name, of) for name, of in rows.items()}


def write_bundle(out: Path, *, facts: Mapping[str, Any], parts: Sequence[Tables]) -> Path:
    """Write a bundle and return its folder; nothing is left behind where it cannot be.

    Args:
        out: the folder; must not exist, or be empty.
        facts: the fields of `BundleMeta` but `tables`.
        parts: the rows, of a run or of several tables without runs each; a table that none has is empty.

    Raises:
        NotReady: the folder cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as name:
            draft = Path(name) / "bundle"
            draft.mkdir()
            tables = {
                name: _write_table(draft, name, [part[name] for part in parts if name in part]) for name in TABLES
            }
            meta = BundleMeta(**facts, tables=tables)
            (draft / META_FILE).write_text(meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
            draft.rename(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    return out


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    stored = {column: stored_column(column, kind) for column, kind in TABLES[name].items()}
    schema = pa.schema([(on_disk, pa.type_for_alias(alias)) for on_disk, alias in stored.values()])
    columns = {stored[column][0]: [_stored(row[column], kind) for row in rows] for column, kind in TABLES[name].items()}
    return pa.table(columns, schema=schema)


def _write_table(folder: Path, name: str, parts: Sequence[pa.Table]) -> TableFile:
    table = pa.concat_tables([_table(name, []), *parts]).combine_chunks()
    path = folder / f"{name}.parquet"
    whole = [field.name for field in table.schema if field.type == pa.int64()]
    pq.write_table(
        table,
        path,
        compression="zstd",
        write_page_checksum=True,
        # Rows are in the order of their moments, so that differences are small.
        use_dictionary=[column for column in table.column_names if column not in whole],
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return TableFile(file=path.name, sha256=digest, rows=table.num_rows)


def _stored(value: Any, kind: str) -> Any:
    return round(value * MICROSECONDS_PER_S) if kind == "time" and value is not None else value


def _unwritable(out: Path, error: OSError) -> NotReady:
    return NotReady(f"{out} cannot be written ({error.strerror}); choose another --out or free space")
