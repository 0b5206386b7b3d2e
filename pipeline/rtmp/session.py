"""One publisher's side of an RTMP connection as a state machine without sockets or clocks."""

from __future__ import annotations

from enum import Enum, auto

from pipeline.rtmp import messages
from pipeline.rtmp.amf import AmfValue
from pipeline.rtmp.chunks import ChunkReader, ChunkWriter
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.events import AudioMessage, Event, Metadata, PublishRequested, Unpublished, VideoMessage
from pipeline.rtmp.handshake import ServerHandshake
from pipeline.rtmp.limits import MAX_APP_CHARS, MAX_REPLY_BYTES, MAX_STREAM_KEY_CHARS
from pipeline.rtmp.messages import Command, MessageType, RtmpMessage, UserControl
from pipeline.rtmp.timestamps import UnwrappedTime

ACK_WINDOW_BYTES = 2_500_000
_DYNAMIC_LIMIT = b"\2"


class Phase(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    COMMANDS = auto()
    DECIDING = auto()
    PUBLISHING = auto()
    ENDED = auto()


class PublishSession:
    """Bytes in, events and bytes out; one publish per connection.

    Attributes:
        phase: how far the connection has come; in `ENDED` whatever arrives is discarded.
        dropped_media: audio, video and data messages that came outside an accepted publish.
    """

    def __init__(self, handshake_fill: bytes | None = None) -> None:
        self.phase = Phase.HANDSHAKE
        self.dropped_media = 0
        self._handshake = ServerHandshake(handshake_fill)
        self._reader, self._writer = ChunkReader(), ChunkWriter()
        self._outgoing = bytearray()
        self._received = self._acknowledged = 0
        self._ack_window = ACK_WINDOW_BYTES
        self._time = UnwrappedTime()
        self._app: str | None = None
        self._has_stream = False

    def receive(self, data: bytes, *, now_s: float = 0.0) -> list[Event]:
        """Return the events in these bytes, in order; answers to them wait in `data_to_send`.

        Args:
            data: the next bytes from the peer, cut anywhere.
            now_s: when they arrived, on the caller's clock; only `unfinished_since_s` uses it.

        Raises:
            RtmpError: the peer broke the protocol or a limit; call `fail` and close the connection.
        """
        self._received += len(data)
        if self.phase is Phase.HANDSHAKE:
            data = self._shake_hands(data)
        events: list[Event] = []
        if self.phase in (Phase.HANDSHAKE, Phase.ENDED):
            return events
        for message in self._reader.feed(data, now_s=now_s):
            event = self._event(message)
            if event is not None:
                events.append(event)
            if len(self._outgoing) > MAX_REPLY_BYTES:
                raise RtmpError(f"one read that asks for more than {MAX_REPLY_BYTES} bytes of answers")
            if isinstance(event, Unpublished):
                break
        self._acknowledge()
        return events

    def data_to_send(self) -> bytes:
        """Return and forget the bytes to send to the peer."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    @property
    def unfinished_since_s(self) -> float | None:
        """When the oldest incomplete message began to arrive, by `now_s`; None when there is none."""
        return self._reader.unfinished_since_s

    @property
    def buffered_bytes(self) -> int:
        """Bytes of incomplete messages."""
        return self._reader.buffered_bytes

    def accept(self) -> None:
        """Answer the publish request with yes: media that arrives from now on becomes events."""
        self._decide(Phase.PUBLISHING)
        stream_id = messages.PUBLISH_STREAM_ID.to_bytes(4, "big")
        self._send(messages.user_control(UserControl.STREAM_BEGIN, stream_id))
        self._send(messages.status("status", "NetStream.Publish.Start", "publishing"))

    def refuse(self, reason: str) -> None:
        """Answer the publish request with no and a reason the peer may read; the session is over."""
        self._decide(Phase.ENDED)
        self._send(messages.status("error", "NetStream.Publish.BadName", reason))

    def fail(self, reason: str) -> None:
        """End the session from our side and, if the peer can understand it, say why."""
        if self.phase not in (Phase.HANDSHAKE, Phase.ENDED):
            self._send(messages.status("error", "NetStream.Publish.Failed", reason))
        self.phase = Phase.ENDED

    def _decide(self, phase: Phase) -> None:
        if self.phase is not Phase.DECIDING:
            raise ValueError(f"no publish request is waiting for an answer in phase {self.phase.name}")
        self.phase = phase

    def _shake_hands(self, data: bytes) -> bytes:
        reply, rest = self._handshake.receive(data)
        self._outgoing += reply
        if self._handshake.done:
            self.phase = Phase.COMMANDS
        return rest

    def _event(self, message: RtmpMessage) -> Event | None:
        match message.type_id:
            case MessageType.VIDEO | MessageType.AUDIO | MessageType.DATA_AMF0 | MessageType.DATA_AMF3:
                return self._media(message)
            case MessageType.COMMAND_AMF0 | MessageType.COMMAND_AMF3:
                return self._command(messages.read_command(message))
            case MessageType.USER_CONTROL:
                self._answer_ping(message.payload)
            case MessageType.WINDOW_ACK_SIZE:
                self._ack_window = messages.read_u32(message.payload, "window acknowledgement size")
                if self._ack_window == 0:
                    raise RtmpError("an acknowledgement window of 0 bytes")
            case MessageType.AGGREGATE:
                raise RtmpError("aggregate messages are not supported")
        return None  # acknowledgements and types that concern no publisher change nothing

    def _media(self, message: RtmpMessage) -> Event | None:
        if self.phase is not Phase.PUBLISHING:
            self.dropped_media += 1
            return None
        if message.type_id == MessageType.VIDEO:
            return VideoMessage(self._time.unwrap(message.timestamp_ms), message.payload)
        if message.type_id == MessageType.AUDIO:
            return AudioMessage(self._time.unwrap(message.timestamp_ms), message.payload)
        match messages.read_values(message):
            case ["@setDataFrame", "onMetaData", dict() as values] | ["onMetaData", dict() as values]:
                return Metadata(values)
        return None

    def _command(self, command: Command) -> Event | None:
        if self._app is None and command.name != "connect":
            raise RtmpError("a command before connect")
        match command.name:
            case "connect":
                self._connect(command)
            case "createStream":
                self._has_stream = True
                self._answer(command, messages.PUBLISH_STREAM_ID)
            case "releaseStream" | "FCPublish" | "_checkbw":
                self._answer(command, None)
            case "getStreamLength":
                self._answer(command, 0)
            case "publish":
                return self._request_publish(command)
            case "FCUnpublish" | "deleteStream" | "closeStream":
                return self._unpublish(command)
            case "play" | "play2":
                raise RtmpError("this server takes publishers only; players use HLS")
            case _:
                self._decline(command)
        return None

    def _connect(self, command: Command) -> None:
        if self._app is not None:
            raise RtmpError("a second connect on one connection")
        match command.arguments:
            case [{"app": str() as app}, *_] if len(app) <= MAX_APP_CHARS:
                self._app = app.strip("/")
            case _:
                raise RtmpError(f"connect without an app name of at most {MAX_APP_CHARS} characters")
        self._send(messages.control_u32(MessageType.WINDOW_ACK_SIZE, ACK_WINDOW_BYTES))
        bandwidth = ACK_WINDOW_BYTES.to_bytes(4, "big") + _DYNAMIC_LIMIT
        self._send(messages.control(MessageType.SET_PEER_BANDWIDTH, bandwidth))
        properties: dict[str, AmfValue] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31}
        answer = messages.information("status", "NetConnection.Connect.Success", "connected")
        answer["objectEncoding"] = 0
        self._send(messages.command("_result", command.transaction, properties, answer))

    def _request_publish(self, command: Command) -> Event:
        if self.phase is not Phase.COMMANDS:
            raise RtmpError("a second publish on one connection")
        if not self._has_stream:
            raise RtmpError("publish before createStream")
        match command.arguments:
            case [_, str() as stream_key] | [_, str() as stream_key, "live", *_]:
                pass
            case _:
                raise RtmpError('publish takes a stream key and the type "live"; nothing is recorded here')
        if len(stream_key) > MAX_STREAM_KEY_CHARS:
            raise RtmpError(f"a stream key of more than {MAX_STREAM_KEY_CHARS} characters")
        self.phase = Phase.DECIDING
        assert self._app is not None
        return PublishRequested(self._app, stream_key)

    def _unpublish(self, command: Command) -> Event | None:
        self._answer(command, None)
        if self.phase not in (Phase.DECIDING, Phase.PUBLISHING):
            return None
        self.phase = Phase.ENDED
        return Unpublished()

    def _answer(self, command: Command, result: AmfValue) -> None:
        if command.transaction:
            self._send(messages.command("_result", command.transaction, None, result))

    def _decline(self, command: Command) -> None:
        if command.transaction:
            answer = messages.information("error", "NetConnection.Call.Failed", "unknown command")
            self._send(messages.command("_error", command.transaction, None, answer))

    def _answer_ping(self, payload: bytes) -> None:
        if len(payload) < 2:
            raise RtmpError("a user control message without its event")
        if payload[:2] == UserControl.PING_REQUEST.to_bytes(2, "big"):
            self._send(messages.user_control(UserControl.PING_RESPONSE, payload[2:6]))

    def _acknowledge(self) -> None:
        if self._received - self._acknowledged >= self._ack_window:
            self._acknowledged = self._received
            self._send(messages.control_u32(MessageType.ACKNOWLEDGEMENT, self._received % 2**32))

    def _send(self, message: RtmpMessage) -> None:
        self._outgoing += self._writer.write(message)
