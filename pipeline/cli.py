"""The verbs of the pipeline: each parses, calls one function, prints. Heavy imports wait for a verb."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline import options
from pipeline.options import (
    Content,
    Encoder,
    IngestServer,
    Json,
    Segments,
    Sessions,
    WhichContent,
    WhichEncoder,
    WhichSessions,
)

app = typer.Typer()


@app.command()
def doctor(json: Json = False) -> None:
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
    host: options.Host = "127.0.0.1",
    rtmp_port: options.Port = 1935,
    http_port: options.Port = 8080,
    keys: options.KeysFile = None,
    on_publish: options.OnPublish = None,
    on_publish_done: options.OnPublishDone = None,
    rtmps_cert: options.RtmpsCertificate = None,
    rtmps_key: options.RtmpsKey = None,
    ingest: options.WhichIngest = IngestServer.OWN,
    encoder: WhichEncoder = Encoder.AUTO,
    streams_per_worker: options.StreamsPerWorker = 4,
    segments: options.WhichSegments = Segments.MPEGTS,
    record: options.RecordFolder = None,
    record_hours: options.RecordHours = 24.0,
    record_gib: options.RecordGib = 20.0,
    check: options.Check = False,
) -> None:
    """Run the reference pipeline live: publish RTMP, watch HLS."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    import asyncio
    from functools import partial

    from pipeline import serve_options
    from pipeline.hls.checker import Checker
    from pipeline.http_connections import raise_descriptor_limit
    from pipeline.overload import OverloadWatch
    from pipeline.rtmp.callbacks import HttpCallbacks
    from pipeline.serve import LivePipeline
    from pipeline.serve import serve as serve_live

    say = serve_options.say
    stream_keys, fresh_key = serve_options.stream_keys(keys)
    ladder = serve_options.served_ladder(file)
    tls = serve_options.rtmps(rtmps_cert, rtmps_key)
    backend, why = serve_options.backend_choice(encoder, streams_per_worker)
    say(why)
    raise_descriptor_limit()
    watch = OverloadWatch(say)
    pipeline = LivePipeline(
        ladder=ladder,
        keys=stream_keys,
        backend=backend,
        callbacks=HttpCallbacks(on_publish=on_publish, on_publish_done=on_publish_done),
        host=host,
        rtmp_port=rtmp_port,
        http_port=http_port,
        marks=watch,
        segments=segments,
        recorder=serve_options.recorder(record, hours=record_hours, gib=record_gib),
        ingest=serve_options.open_ingest(ingest, ladder, tls),
    )
    checker = Checker(lambda violation: say(f"check    {violation}")) if check else None
    ready = partial(serve_options.announce, fresh_key=fresh_key)
    asyncio.run(serve_live(pipeline, watch=watch, checker=checker, ready=ready))
    if checker is not None:
        say(f"checked  {checker.segments} segments, {checker.violations} violations")


@app.command()
def measure(
    out: Annotated[Path, typer.Option(metavar="DIR", help="the measurement bundle to write")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="a scenario whose source and ladder are measured")
    ] = None,
    quick: options.Quick = False,
    full: options.Full = False,
    holdout: options.Holdout = False,
    preset: options.Preset = None,
    content: WhichContent = Content.CAMERA,
    encoder: WhichEncoder = Encoder.AUTO,
) -> None:
    """Put the pipeline under load on this machine for at most 15 min; write a measurement bundle."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    from pipeline.measure.depths import planned
    from pipeline.measure.holdout import measure_holdout
    from pipeline.measure.measurement import measure as measure_plan
    from pipeline.measure.progress import budget_bar, ended_gently

    depth = options.depth(quick=quick, full=full, holdout=holdout)
    if depth is options.Depth.HOLDOUT:
        options.refuse_beside_holdout(
            {"FILE": file, "--preset": preset, "--content": content if content is not Content.CAMERA else None}
        )
    choice, plan = planned(depth, file=file, preset=preset, content=content, encoder=encoder)
    with ended_gently(), budget_bar(plan.expected_s) as (say, progress):
        take = measure_holdout if plan.depth == "holdout" else measure_plan
        measured = take(out, plan=plan, choice=choice, say=say, progress=progress)
    print(measured.folder)
    if measured.lacking:
        print(f"lacking: {'; '.join(measured.lacking)}", file=sys.stderr)
        raise typer.Exit(3)


@app.command()
def load(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="a scenario whose source, ladder and rung shares are used")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="publishers at once")] = 1,
    viewers: Annotated[int, typer.Option(min=1, help="viewers at once, spread over the streams")] = 20,
    seconds: Annotated[float, typer.Option(min=1.0, help="length of the measured window")] = 30.0,
    content: WhichContent = Content.CAMERA,
    audio: Annotated[bool, typer.Option("--audio", help="publish a tone beside the video")] = False,
    rung: Annotated[
        str | None, typer.Option(metavar="NAME", help="what all watch; `auto`: by throughput, as hls.js does")
    ] = None,
    sessions: WhichSessions = Sessions.STAY,
    mean_session: Annotated[float, typer.Option(min=1.0, help="its mean in seconds")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="of joins, sessions and rungs")] = 1,
    encoder: WhichEncoder = Encoder.AUTO,
    json: Json = False,
) -> None:
    """Put publishers and HLS viewers on a pipeline of this machine; say what they saw."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    from pipeline.load.clip import DEFAULT_SOURCE
    from pipeline.measure.load_report import document, load_report, table
    from pipeline.measure.load_test import LoadPlan, duration_s, run_load_test
    from pipeline.measure.progress import budget_bar
    from pipeline.serve import BUILT_IN_LADDER
    from scenarios.errors import NotReady

    source, ladder, shares = DEFAULT_SOURCE, BUILT_IN_LADDER, None
    if file is not None:
        from scenarios import load_scenario

        scenario = load_scenario(file)
        source, ladder, shares = scenario.workload.source, scenario.ladder, scenario.workload.audience.rung_shares
    if rung is not None:
        shares = None if rung == "auto" else {rung: 1.0}
    plan = LoadPlan(streams, viewers, seconds, content, audio, shares, sessions, mean_session, seed)
    with budget_bar(duration_s(plan, ladder.segment_s)) as (say, progress):
        raw = run_load_test(plan, ladder=ladder, source=source, encoder=encoder, say=say, progress=progress)
    report = load_report(raw)
    if json:
        from json import dumps

        print(dumps(document(report), indent=2))
    else:
        print(table(report))
    if report.void_reason is not None:
        raise NotReady(f"the run is void: {report.void_reason}; end other programs or ask for a smaller load")
