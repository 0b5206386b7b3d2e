"""A whole broadcast through one ladder session, and what came out of it."""

from __future__ import annotations

import time
from collections import defaultdict

import av

from pipeline.ladders.backend import RungPacket, SourcePacket
from pipeline.ladders.x264 import X264Backend
from pipeline.marks import RecordingMarks
from scenarios.ladder import Ladder

TIMEOUT_S = 30.0


class Run:
    """One session fed with everything, and what came out of it."""

    def __init__(self, packets: list[SourcePacket], rungs: Ladder, **options) -> None:
        self.by_rung: dict[str, list[RungPacket]] = defaultdict(list)
        self.errors: list[BaseException | None] = []
        self.marks = RecordingMarks()
        opened, pause_s = options.pop("open", X264Backend().open), options.pop("pause_s", 0)
        self.session = opened(
            packets[0].avcc,
            rungs,
            lambda packet: self.by_rung[packet.rung].append(packet),
            ended=self.errors.append,
            stream="test",
            marks=self.marks,
            **options,
        )
        self.slowest_feed_s = 0.0
        for packet in packets:
            started_s = time.monotonic()
            self.session.feed(packet)
            self.slowest_feed_s = max(self.slowest_feed_s, time.monotonic() - started_s)
            time.sleep(pause_s)
        self.session.close()
        assert self.session.join(TIMEOUT_S), "the session did not end"

    @property
    def counters(self):
        return self.session.counters


def pictures(packets: list[RungPacket], codec: str = "h264") -> list[av.VideoFrame]:
    """Decode with a decoder that was told nothing but the packets."""
    decoder = av.CodecContext.create(codec, "r")
    found = []
    for packet in packets:
        coded = av.Packet(packet.data)
        coded.pts = packet.pts
        found += decoder.decode(coded)
    return found + decoder.decode(None)
