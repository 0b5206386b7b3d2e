"""A bundle is written whole or not at all."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.measure.bundle_writer import require_free, write_bundle
from pipeline.measure.host import machine_facts
from pipeline.serve import BUILT_IN_LADDER
from scenarios.bundle import TABLES, Content, read_meta
from scenarios.errors import CalibrationError, NotReady
from scenarios.ladder import Source
from scenarios.machine import EncoderFacts

SAMPLE = {"int64": 3, "float64": 0.5, "string": "text", "bool": True}
ROWS = {name: [{column: SAMPLE[alias] for column, alias in columns.items()}] for name, columns in TABLES.items()}
FACTS = {
    "headroom_bundle": 1,
    "identity": "test-1",
    "date": datetime.date(2026, 1, 31),
    "headroom_version": "0.1.0",
    "depth": "quick",
    "machine": machine_facts(),
    "encoder": EncoderFacts(backend="x264", preset="ultrafast", options={}, libraries={}),
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
    folder = write_bundle(tmp_path / "bundle", facts=FACTS, rows=rows)
    meta = read_meta(folder)
    assert meta.identity == "test-1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle"]
    for name, columns in TABLES.items():
        table = pq.read_table(folder / meta.tables[name].file, page_checksum_verification=True)
        assert table.schema.names == list(columns)
        assert table.schema.types == [pa.type_for_alias(alias) for alias in columns.values()]
        assert table.num_rows == meta.tables[name].rows == 1
    runs = pq.read_table(folder / "runs.parquet")
    assert runs["void_reason"].to_pylist() == [None]
    assert runs["backlog_slope"].to_pylist() == [None]


def test_a_flipped_bit_is_found(tmp_path):
    folder = write_bundle(tmp_path / "bundle", facts=FACTS, rows=ROWS)
    data = bytearray((folder / "frames.parquet").read_bytes())
    data[40] ^= 4
    (folder / "frames.parquet").write_bytes(bytes(data))
    with pytest.raises(CalibrationError, match="damaged"):
        read_meta(folder)


def test_nothing_is_left_where_writing_fails(tmp_path):
    broken = dict(ROWS, segments=[{"run": 1}])
    with pytest.raises(KeyError):
        write_bundle(tmp_path / "bundle", facts=FACTS, rows=broken)
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
