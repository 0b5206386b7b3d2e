"""The simple RTMP handshake, both sides (Adobe RTMP 1.0, section 5.2).

The digests of the complex one are left out: neither OBS nor ffmpeg asks for them.
"""

from __future__ import annotations

import secrets

from pipeline.rtmp.errors import RtmpError

VERSION = 3
PART_BYTES = 1536
FILL_BYTES = PART_BYTES - 8


class ServerHandshake:
    """Answers C0, C1 and C2; afterwards `done` is true and what is left belongs to the chunk stream."""

    def __init__(self, fill: bytes | None = None) -> None:
        """Prepare S1.

        Args:
            fill: the 1,528 free bytes of S1; random when omitted.
        """
        self.done = False
        self._hello = _hello(fill)
        self._answered = False
        self._pending = b""

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the answer to send, if one is due, and the bytes that follow the handshake.

        Raises:
            RtmpError: the first byte is not version 3: RTMPE, HTTP, TLS or noise.
        """
        self._pending += data
        _check_version(self._pending)
        reply = b""
        if not self._answered and len(self._pending) >= 1 + PART_BYTES:
            reply = self._hello + self._pending[1 : 1 + PART_BYTES]
            self._answered = True
        if len(self._pending) < 1 + 2 * PART_BYTES:
            return reply, b""
        # C2 should echo S1. Nothing is decided by it, and some publishers get it wrong: it is not compared.
        self.done = True
        rest, self._pending = self._pending[1 + 2 * PART_BYTES :], b""
        return reply, rest


class ClientHandshake:
    """Sends C0 and C1, then answers S0, S1 and S2 with C2."""

    def __init__(self, fill: bytes | None = None) -> None:
        """Prepare `hello`, the C0 and C1 to send first; `fill` as for the server."""
        self.hello = _hello(fill)

    def finish(self, reply: bytes) -> bytes:
        """Return C2, the echo of S1, for the server's 3,073 bytes.

        Raises:
            RtmpError: another version, a reply of another length, or an S2 that does not echo C1.
        """
        _check_version(reply)
        if len(reply) != 1 + 2 * PART_BYTES:
            raise RtmpError(f"the server's handshake has {len(reply)} bytes, not {1 + 2 * PART_BYTES}")
        if reply[-FILL_BYTES:] != self.hello[-FILL_BYTES:]:
            raise RtmpError("the server's handshake does not echo ours")
        return reply[1 : 1 + PART_BYTES]


def _hello(fill: bytes | None) -> bytes:
    """Return version, time 0, version field 0 (which says: no digest) and the fill."""
    fill = secrets.token_bytes(FILL_BYTES) if fill is None else fill
    if len(fill) != FILL_BYTES:
        raise ValueError(f"the fill of a handshake has {FILL_BYTES} bytes, not {len(fill)}")
    return bytes([VERSION]) + bytes(8) + fill


def _check_version(data: bytes) -> None:
    if data and data[0] != VERSION:
        raise RtmpError(f"not RTMP version {VERSION}: the first byte is 0x{data[0]:02x}")
