"""The simple handshake: the bytes of both sides, cut anywhere, and peers that speak something else."""

from __future__ import annotations

import pytest

from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.handshake import ClientHandshake, ServerHandshake

C1 = bytes.fromhex("0000012c 00000000") + bytes(range(256)) * 5 + bytes(248)
HELLO = b"\x03" + C1
C2 = b"\xcc" * 1536
FILL = b"\xee" * 1528
REPLY = b"\x03" + bytes(8) + FILL + C1


def test_golden_handshake():
    handshake = ServerHandshake(FILL)
    assert handshake.receive(HELLO) == (REPLY, b"")
    assert not handshake.done
    assert handshake.receive(C2 + b"chunks") == (b"", b"chunks")
    assert handshake.done


@pytest.mark.parametrize("size", [1, 2, 7, 1536, 1537, 3073, 3079])
def test_it_may_come_cut_anywhere(size):
    handshake, sent, rest = ServerHandshake(FILL), b"", b""
    wire = HELLO + C2 + b"chunks"
    for at in range(0, len(wire), size):
        piece = wire[at : at + size]
        if handshake.done:
            rest += piece
            continue
        reply, after = handshake.receive(piece)
        sent, rest = sent + reply, rest + after
    assert (sent, rest) == (REPLY, b"chunks")


def test_the_fill_is_random_unless_given():
    first, _ = ServerHandshake().receive(HELLO)
    second, _ = ServerHandshake().receive(HELLO)
    assert first != second
    with pytest.raises(ValueError, match="1528"):
        ServerHandshake(b"short")


@pytest.mark.parametrize("noise", [b"\x06", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"\x00"])
def test_other_protocols_are_refused_at_the_first_byte(noise):
    with pytest.raises(RtmpError, match=f"first byte is 0x{noise[0]:02x}"):
        ServerHandshake().receive(noise)


def test_both_sides_understand_each_other():
    client, server = ClientHandshake(), ServerHandshake()
    reply, _ = server.receive(client.hello)
    reply_to_reply = client.finish(reply)
    assert reply_to_reply == reply[1:1537]
    server.receive(reply_to_reply)
    assert server.done


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(b"\x05" + bytes(3072), "first byte"), (REPLY[:-1], "3072 bytes"), (REPLY, "does not echo")],
)
def test_the_client_refuses_a_wrong_answer(reply, reason):
    with pytest.raises(RtmpError, match=reason):
        ClientHandshake(bytes(1528)).finish(reply)
