"""Viewers that look at the pictures: `python -m pipeline.load.glass` decodes a rung and reads its barcodes.

The process says `{"ready": true}`, reads one JSON object (`GlassConfig`) from its standard input, and at the end
writes another (`GlassReport`). It polls as a player does, so that what it fetched when is what a player would have.
"""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import av
import numpy as np

from pipeline.hls.parser import MediaPlaylist
from pipeline.load.barcode import read_barcode
from pipeline.load.http_requests import Requests, Tally, viewer_session
from pipeline.load.rung_choice import ByShares
from pipeline.load.schedule import Schedule, cpu_in_window, until
from pipeline.load.viewer import Fetched, Viewer

END_S = 15.0
"""How long after the last frame was sent the stream may take to end."""


@dataclass(frozen=True)
class GlassConfig:
    """What the process is asked to do.

    Attributes:
        port: of the origin on loopback.
        stream: the stream to watch.
        rung: of its rungs.
        join_s: when to join.
        schedule: of the load; the stream ends after it.
    """

    port: int
    stream: str
    rung: str
    join_s: float
    schedule: Schedule


class SeenPicture(NamedTuple):
    """A picture that came out of the decoder.

    Attributes:
        index: the number in it, its place in the clip's loop; None where it could not be read.
        dated_s: when it was made by its playlist's date and its time stamp, on CLOCK_MONOTONIC; None without a date.
        fetched_s: when the last byte of its segment had come.
    """

    index: int | None
    dated_s: float | None
    fetched_s: float


@dataclass
class GlassReport:
    """What the process saw.

    Attributes:
        pictures: in the order in which they were decoded.
        ended: whether the stream was seen to its end.
        requests: by kind.
        own_delay_s: for each poll in the window, how late the process itself was.
        cpu_s: CPU of the process within the window.
    """

    pictures: list[SeenPicture] = field(default_factory=list)
    ended: bool = False
    requests: dict[str, Tally] = field(default_factory=dict)
    own_delay_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


async def look(config: GlassConfig) -> GlassReport:
    """Return what was seen from the first segment that was published after joining until the stream's end."""
    requests = Requests(config.schedule.in_window)
    report = GlassReport(requests=dict(requests.tallies), own_delay_s=requests.own_delay_s)
    window = asyncio.create_task(cpu_in_window(config.schedule))
    await until(config.join_s)
    unix_offset_s = time.time() - time.monotonic()
    loop = asyncio.get_running_loop()
    url = f"http://127.0.0.1:{config.port}/{config.stream}/index.m3u8"
    with ThreadPoolExecutor(1, "decode") as decoder:  # one thread keeps the segments in order
        waiting: list[asyncio.Future[list[SeenPicture]]] = []
        async with viewer_session() as session:
            viewer = Viewer(
                session,
                requests,
                url,
                choice=ByShares({config.rung: 1.0}, np.random.default_rng(0)),
                start=after_the_newest,
                take=lambda fetched: waiting.append(
                    loop.run_in_executor(decoder, seen_pictures, fetched, unix_offset_s)
                ),
            )
            try:
                async with asyncio.timeout(config.schedule.last_frame_s + END_S - time.monotonic()):
                    await viewer.watch()
                report.ended = True
            except TimeoutError:
                pass  # told by `ended`
        report.pictures = [picture for pictures in await asyncio.gather(*waiting) for picture in pictures]
    report.cpu_s = await window
    return report


def after_the_newest(playlist: MediaPlaylist) -> int:
    """Return the first segment that is not there yet: what is there already was fetchable for an unknown time."""
    return playlist.end_sequence


def seen_pictures(fetched: Fetched, unix_offset_s: float) -> list[SeenPicture]:
    """Return the pictures of one segment; `unix_offset_s` is the wall clock minus CLOCK_MONOTONIC."""
    pictures: list[SeenPicture] = []
    first_s: float | None = None
    with av.open(io.BytesIO(fetched.data)) as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
            first_s = frame.time if first_s is None else first_s
            dated_s = None
            if fetched.segment.unix_s is not None:
                dated_s = fetched.segment.unix_s - unix_offset_s + frame.time - first_s
            pictures.append(SeenPicture(read_barcode(luma), dated_s, fetched.fetched_s))
    return pictures


def main() -> None:
    """Read the configuration, look, write the report."""
    print(json.dumps({"ready": True}), flush=True)
    data = json.loads(sys.stdin.readline())
    config = GlassConfig(**data | {"schedule": Schedule(**data["schedule"])})
    print(json.dumps(asdict(asyncio.run(look(config)))), flush=True)


if __name__ == "__main__":
    main()
