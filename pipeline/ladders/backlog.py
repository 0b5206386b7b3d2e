"""The bounded queue before the decoder: where overload shows, and is declared instead of becoming latency."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator

from pipeline.ladders.backend import SourcePacket

MAX_PACKETS = 120
"""Packets that may wait: 4 s at 30 frames/s, 2 s at 60."""
MAX_BYTES = 16 * 2**20
"""Bytes that may wait; 2 s of a 60 Mbit/s source."""


class Backlog:
    """Packets between one feeding thread and one decoding thread.

    When it is full, packets are refused until a keyframe comes while it is at most half full: a decoder that
    is behind must skip whole groups of pictures, and must have room again before it goes on.
    """

    def __init__(self, *, max_packets: int = MAX_PACKETS, max_bytes: int = MAX_BYTES) -> None:
        self._max_packets, self._max_bytes = max_packets, max_bytes
        self._packets: deque[SourcePacket] = deque()
        self._bytes = 0
        self._skipping = True  # a stream, too, starts at a keyframe
        self._closed = False
        self._changed = threading.Condition()

    def offer(self, packet: SourcePacket) -> bool:
        """Take the packet, or return False: it was dropped. Never blocks."""
        with self._changed:
            if self._closed or not self._has_room(packet):
                self._skipping = True
                return False
            self._skipping = False
            self._packets.append(packet)
            self._bytes += len(packet.data)
            self._changed.notify()
            return True

    def _has_room(self, packet: SourcePacket) -> bool:
        share = 1
        if self._skipping:
            if not packet.is_keyframe:
                return False
            share = 2
        fits_count = len(self._packets) < max(1, self._max_packets // share)
        return fits_count and self._bytes + len(packet.data) <= self._max_bytes // share

    def close(self, *, discard: bool = False) -> None:
        """Take no more; with `discard`, also forget what waits."""
        with self._changed:
            self._closed = True
            if discard:
                self._packets.clear()
            self._changed.notify()

    def __iter__(self) -> Iterator[SourcePacket]:
        """Yield packets as they come, until closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._packets or self._closed)
                if not self._packets:
                    return
                packet = self._packets.popleft()
                self._bytes -= len(packet.data)
            yield packet
