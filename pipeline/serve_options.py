"""What the options of `serve` become."""

from __future__ import annotations

import sys
from functools import partial
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeline.options import Encoder, IngestServer

if TYPE_CHECKING:
    import ssl

    from pipeline.ingest import OpenIngest
    from pipeline.ladders.choice import Choice
    from pipeline.recording import Recorder
    from pipeline.rtmp.keys import StreamKeys
    from pipeline.serve import LivePipeline
    from scenarios.ladder import Ladder

DEFAULT_STREAM = "live"


def served_ladder(file: Path | None) -> Ladder:
    """Return the ladder of the scenario, else the built-in one."""
    from pipeline.serve import BUILT_IN_LADDER

    if file is None:
        return BUILT_IN_LADDER
    from scenarios import load_scenario

    return load_scenario(file).ladder


def backend_choice(encoder: Encoder, streams_per_worker: int) -> Choice:
    """Return the backend, in worker processes unless no streams are to share one."""
    from pipeline.ladders.choice import choose_backend, in_this_process
    from pipeline.workers.backend import in_workers

    make = in_workers(streams_per_worker) if streams_per_worker else in_this_process
    return choose_backend(encoder, make=make)


def stream_keys(file: Path | None) -> tuple[StreamKeys, str | None]:
    """Return the keys of the file, else of the environment, else a fresh one, which comes in clear as well."""
    from pipeline.rtmp.keys import KEYS_VARIABLE, StreamKeys

    if file is not None:
        return StreamKeys.read(file), None
    if KEYS_VARIABLE in environ:
        return StreamKeys.of_variable(environ[KEYS_VARIABLE]), None
    return StreamKeys.generate(DEFAULT_STREAM)


def recorder(folder: Path | None, *, hours: float, gib: float) -> Recorder | None:
    """Return what records to the folder, None without one."""
    if folder is None:
        return None
    from pipeline.recording import Limits, Recorder

    return Recorder(folder, limits=Limits(hours=hours, gib=gib))


def rtmps(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS side of the ingest, None for plain RTMP; one file without the other is a mistake."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise typer.BadParameter("--rtmps-cert and --rtmps-key go together")
    from pipeline.rtmp.tls import rtmps_context

    return rtmps_context(certificate, key)


def open_ingest(ingest: IngestServer, ladder: Ladder, tls: ssl.SSLContext | None) -> OpenIngest:
    """Return what makes the ingest; nginx announces the ladder as variants of its own HLS."""
    if ingest is IngestServer.OWN:
        from pipeline.rtmp.server import RtmpServer

        return partial(RtmpServer, ssl_context=tls)
    if tls is not None:
        raise typer.BadParameter("nginx-rtmp takes no TLS: --rtmps-cert goes with --ingest own")
    from pipeline.nginx import NginxIngest

    return partial(NginxIngest, ladder=ladder)


def announce(pipeline: LivePipeline, fresh_key: str | None) -> None:
    """Say where to publish and to watch; a fresh key is shown this once."""
    from pipeline.nginx import NginxIngest
    from pipeline.serve import page_url, playlist_url, publish_url

    key, stream = (fresh_key, DEFAULT_STREAM) if fresh_key is not None else ("KEY", "NAME")
    ingest, host, port = pipeline.rtmp, pipeline.host, pipeline.origin.port
    say(f"publish  {publish_url(host, ingest.port, ingest.stream_key(stream, key), scheme=ingest.scheme)}")
    say(f"watch    {playlist_url(host, port, stream)}")
    say(f"browser  {page_url(host, port, stream)}")
    if isinstance(ingest, NginxIngest):
        say(f"nginx    {ingest.http_url}/stats")


def say(line: str) -> None:
    """Tell the operator, on standard error."""
    print(line, file=sys.stderr, flush=True)
