"""The measurement bundle: the folder that `measure` writes and `fit` and `replay` read.

    bundle/
      meta.json               machine, encoders, content, runs, checksums (`BundleMeta`)
      runs.parquet            one row per run, void ones too: every repeat ever taken stays
      streams.parquet         one row per stream of a run
      frames.parquet          one row per source frame: arrival and decoding
      rungs.parquet           one row per frame and rung: scaling, encoding, muxing; of a copied rung muxing alone
      segments.parquet        one row per published segment
      origin.parquet          one row per series of requests to the origin
      authorisations.parquet  one row per accepted publisher
      restarts.parquet        one row per encoder process that was killed and replaced

Moments are since the start of their run, on one monotonic clock for generator and server; one that was not observed
is null, never 0. `*_cpu_s` is thread CPU time. Times of single frames and segments (type `time`) are kept on disk as
whole microseconds, in a column `…_us`; whoever reads them gets seconds, in a column `…_s`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from scenarios.base import Count, IsoDate, Name, SpecModel, Text
from scenarios.errors import CalibrationError
from scenarios.ladder import Ladder, Source
from scenarios.machine import EncoderFacts, MachineFacts

BUNDLE_VERSION = 3
META_FILE = "meta.json"
MICROSECONDS_PER_S = 1_000_000

TABLES: dict[str, dict[str, str]] = {
    "runs": {
        "run": "int64",
        "ladder": "string",
        "clip": "string",
        "preset": "string",
        "concurrent_streams": "int64",
        "repeat": "int64",  # how often this ladder, clip, preset, start and load were run before
        "start": "string",  # "staggered" or "aligned"
        "reference_cpu_s": "float64",  # thread CPU of a fixed job, alone on the machine just before the run
        "wall_s": "float64",  # the measured window: warm-up excluded
        "media_s": "float64",  # stream-seconds of media that arrived in the window, all streams together
        "server_cpu_s": "float64",  # CPU of the whole server process in the window
        "ingest_cpu_s": "float64",  # thread CPU of the event loop that receives RTMP, in the window
        "demux_cpu_s": "float64",  # its part that turns messages into timed packets
        "audio_cpu_s": "float64",  # thread CPU of audio, which is passed on
        "generator_cpu_s": "float64",
        "generator_late_fraction": "float64",  # share of frames sent later than 5 % of a second
        "generator_late_p99_s": "float64",
        "steal_fraction": "float64",  # CPU taken by the hypervisor ÷ CPU of the machine in the window
        "contention_fraction": "float64",  # CPU used by neither server nor generator ÷ CPU of the machine
        "rss_bytes": "float64",  # peak resident memory of the server process
        "idle_rss_bytes": "float64",  # its resident memory before the first stream
        "backlog_slope": "float64",  # seconds of lag per second
        "backlog_slope_low": "float64",  # 95 % interval
        "backlog_slope_high": "float64",
        "dropped_frames": "int64",
        "verdict": "string",  # "holds", "overloaded" or "void"
        "void_reason": "string",  # null unless void
    },
    "streams": {
        "run": "int64",
        "stream": "int64",
        "publish_accepted_s": "time",
        "first_segment_s": "time",  # every rung has published its first segment
        "dropped_frames": "int64",
    },
    "frames": {
        "run": "int64",
        "stream": "int64",
        "frame": "int64",  # index in the stream, from 0, in arrival order
        "pts_s": "time",
        "is_keyframe": "bool",
        "bytes": "int64",
        "scheduled_s": "time",  # when the generator meant to send it
        "sent_s": "time",
        "arrival_s": "time",  # its RTMP message was complete
        "decoded_s": "time",
        "decode_cpu_s": "time",
    },
    "rungs": {
        "run": "int64",
        "stream": "int64",
        "rung": "string",
        "frame": "int64",
        "starts_segment": "bool",  # the frame is the keyframe that opens a segment
        "scale_cpu_s": "time",
        "encode_cpu_s": "time",
        "mux_cpu_s": "time",
        "encoded_s": "time",
        "muxed_s": "time",
    },
    "segments": {
        "run": "int64",
        "stream": "int64",
        "rung": "string",
        "segment": "int64",  # index in the stream, from 0
        "first_arrival_s": "time",  # arrival of its first frame
        "closing_arrival_s": "time",  # arrival of the frame that closes it: the next segment's first
        "closed_s": "time",  # the moment it can be fetched
        "duration_s": "time",
        "bytes": "int64",
        "warm_up": "bool",
    },
    "origin": {
        "tls": "bool",
        "object": "string",  # "playlist" or "segment"
        "object_bytes": "int64",
        "repeat": "int64",
        "requests": "int64",
        "sent_bytes": "int64",  # of the objects, headers and TLS records not counted
        "server_cpu_s": "float64",
        "wall_s": "float64",
    },
    "authorisations": {
        "call": "int64",
        "with_callback": "bool",  # an on_publish endpoint was asked; otherwise the key alone decided
        "callback_s": "float64",  # how long it took to answer
        "accepted_s": "float64",  # from the connection to the accepted publisher
    },
    "restarts": {
        "restart": "int64",
        "cause": "string",
        "outage_s": "float64",  # from the noticed death to the first frame that came out again
        "gap_s": "float64",  # between the frames shown before and after
        "gap_segments": "float64",
    },
}
"""Columns of each table and their types, in order: Arrow's, and `time`."""
PER_RUN = ("runs", "streams", "frames", "rungs", "segments")
"""Tables whose rows belong to a run."""


def stored_column(name: str, kind: str) -> tuple[str, str]:
    """Return name and Arrow type of a column on disk."""
    return (f"{name.removesuffix('_s')}_us", "int64") if kind == "time" else (name, kind)


class TableFile(SpecModel):
    """One parquet file of the bundle."""

    file: Name
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    rows: Count


class Content(SpecModel):
    """A clip the generator replayed."""

    name: Name
    source: Source
    frames: Count
    """Frames of one loop."""
    gop_s: float
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def shows(self) -> str:
        """What the clip shows, as its name begins: `camera` of `camera-1280x720p30-3500k-1`."""
        return self.name.partition("-")[0]


class BundleMeta(SpecModel):
    """`meta.json`: everything that is not a raw sample."""

    headroom_bundle: Literal[3]
    """Version of the folder's schema."""
    identity: Name
    """Unique name of the measurement."""
    date: IsoDate
    headroom_version: Text
    depth: Literal["quick", "default", "full", "holdout"]
    machine: MachineFacts
    encoders: dict[str, EncoderFacts]
    """By preset; all of one backend."""
    ladders: dict[str, Ladder]
    content: tuple[Content, ...]
    warm_up_segments: Count
    contended: bool
    """Some run saw more than 10 % of the machine's CPU go elsewhere."""
    protocol_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Of the file that names what is held out, as it was when this was measured; None in a quick bundle."""
    tables: dict[str, TableFile]


def read_meta(folder: Path) -> BundleMeta:
    """Return the bundle's description after checking its version, its tables and their checksums.

    Raises:
        CalibrationError: not a bundle, of another schema version, incomplete, or damaged.
    """
    path = folder / META_FILE
    if not path.is_file():
        raise CalibrationError(
            f"{folder}: not a measurement bundle: it has no {META_FILE}; `headroom measure` makes one"
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CalibrationError(f"{path}: not JSON ({error}); measure again") from error
    version = raw.get("headroom_bundle") if isinstance(raw, dict) else None
    if version != BUNDLE_VERSION:
        raise CalibrationError(
            f"{path}: bundle schema {version!r}, this headroom reads {BUNDLE_VERSION}; "
            "measure again, or use the headroom that wrote it"
        )
    try:
        meta = BundleMeta.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CalibrationError(f"{path}: {where}: {first['msg']}; measure again") from error
    _check_tables(folder, meta)
    return meta


def _check_tables(folder: Path, meta: BundleMeta) -> None:
    if meta.tables.keys() != TABLES.keys():
        raise CalibrationError(f"{folder}: its tables must be {', '.join(TABLES)}; measure again")
    for table in meta.tables.values():
        path = folder / table.file
        if not path.is_file():
            raise CalibrationError(f"{path}: missing; the bundle is incomplete, copy the whole folder or measure again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != table.sha256:
            raise CalibrationError(f"{path}: damaged: its checksum is not the one in {META_FILE}; copy it again")
