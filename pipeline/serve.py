"""The reference pipeline, live: RTMP in, the ladder, HLS out, on two ports of one event loop."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pipeline.broadcast import GRACE_S, Broadcasts
from pipeline.health import Health
from pipeline.hls.checker import Checker
from pipeline.hls.containers import CONTAINERS, MPEGTS
from pipeline.hls.store import Store
from pipeline.http_connections import DescriptorAlarm
from pipeline.ingest import OpenIngest
from pipeline.ladders.backend import LadderBackend
from pipeline.marks import Marks
from pipeline.origin import Origin
from pipeline.overload import OverloadWatch
from pipeline.recording import Recorder
from pipeline.rtmp.callbacks import HttpCallbacks
from pipeline.rtmp.keys import APP, StreamKeys
from pipeline.rtmp.server import RtmpServer
from scenarios.ladder import Ladder, Rung

log = logging.getLogger(__name__)

BUILT_IN_LADDER = Ladder(
    segment_s=2.0,
    rungs=(
        Rung(name="720p30", width=1280, height=720, fps=30.0, bitrate_bps=2_500_000.0),
        Rung(name="480p30", width=854, height=480, fps=30.0, bitrate_bps=1_200_000.0),
    ),
)
"""What `serve` encodes without a scenario; one small core does it with x264 ultrafast."""
FLUSH_S = 2.5
"""Longest wait, on stopping, for frames that are still being encoded."""
FAREWELL_S = 2.0
"""How long the origin stays up after the end, for viewers to read that it is the end."""
RECORDING_END_S = 2.0
"""Longest wait, on stopping, for the disk to take the end of the recordings; meanwhile viewers read theirs."""
VIEWER_GONE_S = 10.0
"""Without a request for so long there is no viewer to wait for."""


class LivePipeline:
    """An ingest, an origin and what is between them; an async context manager.

    Attributes:
        host: address of both ports.
        store: the segments being served.
        rtmp: the ingest; its `port` is the real one.
        origin: the HTTP server; likewise.
        broadcasts: the streams being encoded.
        callbacks: who is asked about publishers; its `calls` have their latencies.
        health: what `/healthz` tells.
    """

    def __init__(
        self,
        *,
        ladder: Ladder,
        keys: StreamKeys,
        backend: LadderBackend,
        callbacks: HttpCallbacks | None = None,
        host: str = "127.0.0.1",
        rtmp_port: int = 0,
        http_port: int = 0,
        marks: Marks | None = None,
        grace_s: float = GRACE_S,
        segments: str = MPEGTS.name,
        recorder: Recorder | None = None,
        ingest: OpenIngest = RtmpServer,
    ) -> None:
        """Prepare; entering the context opens both ports (0 lets the system choose).

        `segments` names the container; ScenarioError or EncoderUnavailable says what of the ladder cannot be.
        """
        backend.check(ladder)
        container = CONTAINERS[segments]
        container.check(ladder)
        self.host = host
        self._recorder, self._ladder = recorder, ladder
        self.store = Store(container=container, hooks=recorder.hooks if recorder is not None else None)
        self.broadcasts = Broadcasts(self.store, ladder=ladder, backend=backend, marks=marks, grace_s=grace_s)
        self.callbacks = callbacks if callbacks is not None else HttpCallbacks()
        self.rtmp = ingest(
            host=host,
            port=rtmp_port,
            authorise=keys.authorise,
            callbacks=self.callbacks,
            publish=self.broadcasts.publish,
        )
        self.health = Health()
        self.health.register("live_streams", facts=lambda: len(self.rtmp.live_names))
        self.health.register("ingest", facts=self.rtmp.facts)
        if recorder is not None:
            self.health.register("recording", check=recorder.alert, facts=recorder.facts)
        self.origin = Origin(self.store, host=host, port=http_port, health=self.health)

    async def __aenter__(self) -> Self:
        """Take the recording folder, then open both ports; NotReady if one cannot be."""
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.start, self._ladder)
        try:
            await self.origin.start()
            await self.rtmp.start()
        except BaseException:
            await self.origin.close()
            await self._end_recordings()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every broadcast: flush, ENDLIST, a moment for viewers to read it, then close the ports."""
        was_live = bool(self.broadcasts.live_names)
        await self.rtmp.close()
        await self.broadcasts.close(FLUSH_S)
        seen_s = self.origin.last_request_s
        is_watched = was_live and seen_s is not None and time.monotonic() - seen_s < VIEWER_GONE_S
        await asyncio.gather(self._end_recordings(), asyncio.sleep(FAREWELL_S if is_watched else 0.0))
        await self.callbacks.close()
        await self.origin.close()

    async def _end_recordings(self) -> None:
        if self._recorder is not None and not await asyncio.to_thread(self._recorder.close, RECORDING_END_S):
            log.warning("the disk did not take the end of every recording; the next start with this folder repairs it")


async def serve(
    pipeline: LivePipeline,
    *,
    watch: OverloadWatch | None = None,
    checker: Checker | None = None,
    ready: Callable[[LivePipeline], None] = lambda _: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then end every stream properly; takes at most 5 s to stop.

    Args:
        pipeline: what is opened and closed.
        watch: its marks, if they declare overload.
        checker: reads every stream like one more viewer, if given.
        ready: called once both ports are open.

    Raises:
        NotReady: a port cannot be opened, the recording folder cannot be used, or the ingest has failed.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    alarm = DescriptorAlarm()
    loop.set_exception_handler(alarm)
    pipeline.health.register("descriptors", check=alarm.alert)
    if watch is not None:
        pipeline.health.register("overloaded_streams", facts=lambda: len(watch.overloaded))
    async with pipeline:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        failing = asyncio.create_task(pipeline.rtmp.failure())
        failing.add_done_callback(lambda _: stopped.set())
        try:
            ready(pipeline)
            if checker is None:
                await stopped.wait()
            else:
                await _check_until(stopped, checker, pipeline)
            if failing.done():
                raise failing.result()
        finally:
            failing.cancel()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def _check_until(stopped: asyncio.Event, checker: Checker, pipeline: LivePipeline) -> None:
    """Let the checker read along until the event; should it fail itself, that ends the wait with its traceback."""
    origin_url = f"http://{_url_host(pipeline.host)}:{pipeline.origin.port}"
    async with asyncio.TaskGroup() as tasks:
        checking = tasks.create_task(checker.run(origin_url, lambda: pipeline.broadcasts.live_names))
        await stopped.wait()
        checking.cancel()


def publish_url(host: str, port: int, key: str, *, scheme: str = "rtmp") -> str:
    """Return where a publisher sends to, its key included."""
    return f"{scheme}://{_url_host(host)}:{port}/{APP}/{key}"


def playlist_url(host: str, port: int, stream: str) -> str:
    """Return where a player finds the stream."""
    return f"http://{_url_host(host)}:{port}/{stream}/index.m3u8"


def page_url(host: str, port: int, stream: str) -> str:
    """Return the page that plays the stream in a browser."""
    return f"http://{_url_host(host)}:{port}/{stream}/"


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
