"""ISO base media files as boxes (ISO/IEC 14496-12, 4.2): enough to look into what FFmpeg wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

HEADER_BYTES = 8
CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"))
"""Boxes that hold nothing but boxes."""


class MalformedBox(ValueError):  # noqa: N818 - read as "malformed box: ..."
    """The bytes are no sequence of boxes; the text says where."""


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its four-letter type and what follows its header."""

    kind: bytes
    body: memoryview

    def children(self) -> list[Box]:
        """Return the boxes inside; none for a box that holds something else.

        Raises:
            MalformedBox: they do not fill it exactly.
        """
        return list(boxes(self.body)) if self.kind in CONTAINERS else []

    def all(self, *path: bytes) -> list[Box]:
        """Return every box at this path below this one, in order."""
        if not path:
            return [self]
        return [found for child in self.children() if child.kind == path[0] for found in child.all(*path[1:])]

    def uint(self, at: int, size: int) -> int:
        """Return the unsigned number in `size` bytes at an offset of the body.

        Raises:
            MalformedBox: the box ends before.
        """
        if at + size > len(self.body):
            raise MalformedBox(f"{self.kind.decode('latin-1')} of {len(self.body)} bytes is cut short")
        return int.from_bytes(self.body[at : at + size], "big")


def boxes(data: bytes | memoryview) -> Iterator[Box]:
    """Yield the boxes that fill `data`.

    Raises:
        MalformedBox: one does not end where the data or the next one says; sizes of 64 bits are not read.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        size = int.from_bytes(view[at : at + 4], "big")
        if not HEADER_BYTES <= size <= len(view) - at:
            raise MalformedBox(f"a box of {size} bytes at byte {at} of {len(view)}")
        yield Box(bytes(view[at + 4 : at + HEADER_BYTES]), view[at + HEADER_BYTES : at + size])
        at += size
