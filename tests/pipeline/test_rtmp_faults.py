"""Peers that are slow, silent, greedy or many: they lose their own connection and disturb nobody."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import resource
import socket
import time
from collections.abc import Sequence

import pytest
from rtmp_samples import (
    KEY,
    KEYFRAME,
    VIDEO_HEADER,
    Studio,
    chunks,
    commands,
    greeting,
    media,
    reported_errors,
    run,
    studio,
)

from pipeline.rtmp import Deadlines, Publisher, PublishRefused, RtmpError, RtmpServer, messages
from pipeline.rtmp.limits import MAX_REPLY_BYTES
from pipeline.rtmp.messages import MessageType
from pipeline.rtmp.server import MAX_CONNECTIONS

IDLE_SOCKETS = 400
HALF_HANDSHAKES = 100
ADMITTED_WITHIN_S = 2.0
PINGS_AT_A_TIME = MAX_REPLY_BYTES // 100
OTHER_ADDRESS = "127.0.0.2"
MANY_ADDRESSES = [f"127.0.0.{number}" for number in range(2, 255)]
FAST = Deadlines(handshake_s=0.3, command_s=0.6, idle_s=0.4, message_s=0.8, linger_s=0.2, check_every_s=0.05)


async def closing_time_s(place: Studio, *pieces: bytes, every_s: float = 0.0) -> float:
    """Send the pieces as far as the server lets us; return how long it kept the connection."""
    began_s = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)

    async def send() -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(every_s)

    sending = asyncio.create_task(send())
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass
    kept_s = time.monotonic() - began_s
    sending.cancel()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return kept_s


@pytest.mark.parametrize("half_handshake", [b"", b"\x03", greeting()[:1537]])
def test_a_handshake_has_a_deadline(half_handshake):
    async def scene():
        async with studio(deadlines=FAST) as place:
            kept_s = await closing_time_s(place, half_handshake)
            assert FAST.handshake_s <= kept_s < FAST.handshake_s + 0.5

    run(scene())


@pytest.mark.parametrize("said", [[], commands()[:1], commands()[:4]])
def test_the_command_phase_has_a_deadline_whatever_is_said_in_it(said):
    async def scene():
        async with studio(deadlines=FAST) as place:
            small_talk = [chunks(messages.command("_checkbw", 0, None))] * 100 if said else []
            kept_s = await closing_time_s(place, greeting() + chunks(*said), *small_talk, every_s=0.02)
            assert FAST.command_s <= kept_s < FAST.command_s + 0.5
            assert place.server.counts.protocol_errors == 1

    run(scene())


def test_an_authoriser_that_hangs_lets_nobody_in():
    async def hang(app: str, key: str, peer: str) -> str | None:
        await asyncio.sleep(60)
        return "cam"

    async def scene():
        async with studio(deadlines=FAST, authorise=hang) as place:
            kept_s = await closing_time_s(place, greeting() + chunks(*commands()))
            assert FAST.command_s <= kept_s < FAST.command_s + 0.5
            assert place.recorders == {}

    run(scene())


def test_a_silent_publisher_is_dropped_as_idle():
    async def scene():
        async with studio(deadlines=FAST) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            began_s = time.monotonic()
            await place.until(lambda: place.recorders["cam"].closed)
            assert FAST.idle_s - 0.05 <= time.monotonic() - began_s < FAST.idle_s + 0.5
            assert place.recorders["cam"].closed == ["idle"]
            await publisher.close()

    run(scene())


def test_a_trickle_is_dropped_by_the_deadline_on_the_whole_message():
    trickle = [bytes([byte]) for byte in chunks(media(MessageType.VIDEO, 0, bytes(100)))]

    async def scene():
        async with studio(deadlines=FAST) as place:
            kept_s = await closing_time_s(place, greeting() + chunks(*commands()), *trickle, every_s=0.1)
            assert FAST.message_s <= kept_s < FAST.message_s + 0.7
            (reason,) = place.recorders["cam"].closed
            assert reason == f"protocol error: a message took longer than {FAST.message_s:g} s"

    run(scene())


def test_whole_messages_beside_a_trickle_do_not_renew_its_deadline():
    trickle = chunks(media(MessageType.VIDEO, 0, bytes(10_000)))[:140]  # a header and its first chunk
    ping = chunks(messages.user_control(messages.UserControl.PING_RESPONSE, b"time"))

    async def scene():
        async with studio(deadlines=FAST) as place:
            pieces = [greeting() + chunks(*commands()), trickle, *[ping] * 200]
            kept_s = await closing_time_s(place, *pieces, every_s=0.05)
            assert FAST.message_s <= kept_s < FAST.message_s + 0.7

    run(scene())


def test_a_peer_that_does_not_hang_up_is_hung_up_on():
    async def scene():
        async with studio(deadlines=FAST, max_connections=1) as place:
            reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
            writer.write(b"GET / HTTP/1.1")
            assert await reader.read() == b""
            assert place.server._connections, "half-closed: the peer may still be sending"
            await place.until(lambda: not place.server._connections, within_s=FAST.linger_s + 0.5)
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            await publisher.close()
            writer.close()

    run(scene())


def test_a_reset_that_shows_only_at_the_half_close_disturbs_nobody(monkeypatch):
    def fail(transport: asyncio.Transport) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write_eof", fail)

    async def scene():
        async with studio(deadlines=FAST) as place:
            reported = reported_errors()
            await asyncio.gather(*(closing_time_s(place, b"") for _ in range(3)))
            assert place.server.counts.protocol_errors == 3
            assert reported == []

    run(scene())


def test_a_peer_that_reads_no_answers_is_dropped():
    ping = chunks(messages.user_control(messages.UserControl.PING_REQUEST, b"time"))

    async def scene():
        async with studio() as place:
            with socket.socket() as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(peer, ("127.0.0.1", place.server.port))
                await loop.sock_sendall(peer, greeting() + chunks(*commands()))
                await place.until(lambda: place.recorders)
                (connection,) = place.server._connections
                own_end = connection._transport.get_extra_info("socket")
                own_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                with pytest.raises(ConnectionError):
                    await send_forever(peer, ping * PINGS_AT_A_TIME)
            assert place.recorders["cam"].closed == ["protocol error: the peer does not read its answers"]

    run(scene())


async def send_forever(peer: socket.socket, data: bytes) -> None:
    """Send, slowly enough to be read in small pieces, until the server cuts the connection."""
    while True:
        await asyncio.get_running_loop().sock_sendall(peer, data)
        await asyncio.sleep(0.001)


@contextlib.contextmanager
def flood(port: int, *, addresses: Sequence[str] = (OTHER_ADDRESS,), idle: int = IDLE_SOCKETS, half: int):
    """Hold many sockets, from the addresses in turn: most say nothing, some half a handshake."""
    with contextlib.ExitStack() as sockets:
        for index in range(idle + half):
            peer = sockets.enter_context(socket.socket())
            peer.bind((addresses[index % len(addresses)], 0))
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                peer.connect(("127.0.0.1", port))
            if index < half:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    peer.send(greeting()[:1000])
        yield


@pytest.fixture
def many_files():
    """Allow both ends of the largest flood to be open in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4 * 5_100), hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def admitted_within_s(place: Studio, **options) -> float:
    """Publish a frame; return how long it took to be let in."""
    began_s = time.monotonic()
    publisher = await Publisher.open(port=place.server.port, key=KEY, **options)
    admitted_s = time.monotonic() - began_s
    await publisher.send_video(0, VIDEO_HEADER)
    await publisher.send_video(0, KEYFRAME)
    await place.until(lambda: place.recorders["cam"].videos)
    await publisher.close()
    return admitted_s


@pytest.mark.parametrize("caps", [{"max_per_ip": 64}, {"max_per_ip": 600, "max_connections": 700}])
def test_a_flood_of_idle_sockets_keeps_no_publisher_out(many_files, caps):
    async def scene():
        async with studio(**caps) as place:
            with flood(place.server.port, half=HALF_HANDSHAKES):
                assert await admitted_within_s(place) < ADMITTED_WITHIN_S
                turned_away = max(0, IDLE_SOCKETS + HALF_HANDSHAKES - caps["max_per_ip"])
                await place.until(lambda: place.server.counts.turned_away == turned_away)

    run(scene())


FULL_SIZE = pytest.param(5_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])


@pytest.mark.parametrize("idle", [1_000, FULL_SIZE])
@pytest.mark.parametrize("is_tls", [False, True], ids=["rtmp", "rtmps"])
def test_a_flood_from_many_addresses_keeps_no_publisher_out(many_files, certificate, is_tls, idle):
    """Too few sockets from each address for the cap of one address to help: newcomers take idle places."""
    server_side, client_side = (certificate.server, certificate.client) if is_tls else (None, None)

    async def scene():
        async with studio(ssl_context=server_side) as place:
            with flood(place.server.port, addresses=MANY_ADDRESSES, idle=idle, half=HALF_HANDSHAKES):
                assert await admitted_within_s(place, ssl_context=client_side) < ADMITTED_WITHIN_S
                assert len(place.server._connections) <= MAX_CONNECTIONS

    run(scene())


def test_a_full_house_lets_no_publisher_go_for_a_newcomer():
    async def scene():
        async with studio(authorise=lambda app, key, peer: key, max_connections=2) as place:
            first = await Publisher.open(port=place.server.port, key="first")
            reader, idle = await asyncio.open_connection("127.0.0.1", place.server.port)
            second = await Publisher.open(port=place.server.port, key="second")
            assert await reader.read() == b"", "who only waited made room"
            assert place.server.live_names == {"first", "second"}
            with pytest.raises((RtmpError, OSError)):
                await Publisher.open(port=place.server.port, key="third")
            idle.close()
            await first.close()
            await second.close()

    run(scene())


@pytest.mark.parametrize("has_header", [False, True])
def test_media_without_its_sequence_header_is_ended_by_name_and_counted(has_header):
    async def scene():
        async with studio(deadlines=dataclasses.replace(FAST, media_s=0.3)) as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            if has_header:
                await publisher.send_video(0, VIDEO_HEADER)
            sending = asyncio.create_task(send_for_ever(publisher))
            await asyncio.sleep(0.6)
            (recorder,) = place.recorders.values()
            if has_header:
                assert recorder.closed == []
                assert recorder.videos
            else:
                (reason,) = recorder.closed
                assert reason.startswith("protocol error: nothing to decode within 0.3 s; send the sequence header")
                assert recorder.videos == []
                assert place.server.counts.dropped_media > 10
            sending.cancel()
            await asyncio.wait([sending])
            await publisher.close()

    run(scene())


async def send_for_ever(publisher: Publisher) -> None:
    with contextlib.suppress(RtmpError, PublishRefused, OSError):
        while True:
            await publisher.send_video(0, KEYFRAME)
            await asyncio.sleep(0.01)


def test_hostile_connections_cost_another_publisher_no_frame():
    frames, hostile = 200, 200
    wire = greeting() + chunks(*commands(key="evil"), media(MessageType.VIDEO, 0, b"\x90hvc1"))

    async def attack(server: RtmpServer, index: int) -> None:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(wire[: len(wire) * index // hostile] + bytes([index % 256]) * 500)
            writer.write_eof()
            await reader.read()
            writer.close()

    async def publish(server: RtmpServer) -> None:
        publisher = await Publisher.open(port=server.port, key="good")
        await publisher.send_video(0, VIDEO_HEADER)
        for index in range(frames):
            await publisher.send_video(index, KEYFRAME)
            await asyncio.sleep(0.001)
        await publisher.close()

    async def scene():
        async with studio(authorise=lambda app, key, peer: key, max_per_ip=300, max_connections=300) as place:
            await asyncio.gather(publish(place.server), *(attack(place.server, index) for index in range(hostile)))
            recorder = place.recorders["good"]
            await place.until(lambda: recorder.closed)
            assert [frame.dts_ms for frame, _ in recorder.videos] == list(range(frames))
            assert recorder.closed == ["unpublished"]
            assert place.server.counts.protocol_errors > 0

    run(scene())
