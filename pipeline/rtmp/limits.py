"""Every bound on what a peer can make the server hold, wait for or answer.

Where two figures were proposed the stricter one stands; loosen one only for a real publisher that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20

MAX_MESSAGE_BYTES = 4 * MIB
"""Declared length of one message; a 1080p60 keyframe at 20 Mbit/s is about 0.3 MiB."""
MAX_CHUNK_BYTES = 1 * MIB
"""Largest chunk size a peer may set."""
MAX_CHUNK_STREAMS = 16
"""Chunk streams of one connection; publishers use three to five."""
MAX_BUFFERED_BYTES = 8 * MIB
"""Unfinished messages of one connection together."""
MAX_AMF_DEPTH = 8
"""Containers within containers."""
MAX_AMF_ENTRIES = 256
"""Keys and array items of one message together, at whatever depth."""
MAX_APP_CHARS = 128
"""Length of the application name of `connect`."""
MAX_STREAM_KEY_CHARS = 256
"""Length of the stream key of `publish`."""
MAX_REPLY_BYTES = 64 * 1024
"""Answers that one read may cause, and answers a peer may leave unread before it is dropped."""


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """How long a peer may take, by what it is doing; each is checked every `check_every_s`."""

    handshake_s: float = 5.0
    """From the connection to the end of the handshake."""
    command_s: float = 10.0
    """From the handshake to the accepted publish, the answers of authoriser and callback included."""
    idle_s: float = 10.0
    """Between two reads of a publisher."""
    media_s: float = 10.0
    """From the accepted publish to the first frame that can be decoded: media without its sequence header is none."""
    message_s: float = 10.0
    """From the first to the last byte of any one message: drops a trickle, which is never idle."""
    linger_s: float = 1.0
    """From the last answer to the closing of the socket, for the peer to read why."""
    check_every_s: float = 0.25
    """Period of the check, hence the accuracy of all of the above."""
