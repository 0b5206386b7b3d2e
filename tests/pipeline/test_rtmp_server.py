"""The server on a real socket, published to by our own client."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from rtmp_samples import (
    ASC,
    AUDIO,
    AUDIO_HEADER,
    AVCC,
    INTERFRAME,
    KEY,
    KEYFRAME,
    VIDEO_HEADER,
    Recorder,
    chunks,
    commands,
    greeting,
    reported_errors,
    run,
    studio,
)

from pipeline.rtmp import Deadlines, Publisher, PublishRefused, RtmpError, RtmpServer, messages
from pipeline.rtmp.client import CHUNK_BYTES
from pipeline.rtmp.session import PublishSession
from scenarios.errors import NotReady


async def send_until_refused(publisher: Publisher) -> None:
    """Go on sending for five seconds, or until the publisher notices that it may not."""
    for _ in range(500):
        await publisher.send_video(0, KEYFRAME)
        await asyncio.sleep(0.01)


def test_a_broadcast_arrives_whole_and_in_order():
    async def scene():
        async with studio() as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            assert place.server.live_names == {"cam"}
            began_s = time.monotonic()
            await publisher.send_video(0, VIDEO_HEADER)
            await publisher.send_audio(0, AUDIO_HEADER)
            big = KEYFRAME + bytes(3 * CHUNK_BYTES)
            for body, at_ms in ((big, 0), (INTERFRAME, 33), (KEYFRAME, 2**24 + 5), (INTERFRAME, 2**32 + 7)):
                await publisher.send_video(at_ms, body)
                await publisher.send_audio(at_ms, AUDIO)
            await publisher.close()
            recorder = place.recorders["cam"]
            await place.until(lambda: recorder.closed)
            assert recorder.closed == ["unpublished"]
            videos = [frame for frame, _ in recorder.videos]
            assert [frame.payload for frame in videos] == [b[5:] for b in (big, INTERFRAME, KEYFRAME, INTERFRAME)]
            assert [frame.is_keyframe for frame in videos] == [True, False, True, False]
            assert [frame.dts_ms for frame in videos] == [0, 33, 2**24 + 5, 7]
            assert [frame.pts_ms - frame.dts_ms for frame in videos] == [0, 40, 0, 40]
            assert {frame.avcc for frame in videos} == {AVCC}
            assert {(frame.payload, frame.asc) for frame, _ in recorder.audios} == {(AUDIO[2:], ASC)}
            arrivals = [arrival_s for _, arrival_s in recorder.videos]
            assert arrivals == sorted(arrivals)
            assert began_s <= arrivals[0] <= arrivals[-1] <= time.monotonic()
            assert place.server.live_names == frozenset()

    run(scene())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x90hvc1" + bytes(20), "only H.264 video and AAC audio; got HEVC (enhanced RTMP)"),
        (b"\x17\0\0\0\0short", "no avcC"),
    ],
)
def test_media_we_do_not_take_ends_the_broadcast_with_its_reason(body, reason):
    async def scene():
        async with studio() as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            await publisher.send_video(0, body)
            with pytest.raises(PublishRefused) as refusal:
                await send_until_refused(publisher)
            assert reason in str(refusal.value)
            await publisher.close()
            (closed,) = place.recorders["cam"].closed
            assert closed == f"protocol error: {refusal.value}"
            assert place.server.counts.protocol_errors == 1

    run(scene())


def test_what_is_under_way_at_the_end_arrives():
    async def scene():
        async with studio() as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            await publisher.send_video(0, VIDEO_HEADER)
            for index in range(40):  # beyond the window, so that unread acknowledgements wait at our end
                await publisher.send_video(index, KEYFRAME + bytes(300_000))
            await publisher.close()
            recorder = place.recorders["cam"]
            await place.until(lambda: recorder.closed)
            assert (len(recorder.videos), recorder.closed) == (40, ["unpublished"])

    run(scene())


def test_a_cut_connection_is_told_from_an_end():
    async def scene():
        async with studio() as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            publisher._writer.transport.abort()
            await place.until(lambda: place.recorders["cam"].closed)
            assert place.recorders["cam"].closed == ["connection lost"]
            await publisher.close()

    run(scene())


def test_an_end_followed_by_a_reset_is_still_an_end():
    async def scene():
        async with studio() as place:
            with socket.create_connection(("127.0.0.1", place.server.port)) as peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                peer.sendall(greeting() + chunks(*commands()))
                await place.until(lambda: place.recorders)
                peer.sendall(chunks(messages.command("FCUnpublish", 6, None, KEY)))
            await place.until(lambda: place.recorders["cam"].closed)
            await asyncio.sleep(0.05)
            (reason,) = place.recorders["cam"].closed
            assert reason in ("unpublished", "connection lost")

    run(scene())


def test_closing_the_server_ends_every_broadcast_once():
    async def scene():
        async with studio() as place:
            publisher = await Publisher.open(port=place.server.port, key=KEY)
            await place.server.close()
            await place.server.close()
            assert place.recorders["cam"].closed == ["server closed"]
            with pytest.raises((RtmpError, OSError)):
                await send_until_refused(publisher)
            await publisher.close()
            with pytest.raises(ConnectionRefusedError):
                await Publisher.open(port=place.server.port, key=KEY)

    run(scene())


def test_a_broadcast_that_cannot_be_opened_is_our_mistake_and_disturbs_nobody():
    def publish(name: str) -> Recorder:
        raise LookupError("no room for " + name)

    async def scene():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        async with studio(publish=publish) as place:
            with pytest.raises((RtmpError, OSError)):
                await Publisher.open(port=place.server.port, key=KEY)
            assert [str(error) for error in reported] == ["no room for cam"]
            assert place.server.live_names == frozenset()

    run(scene())


def test_a_publication_that_fails_is_reported_and_ends_only_its_own_connection():
    class Failing(Recorder):
        def video(self, frame, arrival_s):
            raise LookupError("broken consumer")

    recorders = {"good": Recorder(), "bad": Failing()}

    async def scene():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
        async with studio(authorise=lambda app, key, peer: key, publish=recorders.get) as place:
            bad = await Publisher.open(port=place.server.port, key="bad")
            good = await Publisher.open(port=place.server.port, key="good")
            for publisher in (bad, good):
                await publisher.send_video(0, VIDEO_HEADER)
                await publisher.send_video(0, KEYFRAME)
            await place.until(lambda: recorders["bad"].closed and recorders["good"].videos)
            assert recorders["bad"].closed == ["failed: LookupError"]
            assert [str(error) for error in reported] == ["broken consumer"]
            assert recorders["good"].closed == []
            await bad.close()
            await good.close()

    run(scene())


def test_a_publication_that_fails_to_close_does_not_stop_the_deadlines():
    class Failing(Recorder):
        def close(self, reason):
            super().close(reason)
            raise LookupError("cannot close")

    recorders = {"first": Failing(), "second": Failing()}

    async def scene():
        reported = reported_errors()
        deadlines = Deadlines(idle_s=0.2, check_every_s=0.05)
        async with studio(authorise=lambda app, key, peer: key, publish=recorders.get, deadlines=deadlines) as place:
            publishers = [await Publisher.open(port=place.server.port, key=key) for key in recorders]
            await place.until(lambda: all(recorder.closed == ["idle"] for recorder in recorders.values()))
            assert [str(error) for error in reported] == ["cannot close"] * 2
            for publisher in publishers:
                await publisher.close()

    run(scene())


async def _nobody(app: str, key: str, peer: str) -> str | None:
    return None


def test_a_port_in_use_is_told_with_the_remedy():
    async def scene():
        async with studio() as place:
            port = place.server.port
            rival = RtmpServer(port=port, authorise=_nobody, publish=Recorder)
            with pytest.raises(NotReady) as refusal:
                await rival.start()
            told = f"port {port} on 127.0.0.1 is in use; stop the other process or choose --rtmp-port"
            assert str(refusal.value) == told
            await rival.close()

    run(scene())


def test_a_host_that_is_not_ours_is_told():
    async def scene():
        server = RtmpServer(host="192.0.2.1", port=0, authorise=_nobody, publish=Recorder)
        with pytest.raises(NotReady, match=r"192\.0\.2\.1 cannot be listened on"):
            await server.start()

    run(scene())


@pytest.mark.parametrize("caps", [{"max_connections": 2}, {"max_per_ip": 2}])
def test_connections_beyond_a_cap_are_turned_away_until_one_leaves(caps):
    async def scene():
        async with studio(authorise=lambda app, key, peer: key, **caps) as place:
            first, second = [await Publisher.open(port=place.server.port, key=key) for key in ("a", "b")]
            with pytest.raises((RtmpError, OSError)):
                await Publisher.open(port=place.server.port, key="c")
            assert place.server.counts.turned_away == 1
            await first.close()
            await place.until(lambda: place.server.live_names == {"b"})
            await asyncio.sleep(0.05)
            third = await Publisher.open(port=place.server.port, key="c")
            assert place.server.live_names == {"b", "c"}
            await second.close()
            await third.close()

    run(scene())


def test_the_client_gives_up_on_a_server_that_says_nothing():
    async def scene():
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
            await Publisher.open(port=silent.getsockname()[1], key=KEY, timeout_s=0.1)

    run(scene())


def test_a_key_that_a_foreign_server_quotes_is_struck_out():
    async def quote(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = PublishSession()
        while data := await reader.read(4096):
            for event in session.receive(data):
                session.refuse(f"no stream {event.stream_key}")
            writer.write(session.data_to_send())
        writer.close()

    async def scene():
        server = await asyncio.start_server(quote, "127.0.0.1", 0)
        with pytest.raises(PublishRefused, match=r"^no stream \*\*\*$"):
            await Publisher.open(port=server.sockets[0].getsockname()[1], key=KEY)
        server.close()
        await server.wait_closed()

    run(scene())
