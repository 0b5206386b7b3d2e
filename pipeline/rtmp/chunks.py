"""The RTMP chunk stream: bytes to messages and back (Adobe RTMP 1.0, section 5.3)."""

from __future__ import annotations

from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.limits import MAX_BUFFERED_BYTES, MAX_CHUNK_BYTES, MAX_CHUNK_STREAMS, MAX_MESSAGE_BYTES
from pipeline.rtmp.messages import MessageType, RtmpMessage, control_u32, read_u32

DEFAULT_CHUNK_BYTES = 128
EXTENDED = 0xFFFFFF
"""A 24-bit timestamp field of this value says that 32 bits follow the header."""

_HEADER_BYTES = (11, 7, 3, 0)
_U32 = 0xFFFFFFFF


class _ChunkStream:
    """The last header of one chunk stream, and what has arrived of its present message."""

    def __init__(self) -> None:
        self.timestamp_ms = self.delta_ms = 0
        self.length = self.type_id = self.stream_id = 0
        self.is_extended = False
        self.payload = bytearray()
        self.started_s: float | None = None


class ChunkReader:
    """Turns what a peer sends after the handshake into messages; obeys its set-chunk-size and abort.

    What is held is bounded: an incomplete header of at most 17 bytes and the unfinished messages, together no
    more than `limits.MAX_BUFFERED_BYTES`.
    """

    def __init__(self) -> None:
        self.buffered_bytes = 0
        self._chunk_bytes = DEFAULT_CHUNK_BYTES
        self._streams: dict[int, _ChunkStream] = {}
        self._current: _ChunkStream | None = None
        self._current_id = self._chunk_left = 0
        self._header = b""
        self._header_since_s = 0.0

    def feed(self, data: bytes, *, now_s: float = 0.0) -> list[RtmpMessage]:
        """Return the messages that these bytes complete, in order.

        Args:
            data: the next bytes of the connection, cut anywhere.
            now_s: when they arrived, on the caller's clock; dates the unfinished messages.

        Raises:
            RtmpError: the bytes break the protocol or a limit; the reader is unusable afterwards.
        """
        began_s = self._header_since_s if self._header else now_s
        data = self._header + data
        messages: list[RtmpMessage] = []
        position = 0
        while position < len(data):
            if self._current is None:
                header_end = self._read_header(data, position, began_s if position == 0 else now_s)
                if header_end is None:
                    break
                position = header_end
            position = self._read_payload(data, position, messages)
        self._header_since_s = began_s if position == 0 else now_s
        self._header = data[position:]
        return messages

    @property
    def unfinished_since_s(self) -> float | None:
        """When the oldest message that is still incomplete began to arrive; None when there is none."""
        starts = [stream.started_s for stream in self._streams.values() if stream.started_s is not None]
        if self._header:
            starts.append(self._header_since_s)
        return min(starts, default=None)

    def _read_header(self, data: bytes, position: int, now_s: float) -> int | None:
        """Take one chunk header; return where its payload starts, or None when it is incomplete."""
        basic = _read_basic_header(data, position)
        if basic is None:
            return None
        fmt, chunk_stream, position = basic
        stream = self._streams.get(chunk_stream) or self._open(chunk_stream, fmt)
        end = position + _HEADER_BYTES[fmt]
        header = data[position:end]
        is_extended = stream.is_extended if fmt == 3 else header[:3] == EXTENDED.to_bytes(3, "big")
        if len(data) < end + 4 * is_extended:
            return None
        if stream.started_s is None:
            stream.started_s = now_s
            stream.is_extended = is_extended
            extension = data[end : end + 4] if is_extended else b""
            _begin_message(stream, fmt, header, extension)
        elif fmt != 3:
            raise RtmpError("a message was not finished before the next began on its chunk stream")
        self._streams[chunk_stream] = self._current = stream
        self._current_id = chunk_stream
        self._chunk_left = min(self._chunk_bytes, stream.length - len(stream.payload))
        return end + 4 * is_extended

    def _open(self, chunk_stream: int, fmt: int) -> _ChunkStream:
        # librtmp opens the control chunk stream with fmt 1, so what that lacks, the stream id, counts as 0.
        if fmt > 1:
            raise RtmpError(f"chunk stream {chunk_stream} starts with a header of type {fmt}")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise RtmpError(f"more than {MAX_CHUNK_STREAMS} chunk streams")
        return _ChunkStream()

    def _read_payload(self, data: bytes, position: int, messages: list[RtmpMessage]) -> int:
        """Take what is there of the current chunk's payload; return where the next header starts."""
        stream = self._current
        assert stream is not None
        taken = data[position : position + self._chunk_left]
        self._chunk_left -= len(taken)
        if len(taken) == stream.length:
            self._finish(stream, taken, messages)
        else:
            self._buffer(stream, taken)
            if len(stream.payload) == stream.length:
                self._finish(stream, bytes(stream.payload), messages)
        if self._chunk_left == 0:
            self._current = None
        return position + len(taken)

    def _buffer(self, stream: _ChunkStream, taken: bytes) -> None:
        self.buffered_bytes += len(taken)
        if self.buffered_bytes > MAX_BUFFERED_BYTES:
            raise RtmpError(f"more than {MAX_BUFFERED_BYTES} bytes of unfinished messages")
        stream.payload += taken

    def _finish(self, stream: _ChunkStream, payload: bytes, messages: list[RtmpMessage]) -> None:
        self._forget(stream)
        if stream.type_id == MessageType.SET_CHUNK_SIZE:
            self._set_chunk_size(read_u32(payload, "set-chunk-size"))
        elif stream.type_id == MessageType.ABORT:
            aborted = self._streams.get(read_u32(payload, "abort"))
            if aborted is not None:
                self._forget(aborted)
        else:
            header = (self._current_id, stream.type_id, stream.stream_id, stream.timestamp_ms)
            messages.append(RtmpMessage(*header, payload))

    def _forget(self, stream: _ChunkStream) -> None:
        self.buffered_bytes -= len(stream.payload)
        stream.payload = bytearray()
        stream.started_s = None

    def _set_chunk_size(self, size: int) -> None:
        if not 1 <= size <= MAX_CHUNK_BYTES:
            raise RtmpError(f"a chunk size of {size} bytes; from 1 to {MAX_CHUNK_BYTES} is allowed")
        self._chunk_bytes = size


def _read_basic_header(data: bytes, position: int) -> tuple[int, int, int] | None:
    """Return header type, chunk stream and the position after them; None when bytes are missing."""
    fmt, chunk_stream = data[position] >> 6, data[position] & 0x3F
    position += 1
    if chunk_stream >= 2:
        return fmt, chunk_stream, position
    end = position + chunk_stream + 1  # a 0 announces one byte more, a 1 two
    if len(data) < end:
        return None
    return fmt, 64 + int.from_bytes(data[position:end], "little"), end


def _begin_message(stream: _ChunkStream, fmt: int, header: bytes, extension: bytes) -> None:
    """Apply the header of a message's first chunk to its chunk stream."""
    if fmt < 3 or extension:
        # A fmt 3 right after a fmt 0 repeats the latter's timestamp as a delta (5.3.1.2.4; ffmpeg does too),
        # hence one field for both.
        stream.delta_ms = int.from_bytes(extension or header[:3], "big")
    base_ms = 0 if fmt == 0 else stream.timestamp_ms
    stream.timestamp_ms = (base_ms + stream.delta_ms) & _U32
    if fmt < 2:
        stream.length = int.from_bytes(header[3:6], "big")
        stream.type_id = header[6]
        if stream.length > MAX_MESSAGE_BYTES:
            raise RtmpError(f"a message of {stream.length} bytes; the limit is {MAX_MESSAGE_BYTES}")
    if fmt == 0:
        stream.stream_id = int.from_bytes(header[7:11], "little")


class ChunkWriter:
    """Turns messages into chunks: a full header first, then headers of one byte.

    Full headers cost 11 bytes a message, which is nothing beside a frame, and leave no state to get wrong.
    """

    def __init__(self) -> None:
        self._chunk_bytes = DEFAULT_CHUNK_BYTES

    def write(self, message: RtmpMessage) -> bytes:
        """Return the chunks of one message."""
        payload, timestamp_ms = message.payload, message.timestamp_ms & _U32
        extended = timestamp_ms.to_bytes(4, "big") if timestamp_ms >= EXTENDED else b""
        first = (
            _basic_header(0, message.chunk_stream)
            + min(timestamp_ms, EXTENDED).to_bytes(3, "big")
            + len(payload).to_bytes(3, "big")
            + bytes([message.type_id])
            + message.stream_id.to_bytes(4, "little")
            + extended
        )
        if len(payload) <= self._chunk_bytes:
            return first + payload
        following = _basic_header(3, message.chunk_stream) + extended
        pieces = (payload[at : at + self._chunk_bytes] for at in range(0, len(payload), self._chunk_bytes))
        return first + following.join(pieces)

    def set_chunk_size(self, chunk_bytes: int) -> bytes:
        """Return the announcement of a new chunk size, which holds from the next message on."""
        announcement = self.write(control_u32(MessageType.SET_CHUNK_SIZE, chunk_bytes))
        self._chunk_bytes = chunk_bytes
        return announcement


def _basic_header(fmt: int, chunk_stream: int) -> bytes:
    if chunk_stream < 64:
        return bytes([fmt << 6 | chunk_stream])
    if chunk_stream < 64 + 256:
        return bytes([fmt << 6, chunk_stream - 64])
    return bytes([fmt << 6 | 1]) + (chunk_stream - 64).to_bytes(2, "little")
