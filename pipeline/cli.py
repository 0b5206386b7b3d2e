"""The verbs of the pipeline: each parses, calls one function, prints. Heavy imports wait for a verb."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import ssl

    from pipeline.ingest import OpenIngest
    from pipeline.ladders.choice import Choice
    from pipeline.rtmp.keys import StreamKeys
    from pipeline.serve import LivePipeline
    from scenarios.ladder import Ladder

app = typer.Typer()

DEFAULT_STREAM = "live"


class Encoder(StrEnum):
    """What `--encoder` takes."""

    AUTO = "auto"
    X264 = "x264"
    NVENC = "nvenc"
    NVENC_HYBRID = "nvenc-hybrid"
    FFMPEG = "ffmpeg"


class Segments(StrEnum):
    """What `--segments` takes."""

    MPEGTS = "mpegts"
    FMP4 = "fmp4"


RecordFolder = Annotated[Path | None, typer.Option(metavar="DIR", help="keep every stream on disk, playable as HLS")]
RecordHours = Annotated[float, typer.Option(min=0.01, max=1e6, help="how long a recording is kept after its end")]
RecordGib = Annotated[float, typer.Option(min=0.001, max=1e6, help="what all recordings take; the oldest go first")]


class IngestServer(StrEnum):
    """What `--ingest` takes."""

    OWN = "own"
    NGINX = "nginx"


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")] = False,
) -> None:
    """Say what this machine can run, and why not the rest."""
    from pipeline.doctor import document, examine, table

    checks = examine()
    if json:
        from json import dumps

        print(dumps(document(checks), indent=2))
    else:
        print(table(checks))


@app.command()
def serve(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="a scenario whose ladder is encoded")] = None,
    host: Annotated[str, typer.Option(help="address of both ports")] = "127.0.0.1",
    rtmp_port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose")] = 1935,
    http_port: Annotated[int, typer.Option(min=0, max=65535, help="0 lets the system choose")] = 8080,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="lines `NAME SHA256HEX`; else HEADROOM_STREAM_KEYS; else one is made"),
    ] = None,
    on_publish: Annotated[
        str | None, typer.Option(metavar="URL", help="asked before a publisher is admitted; 2xx is yes")
    ] = None,
    on_publish_done: Annotated[
        str | None, typer.Option(metavar="URL", help="told when an admitted publisher is gone")
    ] = None,
    rtmps_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="certificate chain: makes the ingest RTMPS, with --rtmps-key")
    ] = None,
    rtmps_key: Annotated[Path | None, typer.Option(metavar="PEM", help="private key of --rtmps-cert")] = None,
    encoder: Annotated[Encoder, typer.Option(help="which backend encodes")] = Encoder.AUTO,
    streams_per_worker: Annotated[
        int, typer.Option(min=0, max=64, help="streams that share an encoder process; 0 encodes in the server's own")
    ] = 4,
    segments: Annotated[Segments, typer.Option(help="container of the HLS segments")] = Segments.MPEGTS,
    record: RecordFolder = None,
    record_hours: RecordHours = 24.0,
    record_gib: RecordGib = 20.0,
    ingest: Annotated[IngestServer, typer.Option(help="our own RTMP server, or nginx-rtmp")] = IngestServer.OWN,
    check: Annotated[
        bool, typer.Option("--check", help="read the streams back and report what RFC 8216 forbids")
    ] = False,
) -> None:
    """Run the reference pipeline live: publish RTMP, watch HLS."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    import asyncio

    from pipeline.hls.checker import Checker
    from pipeline.recording import Limits, Recorder
    from pipeline.rtmp.callbacks import HttpCallbacks
    from pipeline.serve import serve as serve_live

    stream_keys, fresh_key = _keys(keys)
    callbacks = HttpCallbacks(on_publish=on_publish, on_publish_done=on_publish_done)
    backend, why = _choice(encoder, streams_per_worker)
    _say(why)
    recorder = Recorder(record, limits=Limits(hours=record_hours, gib=record_gib)) if record is not None else None
    checker = Checker(lambda violation: _say(f"check    {violation}")) if check else None
    asyncio.run(
        serve_live(
            ladder=_ladder(file),
            keys=stream_keys,
            backend=backend,
            callbacks=callbacks,
            host=host,
            rtmp_port=rtmp_port,
            http_port=http_port,
            segments=segments,
            checker=checker,
            recorder=recorder,
            ingest=_open_ingest(ingest, ladder, _rtmps(rtmps_cert, rtmps_key)),
            ready=lambda pipeline: _announce(pipeline, host, fresh_key),
        )
    )
    if checker is not None:
        _say(f"checked  {checker.segments} segments, {checker.violations} violations")


@app.command()
def measure(
    out: Annotated[Path, typer.Option(metavar="DIR", help="the measurement bundle to write")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="a scenario whose source and ladder are measured")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="at most 150 s; the only depth so far")] = True,
    encoder: Annotated[Encoder, typer.Option(help="which backend encodes")] = Encoder.AUTO,
) -> None:
    """Put the pipeline under load on this machine; write a measurement bundle."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    from pipeline.load.clip import DEFAULT_SOURCE
    from pipeline.measure.progress import budget_bar
    from pipeline.measure.quick import QUICK_BUDGET_S, measure_quick
    from pipeline.serve import BUILT_IN_LADDER

    del quick  # names the depth, of which there is one
    source, ladder = DEFAULT_SOURCE, BUILT_IN_LADDER
    if file is not None:
        from scenarios import load_scenario

        scenario = load_scenario(file)
        source, ladder = scenario.workload.source, scenario.ladder
    with budget_bar(QUICK_BUDGET_S) as (say, progress):
        measure_quick(out, ladder=ladder, source=source, encoder=encoder, say=say, progress=progress)
    print(out)


def _choice(encoder: Encoder, streams_per_worker: int) -> Choice:
    """Return the backend, in worker processes unless no streams are to share one."""
    from pipeline.ladders.choice import choose_backend, in_this_process
    from pipeline.workers.backend import in_workers

    make = in_workers(streams_per_worker) if streams_per_worker else in_this_process
    return choose_backend(encoder, make=make)


def _ladder(file: Path | None) -> Ladder:
    """Return the ladder of the scenario, else the built-in one."""
    from pipeline.serve import BUILT_IN_LADDER

    if file is None:
        return BUILT_IN_LADDER
    from scenarios import load_scenario

    return load_scenario(file).ladder


def _keys(file: Path | None) -> tuple[StreamKeys, str | None]:
    """Return the keys of the file, else of the environment, else a fresh one, which comes in clear as well."""
    from os import environ

    from pipeline.rtmp.keys import KEYS_VARIABLE, StreamKeys

    if file is not None:
        return StreamKeys.read(file), None
    if KEYS_VARIABLE in environ:
        return StreamKeys.of_variable(environ[KEYS_VARIABLE]), None
    return StreamKeys.generate(DEFAULT_STREAM)


def _rtmps(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS side of the ingest, None for plain RTMP; one file without the other is a mistake."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise typer.BadParameter("--rtmps-cert and --rtmps-key go together")
    from pipeline.rtmp.tls import rtmps_context

    return rtmps_context(certificate, key)


def _open_ingest(ingest: IngestServer, ladder: Ladder, tls: ssl.SSLContext | None) -> OpenIngest:
    """Return what makes the ingest; nginx announces the ladder as variants of its own HLS."""
    from functools import partial

    if ingest is IngestServer.OWN:
        from pipeline.rtmp.server import RtmpServer

        return partial(RtmpServer, ssl_context=tls)
    if tls is not None:
        raise typer.BadParameter("nginx-rtmp takes no TLS: --rtmps-cert goes with --ingest own")
    from pipeline.nginx import NginxIngest

    return partial(NginxIngest, ladder=ladder)


def _announce(pipeline: LivePipeline, host: str, fresh_key: str | None) -> None:
    """Say where to publish and to watch; a fresh key is shown this once."""
    from pipeline.nginx import NginxIngest
    from pipeline.serve import page_url, playlist_url, publish_url

    key, stream = (fresh_key, DEFAULT_STREAM) if fresh_key is not None else ("KEY", "NAME")
    ingest, port = pipeline.rtmp, pipeline.origin.port
    _say(f"publish  {publish_url(host, ingest.port, ingest.stream_key(stream, key), scheme=ingest.scheme)}")
    _say(f"watch    {playlist_url(host, port, stream)}")
    _say(f"browser  {page_url(host, port, stream)}")
    if isinstance(ingest, NginxIngest):
        _say(f"nginx    {ingest.http_url}/stats")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
