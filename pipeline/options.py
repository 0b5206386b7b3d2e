"""The options of the verbs as the command line takes them: each with its help, once."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer


class Encoder(StrEnum):
    """What `--encoder` takes."""

    AUTO = "auto"
    X264 = "x264"
    NVENC = "nvenc"
    NVENC_HYBRID = "nvenc-hybrid"
    FFMPEG = "ffmpeg"


class Segments(StrEnum):
    """What `--segments` takes: the names of `pipeline.hls.containers.CONTAINERS`."""

    MPEGTS = "mpegts"
    FMP4 = "fmp4"


class IngestServer(StrEnum):
    """What `--ingest` takes."""

    OWN = "own"
    NGINX = "nginx"


class Content(StrEnum):
    """What `--content` takes: the names of `pipeline.load.content.CONTENTS`."""

    CAMERA = "camera"
    SCREEN = "screen"
    GAME = "game"


class Depth(StrEnum):
    """How deep `measure` goes: the depths of `pipeline.measure.plan`, and its options."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"
    HOLDOUT = "holdout"


class Sessions(StrEnum):
    """What `--sessions` takes: the names of `pipeline.load.sessions.SESSION_LAWS`."""

    STAY = "stay"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


Json: TypeAlias = Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")]
WhichEncoder: TypeAlias = Annotated[Encoder, typer.Option(help="which backend encodes")]
WhichContent: TypeAlias = Annotated[Content, typer.Option(help="what the publishers' pictures are like")]
Quick: TypeAlias = Annotated[bool, typer.Option("--quick", help="at most 150 s: one ladder, one clip")]
Full: TypeAlias = Annotated[bool, typer.Option("--full", help="at most 60 min: ladders, presets, clips, starts")]
Holdout: TypeAlias = Annotated[
    bool, typer.Option("--holdout", help="at most 60 min: what the protocol keeps from every fit; resumable")
]
Preset: TypeAlias = Annotated[
    str | None, typer.Option(metavar="NAME", help="of the encoder, by its own name; else the fastest")
]
Host: TypeAlias = Annotated[str, typer.Option(help="address of both ports")]
Port: TypeAlias = Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose")]
KeysFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="lines `NAME SHA256HEX`; else HEADROOM_STREAM_KEYS; else one is made"),
]
OnPublish: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="asked before a publisher is admitted; 2xx is yes")
]
OnPublishDone: TypeAlias = Annotated[
    str | None, typer.Option(metavar="URL", help="told when an admitted publisher is gone")
]
RtmpsCertificate: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="PEM", help="certificate chain: makes the ingest RTMPS, with --rtmps-key")
]
RtmpsKey: TypeAlias = Annotated[Path | None, typer.Option(metavar="PEM", help="private key of --rtmps-cert")]
WhichIngest: TypeAlias = Annotated[IngestServer, typer.Option(help="our own RTMP server, or nginx-rtmp")]
StreamsPerWorker: TypeAlias = Annotated[
    int, typer.Option(min=0, max=64, help="streams that share an encoder process; 0 encodes in the server's own")
]
WhichSegments: TypeAlias = Annotated[Segments, typer.Option(help="container of the HLS segments")]
RecordFolder: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="keep every stream on disk, playable as HLS")
]
RecordHours: TypeAlias = Annotated[
    float, typer.Option(min=0.01, max=1e6, help="how long a recording is kept after its end")
]
RecordGib: TypeAlias = Annotated[
    float, typer.Option(min=0.001, max=1e6, help="what all recordings take; the oldest go first")
]
Check: TypeAlias = Annotated[
    bool, typer.Option("--check", help="read the streams back and report what RFC 8216 forbids")
]
WhichSessions: TypeAlias = Annotated[Sessions, typer.Option(help="law of how long a viewer stays")]


def depth(*, quick: bool, full: bool, holdout: bool) -> Depth:
    """Return the one depth that was asked for; a usage error if it is several."""
    asked = [name for name, given in ((Depth.QUICK, quick), (Depth.FULL, full), (Depth.HOLDOUT, holdout)) if given]
    if len(asked) > 1:
        raise typer.BadParameter(f"--{asked[0]} and --{asked[1]} are two depths; give one")
    return asked[0] if asked else Depth.DEFAULT


def refuse_beside_holdout(given: Mapping[str, object]) -> None:
    """Raise a usage error if anything is given: the protocol names all of it."""
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"{name} cannot be chosen with --holdout; the protocol names what is measured")
