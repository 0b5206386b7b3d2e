"""The verbs of the pipeline: each parses, calls one function, prints. Heavy imports wait for a verb."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.rtmp.keys import StreamKeys
    from pipeline.serve import LivePipeline

app = typer.Typer()

DEFAULT_STREAM = "live"


class Encoder(StrEnum):
    """What `--encoder` takes."""

    AUTO = "auto"
    X264 = "x264"
    NVENC = "nvenc"
    FFMPEG = "ffmpeg"


class Content(StrEnum):
    """What `--content` takes: the names of `pipeline.load.content.CONTENTS`."""

    CAMERA = "camera"
    SCREEN = "screen"
    GAME = "game"


class Sessions(StrEnum):
    """What `--sessions` takes: the names of `pipeline.load.sessions.SESSION_LAWS`."""

    STAY = "stay"
    EXPONENTIAL = "exponential"
    LOGNORMAL = "lognormal"


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
    encoder: Annotated[Encoder, typer.Option(help="which backend encodes")] = Encoder.AUTO,
    check: Annotated[
        bool, typer.Option("--check", help="read the streams back and report what RFC 8216 forbids")
    ] = False,
) -> None:
    """Run the reference pipeline live: publish RTMP, watch HLS."""
    from pipeline.ladders.probe import require_packages

    require_packages()
    import asyncio

    from pipeline.hls.checker import Checker
    from pipeline.ladders.choice import choose_backend
    from pipeline.rtmp.callbacks import HttpCallbacks
    from pipeline.serve import BUILT_IN_LADDER
    from pipeline.serve import serve as serve_live

    ladder = BUILT_IN_LADDER
    if file is not None:
        from scenarios import load_scenario

        ladder = load_scenario(file).ladder
    stream_keys, fresh_key = _keys(keys)
    callbacks = HttpCallbacks(on_publish=on_publish, on_publish_done=on_publish_done)
    backend, why = choose_backend(encoder)
    _say(why)
    checker = Checker(lambda violation: _say(f"check    {violation}")) if check else None
    asyncio.run(
        serve_live(
            ladder=ladder,
            keys=stream_keys,
            backend=backend,
            callbacks=callbacks,
            host=host,
            rtmp_port=rtmp_port,
            http_port=http_port,
            checker=checker,
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
    content: Annotated[Content, typer.Option(help="what the publishers' pictures are like")] = Content.CAMERA,
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
        measure_quick(out, ladder=ladder, source=source, content=content, encoder=encoder, say=say, progress=progress)
    print(out)


@app.command()
def load(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="a scenario whose source, ladder and rung shares are used")
    ] = None,
    streams: Annotated[int, typer.Option(min=1, help="publishers at once")] = 1,
    viewers: Annotated[int, typer.Option(min=1, help="viewers at once, spread over the streams")] = 20,
    seconds: Annotated[float, typer.Option(min=1.0, help="length of the measured window")] = 30.0,
    content: Annotated[Content, typer.Option(help="what the pictures are like")] = Content.CAMERA,
    audio: Annotated[bool, typer.Option("--audio", help="publish a tone beside the video")] = False,
    rung: Annotated[
        str | None, typer.Option(metavar="NAME", help="what all watch; `auto`: by throughput, as hls.js does")
    ] = None,
    sessions: Annotated[Sessions, typer.Option(help="law of how long a viewer stays")] = Sessions.STAY,
    mean_session: Annotated[float, typer.Option(min=1.0, help="its mean in seconds")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="of joins, sessions and rungs")] = 1,
    encoder: Annotated[Encoder, typer.Option(help="which backend encodes")] = Encoder.AUTO,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object and nothing else")] = False,
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


def _keys(file: Path | None) -> tuple[StreamKeys, str | None]:
    """Return the keys of the file, else of the environment, else a fresh one, which comes in clear as well."""
    from os import environ

    from pipeline.rtmp.keys import KEYS_VARIABLE, StreamKeys

    if file is not None:
        return StreamKeys.read(file), None
    if KEYS_VARIABLE in environ:
        return StreamKeys.of_variable(environ[KEYS_VARIABLE]), None
    return StreamKeys.generate(DEFAULT_STREAM)


def _announce(pipeline: LivePipeline, host: str, fresh_key: str | None) -> None:
    """Say where to publish and to watch; a fresh key is shown this once."""
    from pipeline.serve import playlist_url, publish_url

    key, stream = (fresh_key, DEFAULT_STREAM) if fresh_key is not None else ("KEY", "NAME")
    _say(f"publish  {publish_url(host, pipeline.rtmp.port, key)}")
    _say(f"watch    {playlist_url(host, pipeline.origin.port, stream)}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
