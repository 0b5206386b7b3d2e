"""The chunk stream: the specification's examples, a second chunker written for the test, and the limits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtmp_samples import chunks, media

from pipeline.rtmp.chunks import EXTENDED, ChunkReader, ChunkWriter
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.limits import MAX_BUFFERED_BYTES, MAX_CHUNK_BYTES, MAX_CHUNK_STREAMS, MAX_MESSAGE_BYTES
from pipeline.rtmp.messages import MessageType, RtmpMessage, control, control_u32

U32 = 2**32


def feed_all(wire: bytes, size: int | None = None) -> list[RtmpMessage]:
    """Return the messages of the bytes, fed in pieces of a size."""
    reader, size = ChunkReader(), size or max(len(wire), 1)
    return [message for at in range(0, len(wire), size) for message in reader.feed(wire[at : at + size])]


class AnyHeaderChunker:
    """Cuts messages into chunks with every header type that is allowed at each point, as `choose` decides."""

    def __init__(self, chunk_bytes: int, choose) -> None:
        self.chunk_bytes, self.choose = chunk_bytes, choose
        self.last: dict[int, tuple[RtmpMessage, int]] = {}

    def chunks(self, message: RtmpMessage) -> list[bytes]:
        fmt, field = self._header_type(message)
        self.last[message.chunk_stream] = message, field
        extension = field.to_bytes(4, "big") if field >= EXTENDED else b""
        header = min(field, EXTENDED).to_bytes(3, "big") + len(message.payload).to_bytes(3, "big")
        header += bytes([message.type_id]) + message.stream_id.to_bytes(4, "little")
        pieces = [
            message.payload[at : at + self.chunk_bytes]
            for at in range(0, max(len(message.payload), 1), self.chunk_bytes)
        ]
        first = self._basic(fmt, message.chunk_stream) + header[: (11, 7, 3, 0)[fmt]] + extension + pieces[0]
        return [first, *(self._basic(3, message.chunk_stream) + extension + piece for piece in pieces[1:])]

    def _header_type(self, message: RtmpMessage) -> tuple[int, int]:
        if message.chunk_stream not in self.last:
            return 0, message.timestamp_ms
        previous, field = self.last[message.chunk_stream]
        delta = (message.timestamp_ms - previous.timestamp_ms) % U32
        allowed = [0]
        if message.stream_id == previous.stream_id:
            allowed.append(1)
            if (message.type_id, len(message.payload)) == (previous.type_id, len(previous.payload)):
                allowed.append(2)
                if delta == field:
                    allowed.append(3)
        fmt = self.choose(allowed)
        return fmt, message.timestamp_ms if fmt == 0 else delta

    @staticmethod
    def _basic(fmt: int, chunk_stream: int) -> bytes:
        if chunk_stream < 64:
            return bytes([fmt * 64 + chunk_stream])
        if chunk_stream < 320:
            return bytes([fmt * 64, chunk_stream - 64])
        low, high = (chunk_stream - 64) % 256, (chunk_stream - 64) // 256
        return bytes([fmt * 64 + 1, low, high])


timestamps = st.sampled_from([0, 1, 33, 66, 99, EXTENDED - 1, EXTENDED, EXTENDED + 33, U32 - 1, U32 - 33]) | (
    st.integers(0, U32 - 1)
)
sent = st.builds(
    RtmpMessage,
    chunk_stream=st.sampled_from([3, 4, 63, 64, 319, 320, 65_599]),
    type_id=st.sampled_from([8, 9, 18, 20]),
    stream_id=st.sampled_from([0, 1, U32 - 1]),
    timestamp_ms=timestamps,
    payload=st.integers(0, 300).map(lambda size: (bytes(range(256)) * 2)[:size]),
)


@st.composite
def interleaved(draw) -> tuple[bytes, list[RtmpMessage]]:
    """Return bytes in which several chunk streams alternate, and their messages as they complete."""
    chunk_bytes = draw(st.integers(1, 200))
    chunker = AnyHeaderChunker(chunk_bytes, lambda allowed: draw(st.sampled_from(allowed)))
    wire = chunks(control_u32(MessageType.SET_CHUNK_SIZE, chunk_bytes))
    under_way: dict[int, tuple[RtmpMessage, list[bytes]]] = {}
    completed = []
    waiting = draw(st.lists(sent, max_size=8))
    while waiting or under_way:
        startable = waiting and waiting[0].chunk_stream not in under_way
        if startable and (not under_way or draw(st.booleans())):
            message = waiting.pop(0)
            under_way[message.chunk_stream] = message, chunker.chunks(message)
            continue
        chunk_stream = draw(st.sampled_from(sorted(under_way)))
        message, pieces = under_way[chunk_stream]
        wire += pieces.pop(0)
        if not pieces:
            completed.append(message)
            del under_way[chunk_stream]
    return wire, completed


@given(interleaved(), st.integers(1, 40))
@settings(deadline=None, max_examples=300)
def test_every_header_type_interleaved_and_cut_anywhere(wire_and_messages, size):
    wire, wanted = wire_and_messages
    assert feed_all(wire) == wanted
    assert feed_all(wire, size) == wanted


@given(st.lists(sent, max_size=5), st.integers(1, 200))
@settings(deadline=None, max_examples=200)
def test_what_is_written_is_read(wanted, chunk_bytes):
    writer = ChunkWriter()
    wire = writer.set_chunk_size(chunk_bytes) + b"".join(writer.write(message) for message in wanted)
    assert feed_all(wire) == wanted


def test_a_split_at_every_byte_boundary_gives_the_same():
    far = media(MessageType.VIDEO, EXTENDED + 7, bytes(range(200)))
    wanted = [far, media(MessageType.AUDIO, 5, b"aac"), RtmpMessage(400, 9, 1, 9, b"x")]
    wire = chunks(*wanted)
    for at in range(len(wire) + 1):
        reader = ChunkReader()
        assert reader.feed(wire[:at]) + reader.feed(wire[at:]) == wanted


def test_example_1_of_the_specification():
    """Section 5.3.2.1: audio at 1000, 1020, 1040 and 1060 ms with headers of types 0, 2, 3 and 3."""
    body = bytes(32)
    wire = bytes.fromhex("03 0003e8 000020 08 39300000") + body + bytes.fromhex("83 000014") + body
    wire += (b"\xc3" + body) * 2
    assert feed_all(wire) == [RtmpMessage(3, 8, 12345, at_ms, body) for at_ms in (1000, 1020, 1040, 1060)]


def test_example_2_of_the_specification():
    """Section 5.3.2.2: a video message of 307 bytes in three chunks."""
    body = bytes(range(256)) + bytes(51)
    wire = bytes.fromhex("04 0003e8 000133 09 3a300000") + body[:128]
    wire += b"\xc4" + body[128:256] + b"\xc4" + body[256:]
    message = RtmpMessage(4, 9, 12346, 1000, body)
    assert feed_all(wire) == [message]
    assert ChunkWriter().write(message) == wire


def test_the_extended_timestamp_stands_in_type_3_headers_too():
    body = bytes(200)
    wire = bytes.fromhex("06 ffffff 0000c8 09 01000000 01000000") + body[:128]
    wire += bytes.fromhex("c6 01000000") + body[128:]
    assert feed_all(wire) == [RtmpMessage(6, 9, 1, 0x01000000, body)]


def test_a_timestamp_wraps_at_32_bits():
    wire = bytes.fromhex("06 ffffff 000001 09 01000000 fffffff0") + b"a" + bytes.fromhex("86 000020") + b"b"
    assert [message.timestamp_ms for message in feed_all(wire)] == [U32 - 16, 16]


def test_a_type_1_header_may_open_a_chunk_stream_but_types_2_and_3_may_not():
    assert feed_all(bytes.fromhex("42 000005 000001 09") + b"x") == [RtmpMessage(2, 9, 0, 5, b"x")]
    for basic in (b"\x82", b"\xc2"):
        with pytest.raises(RtmpError, match="starts with a header of type"):
            ChunkReader().feed(basic)


def test_an_aborted_message_is_forgotten():
    reader = ChunkReader()
    half = chunks(media(MessageType.VIDEO, 0, bytes(200)))[:150]
    whole = 12 + 128
    assert reader.feed(half[:whole], now_s=3.0) == []
    assert (reader.buffered_bytes, reader.unfinished_since_s) == (128, 3.0)
    assert reader.feed(chunks(control_u32(MessageType.ABORT, 6), control_u32(MessageType.ABORT, 9))) == []
    assert (reader.buffered_bytes, reader.unfinished_since_s) == (0, None)
    again = media(MessageType.VIDEO, 1, b"next")
    assert reader.feed(chunks(again)) == [again]


def test_the_oldest_unfinished_message_is_dated_from_its_first_byte():
    reader = ChunkReader()
    wire = chunks(media(MessageType.VIDEO, 0, b"body"))
    for second, byte in enumerate(wire[:-1]):
        assert reader.feed(bytes([byte]), now_s=10.0 + second) == []
        assert reader.unfinished_since_s == 10.0
    assert len(reader.feed(wire[-1:] + wire[:3], now_s=50.0)) == 1
    assert reader.unfinished_since_s == 50.0
    other = chunks(media(MessageType.AUDIO, 0, bytes(130)))[: 12 + 128]
    reader = ChunkReader()
    reader.feed(other, now_s=1.0)
    reader.feed(wire, now_s=2.0)
    assert reader.unfinished_since_s == 1.0, "a message that completes must not renew another's date"


def test_a_message_that_is_not_finished_cannot_be_replaced():
    start = chunks(media(MessageType.VIDEO, 0, bytes(200)))[: 12 + 128]
    with pytest.raises(RtmpError, match="not finished"):
        feed_all(start + start)


def test_the_message_limit_is_where_it_says():
    template = "06 000000 {:06x} 09 01000000"
    assert feed_all(bytes.fromhex(template.format(MAX_MESSAGE_BYTES))) == []
    with pytest.raises(RtmpError, match="limit"):
        feed_all(bytes.fromhex(template.format(MAX_MESSAGE_BYTES + 1)))


@pytest.mark.parametrize("size", [0, MAX_CHUNK_BYTES + 1, 2**31, U32 - 1])
def test_chunk_sizes_beyond_the_limit_are_refused(size):
    with pytest.raises(RtmpError, match="chunk size"):
        feed_all(chunks(control_u32(MessageType.SET_CHUNK_SIZE, size)))


def test_the_largest_chunk_size_is_obeyed():
    writer = ChunkWriter()
    message = media(MessageType.VIDEO, 0, bytes(MAX_CHUNK_BYTES + 1))
    wire = writer.set_chunk_size(MAX_CHUNK_BYTES) + writer.write(message)
    assert feed_all(wire, 65536) == [message]
    assert wire.count(b"\xc6") == 1


@pytest.mark.parametrize("type_id", [MessageType.SET_CHUNK_SIZE, MessageType.ABORT])
def test_control_messages_cut_short_are_refused(type_id):
    with pytest.raises(RtmpError, match="3 bytes"):
        feed_all(chunks(control(type_id, b"\0\0\1")))


def test_the_chunk_stream_limit_is_where_it_says():
    many = [RtmpMessage(3 + index, 9, 1, 0, b"x") for index in range(MAX_CHUNK_STREAMS + 1)]
    assert len(feed_all(chunks(*many[:-1]))) == MAX_CHUNK_STREAMS
    with pytest.raises(RtmpError, match="chunk streams"):
        feed_all(chunks(*many))


def test_what_unfinished_messages_hold_together_is_bounded():
    reader = ChunkReader()
    reader.feed(chunks(control_u32(MessageType.SET_CHUNK_SIZE, MAX_CHUNK_BYTES)))
    header = bytes.fromhex(f"000000 {MAX_MESSAGE_BYTES:06x} 09 01000000")
    fitting = MAX_BUFFERED_BYTES // MAX_CHUNK_BYTES
    for chunk_stream in range(3, 3 + fitting):
        reader.feed(bytes([chunk_stream]) + header + bytes(MAX_CHUNK_BYTES))
    assert reader.buffered_bytes == MAX_BUFFERED_BYTES
    with pytest.raises(RtmpError, match="unfinished messages"):
        reader.feed(bytes([3 + fitting]) + header + b"x")
