"""RTMP messages: their types, and how they are built and read (Adobe RTMP 1.0, sections 5.4 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pipeline.rtmp import amf
from pipeline.rtmp.amf import AmfValue
from pipeline.rtmp.errors import RtmpError

CONTROL_CHUNK_STREAM = 2
COMMAND_CHUNK_STREAM = 3
AUDIO_CHUNK_STREAM = 4
VIDEO_CHUNK_STREAM = 6
PUBLISH_STREAM_ID = 1
"""The one message stream of a connection, as answered to `createStream`."""


class MessageType(IntEnum):
    """The message types that a publisher and its server exchange."""

    SET_CHUNK_SIZE = 1
    ABORT = 2
    ACKNOWLEDGEMENT = 3
    USER_CONTROL = 4
    WINDOW_ACK_SIZE = 5
    SET_PEER_BANDWIDTH = 6
    AUDIO = 8
    VIDEO = 9
    DATA_AMF3 = 15
    COMMAND_AMF3 = 17
    DATA_AMF0 = 18
    COMMAND_AMF0 = 20
    AGGREGATE = 22


class UserControl(IntEnum):
    """The user control events that are sent or heeded."""

    STREAM_BEGIN = 0
    STREAM_EOF = 1
    PING_REQUEST = 6
    PING_RESPONSE = 7


@dataclass(frozen=True, slots=True)
class RtmpMessage:
    """A complete message; its timestamp counts modulo 2**32."""

    chunk_stream: int
    type_id: int
    stream_id: int
    timestamp_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A remote call; transaction 0 expects no answer, and the arguments include the command object."""

    name: str
    transaction: float
    arguments: tuple[AmfValue, ...]


def read_command(message: RtmpMessage) -> Command:
    """Return the command of a message of type 20 or 17.

    Raises:
        RtmpError: the body is not a name, a transaction number and arguments.
    """
    match read_values(message):
        case [str() as name, float() as transaction, *arguments]:
            return Command(name, transaction, tuple(arguments))
    raise RtmpError("a command must start with its name and a transaction number")


def read_values(message: RtmpMessage) -> list[AmfValue]:
    """Return the values of a command or data message; the AMF3 forms put one format byte before AMF0."""
    is_amf3 = message.type_id in (MessageType.COMMAND_AMF3, MessageType.DATA_AMF3)
    return amf.decode(message.payload[1:] if is_amf3 else message.payload)


def read_u32(payload: bytes, what: str) -> int:
    """Return the first four bytes as an unsigned number; RtmpError naming `what` when there are fewer."""
    if len(payload) < 4:
        raise RtmpError(f"{what} has {len(payload)} bytes, not 4")
    return int.from_bytes(payload[:4], "big")


def control(type_id: MessageType, payload: bytes) -> RtmpMessage:
    """Return a protocol control message."""
    return RtmpMessage(CONTROL_CHUNK_STREAM, type_id, 0, 0, payload)


def control_u32(type_id: MessageType, value: int) -> RtmpMessage:
    """Return a protocol control message of one 32-bit number."""
    return control(type_id, value.to_bytes(4, "big"))


def user_control(event: UserControl, payload: bytes) -> RtmpMessage:
    """Return a user control message."""
    return control(MessageType.USER_CONTROL, event.to_bytes(2, "big") + payload)


def command(name: str, transaction: float, *arguments: AmfValue, stream_id: int = 0) -> RtmpMessage:
    """Return a command message; the first argument is the command object."""
    body = amf.encode(name, transaction, *arguments)
    return RtmpMessage(COMMAND_CHUNK_STREAM, MessageType.COMMAND_AMF0, stream_id, 0, body)


def information(level: str, code: str, description: str) -> dict[str, AmfValue]:
    """Return the object that says how a command went; level is `status` or `error`."""
    return {"level": level, "code": code, "description": description}


def status(level: str, code: str, description: str) -> RtmpMessage:
    """Return an `onStatus` of the published stream."""
    return command("onStatus", 0, None, information(level, code, description), stream_id=PUBLISH_STREAM_ID)
