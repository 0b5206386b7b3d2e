"""nginx-rtmp as ingest for the tests: a running one, what it delivered, and everything it wrote."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from clips import ladder
from live_pipeline import until
from rtmp_samples import AUDIO, AUDIO_HEADER, INTERFRAME, KEY, KEYFRAME, VIDEO_HEADER, Recorder

from pipeline.nginx import NginxIngest
from pipeline.nginx.configuration import NginxSettings
from pipeline.rtmp import Publisher

RUNGS = ladder((320, 180, 30), (160, 90, 15))
NAME = "cam"
FRAME_MS = 40
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
open_nginx = partial(NginxIngest, ladder=RUNGS)
"""An `OpenIngest` of the small ladder."""


def settings(**changes: Any) -> NginxSettings:
    values = {"module": MODULE, "host": "127.0.0.1", "rtmp_port": 1935, "http_port": 8088, "ladder": RUNGS}
    values |= {"push_tag": "tag-of-the-push-0"}
    return NginxSettings(**values | changes)


class Nginx:
    """A running ingest and every publication it has opened, in order."""

    def __init__(self, **options: Any) -> None:
        self.recorders: list[Recorder] = []

        def authorise(app: str, key: str, peer: str) -> str | None:
            return NAME if (app, key) == ("live", KEY) else None

        def publish(name: str) -> Recorder:
            self.recorders.append(Recorder(name))
            return self.recorders[-1]

        values = {"host": "127.0.0.1", "port": 0, "authorise": authorise, "publish": publish, "ladder": RUNGS}
        self.ingest = NginxIngest(**values | options)

    @property
    def folder(self) -> Path:
        return self.ingest._process.folder

    async def opened(self, key: str | None = None, *, app: str = "live") -> Publisher:
        """Return a publisher; of the stream, with the right token, unless told otherwise."""
        wanted = self.ingest.stream_key(NAME, KEY) if key is None else key
        return await Publisher.open(port=self.ingest.port, key=wanted, app=app, timeout_s=2.0)

    async def ended(self, count: int = 1) -> list[str]:
        """Wait until so many publications are closed and their names free; return the reasons."""
        await until(lambda: len(self.recorders) >= count and all(r.closed for r in self.recorders[:count]))
        await until(lambda: not self.ingest.live_names)
        return [recorder.closed[0] for recorder in self.recorders]


@contextlib.asynccontextmanager
async def nginx(**options: Any) -> AsyncIterator[Nginx]:
    running = Nginx(**options)
    await running.ingest.start()
    try:
        yield running
    finally:
        await running.ingest.close()


async def send_media(publisher: Publisher, frames: int) -> None:
    """Send the headers and so many frames of nothing, at once; every tenth is a keyframe with sound."""
    await publisher.send_video(0, VIDEO_HEADER)
    await publisher.send_audio(0, AUDIO_HEADER)
    for number in range(frames):
        await publisher.send_video(number * FRAME_MS, INTERFRAME if number % 10 else KEYFRAME)
        if number % 10 == 0:
            await publisher.send_audio(number * FRAME_MS, AUDIO)


def written(folder: Path) -> bytes:
    """Return every byte of every file below the folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def run(scene: Callable[[], Any], limit_s: float = 60.0) -> None:
    asyncio.run(asyncio.wait_for(scene(), limit_s))
