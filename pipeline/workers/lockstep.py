"""Segments that start in every rung or in none, so that a worker's death leaves all rungs with the same numbers."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.ladders.backend import Emit, RungPacket

MAX_HELD = 256
"""Packets that may wait for the slowest rung; rungs are a few frames apart, so beyond it one of them never comes."""


class Lockstep:
    """Holds the start of a rung's segment until every rung has sent its own; used by one thread at a time.

    If a worker died between the keyframes of two rungs, one of them would count a segment more than the other for the
    rest of the broadcast. What is held at a death is dropped.
    """

    def __init__(self, rungs: Iterable[str], emit: Emit) -> None:
        self._emit = emit
        self._starts = dict.fromkeys(rungs, -1)
        self._held: list[tuple[int, RungPacket]] = []

    def take(self, packet: RungPacket) -> None:
        """Pass the packet on as soon as its segment has started everywhere, in order within its rung."""
        if packet.is_keyframe:
            self._starts[packet.rung] = packet.frame_index
        self._held.append((self._starts[packet.rung], packet))
        self._release(min(self._starts.values()) if len(self._held) <= MAX_HELD else None)

    def flush(self) -> None:
        """Pass everything on."""
        self._release(None)

    def _release(self, latest: int | None) -> None:
        held, self._held = self._held, []
        for start, packet in held:
            if latest is None or start <= latest:
                self._emit(packet)
            else:
                self._held.append((start, packet))
