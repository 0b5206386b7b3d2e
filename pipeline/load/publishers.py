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

from pipeline.load.clip import frames_of, tone_of
from pipeline.load.flv_file import SAMPLES_PER_FRAME, TONE_RATE_HZ, Tag
from pipeline.load.schedule import OPENING_S, Schedule, cpu_in_window, until
from pipeline.rtmp.client import Publisher
from pipeline.rtmp.errors import PublishRefused, RtmpError


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


@dataclass(frozen=True)
class _Media:
    """A clip in memory: the video and, where it has one, the tone, each with its sequence header."""

    header: Tag
    frames: tuple[Tag, ...]
    tone_header: Tag | None
    tone: tuple[Tag, ...]


async def publish(config: PublisherConfig) -> PublisherReport:
    """Return what became of all streams, once the last has ended."""
    media = _Media(*frames_of(Path(config.clip)), *tone_of(Path(config.clip)))
    reports = [StreamReport() for _ in config.keys]
    window = asyncio.create_task(cpu_in_window(config.schedule))
    await asyncio.gather(*(_stream(config, number, media, report) for number, report in enumerate(reports)))
    return PublisherReport(reports, await window)


async def _stream(config: PublisherConfig, number: int, media: _Media, report: StreamReport) -> None:
    first_s = config.schedule.first_frame_s(number)
    await until(first_s - OPENING_S)
    try:
        publisher = await Publisher.open(port=config.port, key=config.keys[number])
        try:
            await publisher.send_video(0, media.header.body)
            if media.tone_header is not None:
                await publisher.send_audio(0, media.tone_header.body)
            await _send_frames(publisher, media, config, first_s=first_s, report=report)
        finally:
            await publisher.close()
    except (PublishRefused, RtmpError, OSError, TimeoutError) as error:
        report.error = f"{type(error).__name__}: {error}"


async def _send_frames(
    publisher: Publisher, media: _Media, config: PublisherConfig, *, first_s: float, report: StreamReport
) -> None:
    """Send the clip again and again, each frame at its own moment, however late the one before was."""
    frames = media.frames
    loop_ms = round(1000 * len(frames) / config.fps)
    free_s = first_s  # when the server let go of the frame before, or would have, had that been sent on time
    number, spoken = 0, 0
    while (due_s := first_s + number / config.fps) < config.schedule.last_frame_s:
        await until(due_s)
        loops, position = divmod(number, len(frames))
        now_s = time.monotonic()
        own_delay_s = max(now_s - max(due_s, free_s), 0.0)
        report.scheduled_s.append(due_s)
        report.sent_s.append(now_s)
        report.own_delay_s.append(own_delay_s)
        await publisher.send_video(loops * loop_ms + frames[position].timestamp_ms, frames[position].body)
        number += 1
        spoken = await _send_tone(publisher, media.tone, spoken, until_s=number / config.fps)
        done_s = time.monotonic()
        # A server that holds a frame up for as long as it was late would have held it up all the same.
        free_s = done_s - max(own_delay_s - (done_s - now_s), 0.0)


async def _send_tone(publisher: Publisher, tone: tuple[Tag, ...], spoken: int, *, until_s: float) -> int:
    """Send the audio frames before `until_s` of the stream, the first `spoken` of which are sent; return how many are.

    They ride along with the video frame before them, as encoders interleave them.
    """
    while tone and (at_s := spoken * SAMPLES_PER_FRAME / TONE_RATE_HZ) < until_s:
        await publisher.send_audio(round(1000 * at_s), tone[spoken % len(tone)].body)
        spoken += 1
    return spoken


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
