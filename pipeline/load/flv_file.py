"""Reading the tags of an FLV file (Adobe FLV 10.1, annex E): what RTMP sends, with its times."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scenarios.errors import NotReady

FILE_HEADER_BYTES = 9
TAG_HEADER_BYTES = 11
BACK_POINTER_BYTES = 4
AUDIO, VIDEO = 8, 9
TONE_RATE_HZ, SAMPLES_PER_FRAME = 48_000, 1024
"""Of the AAC in our clips."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of H.264 video or AAC audio, which have the same second byte.

    Attributes:
        kind: `AUDIO` or `VIDEO`.
        timestamp_ms: decoding time.
        body: as an RTMP message carries it.
    """

    kind: int
    timestamp_ms: int
    body: bytes = field(repr=False)

    @property
    def is_header(self) -> bool:
        """Whether it is the decoder configuration."""
        return len(self.body) > 1 and self.body[1] == 0

    @property
    def is_frame(self) -> bool:
        """Whether it is coded media."""
        return len(self.body) > 1 and self.body[1] == 1

    @property
    def is_keyframe(self) -> bool:
        """Whether decoding can start here."""
        return self.body[0] >> 4 == 1


def read_tags(path: Path, kind: int = VIDEO) -> list[Tag]:
    """Return the tags of one kind in a file, in order; others are passed over.

    Raises:
        NotReady: it is no FLV file, or is cut short.
    """
    data = path.read_bytes()
    if not data.startswith(b"FLV\x01"):
        raise NotReady(f"{path}: not an FLV file; delete it, it will be made again")
    position = FILE_HEADER_BYTES + BACK_POINTER_BYTES
    tags = []
    while position < len(data):
        header = data[position : position + TAG_HEADER_BYTES]
        size = int.from_bytes(header[1:4], "big")
        body = data[position + TAG_HEADER_BYTES : position + TAG_HEADER_BYTES + size]
        if len(header) < TAG_HEADER_BYTES or len(body) < size:
            raise NotReady(f"{path}: cut short; delete it, it will be made again")
        if header[0] == kind:
            # The upper 8 bits of the time stand after the lower 24.
            tags.append(Tag(kind, int.from_bytes(header[7:8] + header[4:7], "big"), body))
        position += TAG_HEADER_BYTES + size + BACK_POINTER_BYTES
    return tags
