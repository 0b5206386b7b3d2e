"""Messages between the server and a worker: a prefix of fixed size, a header of JSON, then raw bytes.

Any dataclass or named tuple of plain values and `bytes` can be a message; its place in `MESSAGES` is its kind. There
is one socket per broadcast. The server sends an `OpenSession`, then `SourcePacket`s, and ends its side of the socket
where the broadcast ends. The worker sends what its session makes, and an `Ended` as its last word.
"""

from __future__ import annotations

import dataclasses
import json
import struct
import traceback
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any, BinaryIO, NamedTuple

from pipeline.ladders.backend import LadderCounters, RungPacket, SourcePacket
from pipeline.ladders.copied import SourceRefused
from pipeline.marks import DecodedMark, DroppedMark, EncodedMark
from scenarios.errors import EncoderUnavailable, NotReady

PREFIX = struct.Struct("!BII")
"""Kind of the message, bytes of its header, bytes of its payload."""
MAX_HEADER_BYTES = 2**16
MAX_PAYLOAD_BYTES = 2**25
"""Twice what a backlog holds; a packet is always smaller."""
MAX_TEXT = 4000
"""Characters kept of an error's text, and of its traceback."""
_PLAIN = {int: int, str: str, bool: bool, bytes: bytes, float: int | float}


class OpenSession(NamedTuple):
    """What a broadcast is to be encoded to; `ladder` is a `Ladder` as JSON values.

    `avcc` is the decoder configuration record of the packets that follow, until one of them brings another: a packet
    whose own `avcc` is empty has that of the packet before.
    """

    stream: str
    ladder: dict[str, Any]
    with_marks: bool
    avcc: bytes


class Ended(NamedTuple):
    """The session is over; all empty unless an error ended it."""

    kind: str = ""
    text: str = ""
    trace: str = ""


Message = OpenSession | SourcePacket | RungPacket | LadderCounters | DecodedMark | EncodedMark | DroppedMark | Ended
MESSAGES: tuple[type[Message], ...] = typing.get_args(Message)
ERRORS = {error.__name__: error for error in (EncoderUnavailable, NotReady, SourceRefused)}
"""Errors meant for the user or the publisher: these arrive as what they were."""


class ProtocolError(Exception):
    """What came is no message; whoever sent it has lost its mind, or was made to."""


class WorkerError(RuntimeError):
    """An error of a worker's session that has no class of its own here; a note holds its traceback."""


def encode(message: Message) -> bytes:
    """Return the message as it goes over a socket; fields of `bytes` travel behind the header, uncopied into JSON."""
    kind = type(message)
    values = {name: getattr(message, name) for name in _hints(kind)}
    raw = {name: value for name, value in values.items() if isinstance(value, bytes)}
    plain = {name: value for name, value in values.items() if name not in raw}
    header = json.dumps([plain, {name: len(value) for name, value in raw.items()}]).encode()
    prefix = PREFIX.pack(MESSAGES.index(kind), len(header), sum(map(len, raw.values())))
    return b"".join([prefix, header, *raw.values()])


def messages(file: BinaryIO) -> Iterator[Message]:
    """Yield messages until the other side ends.

    Raises:
        ProtocolError: it ended amid a message, or sent something else.
    """
    while prefix := file.read(PREFIX.size):
        if len(prefix) < PREFIX.size:
            raise ProtocolError(f"cut short after {len(prefix)} bytes of a prefix")
        kind, header_bytes, payload_bytes = PREFIX.unpack(prefix)
        if kind >= len(MESSAGES) or header_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
            raise ProtocolError(f"kind {kind} with {header_bytes} + {payload_bytes} bytes")
        body = file.read(header_bytes + payload_bytes)
        if len(body) < header_bytes + payload_bytes:
            raise ProtocolError(f"cut short after {len(body)} of {header_bytes + payload_bytes} bytes")
        yield _decode(MESSAGES[kind], body[:header_bytes], memoryview(body)[header_bytes:])


def _decode(kind: type[Message], header: bytes, payload: memoryview) -> Message:
    try:
        values, sizes = json.loads(header)
        for name, size in sizes.items():
            values[name], payload = bytes(payload[:size]), payload[size:]
            if len(values[name]) != size:
                raise ValueError(f"{name} is cut short")
        if payload:
            raise ValueError(f"{len(payload)} bytes too many")
        message = kind(**values)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"no {kind.__name__}: {error}") from None
    for name, hint in _hints(kind).items():
        if hint in _PLAIN and not isinstance(getattr(message, name), _PLAIN[hint]):
            raise ProtocolError(f"no {kind.__name__}: {name} is of another type")
    return message


@cache
def _hints(kind: type[Message]) -> dict[str, Any]:
    """Return the message's fields and their types."""
    hints = typing.get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return hints


def ended_by(error: BaseException | None) -> Ended:
    """Return a session's end as a message."""
    if error is None:
        return Ended()
    trace = "".join(traceback.format_exception(error))
    return Ended(type(error).__name__, str(error)[:MAX_TEXT], trace[-MAX_TEXT:])


def error_of(ended: Ended) -> Exception | None:
    """Return the error that ended a session; None if none did."""
    if not ended.kind:
        return None
    if ended.kind in ERRORS:
        return ERRORS[ended.kind](ended.text)
    error = WorkerError(f"{ended.kind}: {ended.text}")
    error.add_note(f"in the worker:\n{ended.trace}")
    return error
