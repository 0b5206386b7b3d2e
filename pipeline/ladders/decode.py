"""The publisher's H.264 decoded on the CPU, packet by packet, with no probing and no delay of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import av
import av.error
from av.codec.context import Flags

from pipeline.ladders.backend import SourcePacket

MAX_PIXELS = 4096 * 2304
"""Largest source picture; the size stands in the publisher's bytes, the memory is ours."""


class DecodedFrame(NamedTuple):
    """A picture, the packet it was made from, and the CPU seconds that its decoding took."""

    picture: av.VideoFrame
    source: SourcePacket
    cpu_s: float


class SourceDecoder:
    """Decodes one publisher; a new configuration record (another size, say) starts a new decoder in place.

    `LOW_DELAY` and one thread: a frame leaves with the packet that completes it. Threads by frame would keep
    one frame each; the machine's other cores are for the rungs.
    """

    def __init__(self, avcc: bytes) -> None:
        self._avcc = avcc
        self._context = self._open(avcc)
        self._cpu_s = 0.0
        self.undecodable: list[int] = []

    def _open(self, avcc: bytes) -> av.VideoCodecContext:
        context = av.CodecContext.create("h264", "r")
        context.extradata = avcc
        context.thread_count = 1
        context.flags |= Flags.low_delay | Flags.copy_opaque
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return context

    def decode(self, packet: SourcePacket) -> Iterator[DecodedFrame]:
        """Yield the frames that this packet completes, in order of presentation; often one, sometimes none.

        A packet that is no H.264 yields nothing and is noted in `undecodable`: a damaged frame is the
        publisher's affair and no reason to end the stream.
        """
        if packet.avcc != self._avcc:
            yield from self.flush()
            self._avcc = packet.avcc
            self._context = self._open(packet.avcc)
        coded = av.Packet(packet.data)
        coded.pts, coded.dts, coded.opaque = packet.pts, packet.dts, packet
        yield from self._run(coded, packet)

    def flush(self) -> Iterator[DecodedFrame]:
        """Yield the frames that were held for reordering."""
        yield from self._run(None, None)

    def _run(self, coded: av.Packet | None, packet: SourcePacket | None) -> Iterator[DecodedFrame]:
        started_s = time.thread_time()
        try:
            pictures = self._context.decode(coded)
        except av.error.FFmpegError:
            pictures = []
            if packet is not None:
                self.undecodable.append(packet.index)
        self._cpu_s += time.thread_time() - started_s
        for picture in pictures:
            cpu_s, self._cpu_s = self._cpu_s, 0.0
            yield DecodedFrame(picture, picture.opaque, cpu_s)
