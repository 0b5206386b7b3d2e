"""A bundle is written whole or not at all."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.measure.bundle_writer import packed, require_free, write_bundle
from pipeline.measure.host import machine_facts
from pipeline.serve import BUILT_IN_LADDER
from scenarios.bundle import PER_RUN, TABLES, Content, read_meta, stored_column
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Source
from scenarios.machine import EncoderFacts

SAMPLE = {"int64": 3, "float64": 0.5, "string": "text", "bool": True, "time": 1.2345678}
ROWS = {name: [{column: SAMPLE[alias] for column, alias in columns.items()}] for name, columns in TABLES.items()}
FACTS = {
    "headroom_bundle": 3,
    "identity": "test-1",
    "date": datetime.date(2026, 1, 31),
    "headroom_version": "0.1.0",
    "depth": "quick",
    "machine": machine_facts(),
    "encoders": {"ultrafast": EncoderFacts(backend="x264", preset="ultrafast", options={}, libraries={})},
    "ladders": {"ladder": BUILT_IN_LADDER},
    "content": (
        Content(
            name="clip",
            source=Source(width=1280, height=720, fps=30.0, bitrate_bps=3.5e6),
            frames=300,
            gop_s=2.0,
            sha256="0" * 64,
        ),
    ),
    "warm_up_segments": 2,
    "contended": False,
}


def test_a_bundle_is_read_back_with_its_types_checksums_and_nulls(tmp_path):
    rows = dict(ROWS, runs=[dict(ROWS["runs"][0], void_reason=None, backlog_slope=None)])
    folder = write_bundle(tmp_path / "bundle", facts=FACTS, parts=[packed(rows)])
    meta = read_meta(folder)
    assert meta.identity == "test-1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]
    for name, columns in TABLES.items():
        table = pq.read_table(folder / meta.tables[name].file, page_checksum_verification=True)
        stored = [stored_column(column, kind) for column, kind in columns.items()]
        assert list(zip(table.schema.names, table.schema.types, strict=True)) == [
            (column, pa.type_for_alias(alias)) for column, alias in stored
        ]
        assert table.num_rows == meta.tables[name].rows == 1
    runs = pq.read_table(folder / "runs.parquet")
    assert runs["void_reason"].to_pylist() == [None]
    assert runs["backlog_slope"].to_pylist() == [None]
    assert pq.read_table(folder / "frames.parquet")["arrival_us"].to_pylist() == [1234568]


def test_the_rows_of_several_runs_stand_one_after_the_other_and_what_none_has_is_empty(tmp_path):
    of_runs = {name: ROWS[name] for name in PER_RUN}
    second = dict(of_runs, runs=[dict(ROWS["runs"][0], run=4)])
    folder = write_bundle(tmp_path / "bundle", facts=FACTS, parts=[packed(of_runs), packed(second)])
    assert pq.read_table(folder / "runs.parquet")["run"].to_pylist() == [3, 4]
    assert read_meta(folder).tables["frames"].rows == 2
    assert read_meta(folder).tables["origin"].rows == 0


def test_a_flipped_bit_is_found(tmp_path):
    folder = write_bundle(tmp_path / "bundle", facts=FACTS, parts=[packed(ROWS)])
    data = bytearray((folder / "frames.parquet").read_bytes())
    data[40] ^= 4
    (folder / "frames.parquet").write_bytes(bytes(data))
    with pytest.raises(CalibrationError, match="damaged"):
        read_meta(folder)


def test_nothing_is_left_where_writing_fails(tmp_path):
    broken = dict(ROWS, segments=[{"run": 1}])
    with pytest.raises(KeyError):
        packed(broken)
    with pytest.raises(ValueError, match="identity"):
        write_bundle(tmp_path / "bundle", facts=FACTS | {"identity": "no/name"}, parts=[packed(ROWS)])
    assert list(tmp_path.iterdir()) == []


def test_an_older_measurement_is_never_overwritten(tmp_path):
    (tmp_path / "bundle").mkdir()
    require_free(tmp_path / "bundle")  # an empty folder is free
    (tmp_path / "bundle" / "meta.json").write_text("{}")
    with pytest.raises(NotReady, match="exists already; choose another --out"):
        require_free(tmp_path / "bundle")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="exists already"):
        require_free(tmp_path / "file")


def test_a_folder_that_cannot_be_made_is_told_before_measuring(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReady, match="cannot be written"):
        require_free(tmp_path / "file" / "bundle")
