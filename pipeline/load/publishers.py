"""Publishers that replay a clip at live pace, in a process of their own: `python -m pipeline.load.publishers`.

The process says `{"ready": true}`, reads one JSON object (`PublisherConfig`) from its standard input, and at the
end writes another (`PublisherReport`). It never encodes. Stream keys come over standard input, so that no process
list shows them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.load.clip import frames_of
from pipeline.load.flv_file import Tag
from pipeline.rtmp.client import Publisher
from pipeline.rtmp.errors import PublishRefused, RtmpError

LATE_S = 0.05
"""Later than this, a frame was not sent at live pace."""
OPENING_S = 0.1
"""Between opening a connection and its first frame: the handshake and the server's answer take 3 round trips."""
TAIL_S = 0.5
"""How long after the end of the window frames still come, to close the segments that ended in it."""


@dataclass(frozen=True)
class Schedule:
    """When things happen, on CLOCK_MONOTONIC, which all processes of a machine share.

    Attributes:
        start_s: the first stream opens its connection.
        stagger_s: between the starts of two streams.
        window_start_s: measuring starts: the last stream has its warm-up behind it.
        window_end_s: measuring ends; frames come until `TAIL_S` later.
    """

    start_s: float
    stagger_s: float
    window_start_s: float
    window_end_s: float

    def first_frame_s(self, stream: int) -> float:
        """Return when the first frame of a stream is due."""
        return self.start_s + stream * self.stagger_s + OPENING_S

    @property
    def last_frame_s(self) -> float:
        """No frame is due from then on."""
        return self.window_end_s + TAIL_S


@dataclass(frozen=True)
class PublisherConfig:
    """What the process is asked to do.

    Attributes:
        port: of the RTMP server on loopback.
        keys: stream key of each stream, in the order of their numbers.
        clip: path of the FLV file.
        fps: frames per second of the clip.
        schedule: when.
    """

    port: int
    keys: tuple[str, ...]
    clip: str
    fps: float
    schedule: Schedule


@dataclass
class StreamReport:
    """What became of one stream.

    Attributes:
        scheduled_s, sent_s: for each frame, when it was due and when it was written; CLOCK_MONOTONIC.
        own_delay_s: for each frame, how late the generator itself was; time for which the server held up the frame
            before is not counted.
        error: why the stream ended early, or None.
    """

    scheduled_s: list[float] = field(default_factory=list)
    sent_s: list[float] = field(default_factory=list)
    own_delay_s: list[float] = field(default_factory=list)
    error: str | None = None


@dataclass
class PublisherReport:
    """What the process did.

    Attributes:
        streams: in the order of their numbers.
        cpu_s: CPU of the process within the window.
    """

    streams: list[StreamReport]
    cpu_s: float


async def publish(config: PublisherConfig) -> PublisherReport:
    """Return what became of all streams, once the last has ended."""
    header, frames = frames_of(Path(config.clip))
    reports = [StreamReport() for _ in config.keys]
    window = asyncio.create_task(_cpu_in_window(config.schedule))
    await asyncio.gather(
        *(_stream(config, number, header=header, frames=frames, report=report) for number, report in enumerate(reports))
    )
    return PublisherReport(reports, await window)


async def _stream(
    config: PublisherConfig, number: int, *, header: Tag, frames: tuple[Tag, ...], report: StreamReport
) -> None:
    schedule = config.schedule
    first_s = schedule.first_frame_s(number)
    await _until(first_s - OPENING_S)
    try:
        publisher = await Publisher.open(port=config.port, key=config.keys[number])
        try:
            await publisher.send_video(0, header.body)
            await _send_frames(publisher, frames, config, first_s=first_s, report=report)
        finally:
            await publisher.close()
    except (PublishRefused, RtmpError, OSError, TimeoutError) as error:
        report.error = f"{type(error).__name__}: {error}"


async def _send_frames(
    publisher: Publisher,
    frames: tuple[Tag, ...],
    config: PublisherConfig,
    *,
    first_s: float,
    report: StreamReport,
) -> None:
    """Send the clip again and again, each frame at its own moment, however late the one before was."""
    loop_ms = round(1000 * len(frames) / config.fps)
    free_s = first_s  # when the server let go of the frame before
    number = 0
    while (due_s := first_s + number / config.fps) < config.schedule.last_frame_s:
        await _until(due_s)
        loops, position = divmod(number, len(frames))
        now_s = time.monotonic()
        report.scheduled_s.append(due_s)
        report.sent_s.append(now_s)
        report.own_delay_s.append(max(now_s - max(due_s, free_s), 0.0))
        await publisher.send_video(loops * loop_ms + frames[position].timestamp_ms, frames[position].body)
        free_s = time.monotonic()
        number += 1


async def _cpu_in_window(schedule: Schedule) -> float:
    await _until(schedule.window_start_s)
    before_s = time.process_time()
    await _until(schedule.window_end_s)
    return time.process_time() - before_s


async def _until(moment_s: float) -> None:
    await asyncio.sleep(max(moment_s - time.monotonic(), 0.0))


def read_config(text: str) -> PublisherConfig:
    """Return the configuration written as JSON."""
    data = json.loads(text)
    return PublisherConfig(
        port=data["port"],
        keys=tuple(data["keys"]),
        clip=data["clip"],
        fps=data["fps"],
        schedule=Schedule(**data["schedule"]),
    )


def main() -> None:
    """Read the configuration, publish, write the report."""
    print(json.dumps({"ready": True}), flush=True)
    config = read_config(sys.stdin.readline())
    print(json.dumps(asdict(asyncio.run(publish(config)))), flush=True)


if __name__ == "__main__":
    main()
