"""The publisher's H.264 decoded packet by packet, with no probing and no delay of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import av
import av.error
from av.codec.context import Flags

from pipeline.ladders.backend import SourcePacket

MAX_PIXELS = 4096 * 2304
"""Largest source picture; the size stands in the publisher's bytes, the memory is ours."""
REORDERED_FRAMES = 32
"""Packets after which one that has given no frame never will: H.264 reorders 16 at most."""


class PacketDecoder(Protocol):
    """An open decoder for one configuration record; PyAV's codec contexts are such."""

    def decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        """Return the pictures that a packet completes, or at its end (None) those held back, with its pts."""


class DecodedFrame(NamedTuple):
    """A picture, the packet it was made from, and the CPU seconds that its decoding took."""

    picture: av.VideoFrame
    source: SourcePacket
    cpu_s: float


def open_h264(avcc: bytes) -> PacketDecoder:
    """Return FFmpeg's own decoder, on the CPU.

    `LOW_DELAY` and one thread: a frame leaves with the packet that completes it. Threads by frame would keep
    one frame each; the machine's other cores are for the rungs.
    """
    context = av.CodecContext.create("h264", "r")
    context.extradata = avcc
    context.thread_count = 1
    context.flags |= Flags.low_delay
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return context


class SourceDecoder:
    """Decodes one publisher; a new configuration record (another size, say) starts a new decoder in place.

    Attributes:
        undecodable: indices of packets of which no picture was or will be made; whoever reads it empties it.
    """

    def __init__(self, avcc: bytes, *, open_decoder: Callable[[bytes], PacketDecoder] = open_h264) -> None:
        self._avcc, self._open_decoder = avcc, open_decoder
        self._decoder = open_decoder(avcc)
        self._sent: dict[int, SourcePacket] = {}
        self._cpu_s = 0.0
        self.undecodable: list[int] = []

    def decode(self, packet: SourcePacket) -> Iterator[DecodedFrame]:
        """Yield the frames that this packet completes, in order of presentation; often one, sometimes none.

        A packet that is no H.264 yields nothing and is noted in `undecodable`: a damaged frame is the
        publisher's affair and no reason to end the stream.
        """
        if packet.avcc != self._avcc:
            yield from self.flush()
            self._avcc = packet.avcc
            self._decoder = self._open_decoder(packet.avcc)
        self._sent[packet.index] = packet
        coded = av.Packet(packet.data)
        # Decoders hand a packet's pts through to its picture. NVDEC hands through nothing else, and a publisher may
        # send the same time twice, so the packet's index travels there.
        coded.pts = coded.dts = packet.index
        yield from self._run(coded)
        self._give_up(but=REORDERED_FRAMES)

    def flush(self) -> Iterator[DecodedFrame]:
        """Yield the frames that were held for reordering."""
        yield from self._run(None)
        self._give_up(but=0)

    def _run(self, coded: av.Packet | None) -> Iterator[DecodedFrame]:
        started_s = time.thread_time()
        try:
            pictures = self._decoder.decode(coded)
        except av.error.FFmpegError:
            pictures = []
            if coded is not None:
                self.undecodable.append(coded.pts)
                del self._sent[coded.pts]
        self._cpu_s += time.thread_time() - started_s
        for picture in pictures:
            # A second picture of one packet has no time of its own.
            source = self._sent.pop(picture.pts, None)
            if source is not None:
                cpu_s, self._cpu_s = self._cpu_s, 0.0
                yield DecodedFrame(picture, source, cpu_s)

    def _give_up(self, *, but: int) -> None:
        """Note as undecodable what was sent and gave no picture, except for the latest `but` packets."""
        for index in list(self._sent)[: max(0, len(self._sent) - but)]:
            self.undecodable.append(index)
            del self._sent[index]
