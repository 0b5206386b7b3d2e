"""The publish session without a socket: what it reports, what it answers, and what it will not take."""

from __future__ import annotations

import pytest
from rtmp_samples import AUDIO, KEY, KEYFRAME, VIDEO_HEADER, chunks, commands, greeting, media

from pipeline.rtmp import messages
from pipeline.rtmp.chunks import ChunkReader
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.events import AudioMessage, Metadata, PublishRequested, Unpublished, VideoMessage
from pipeline.rtmp.limits import MAX_APP_CHARS, MAX_REPLY_BYTES, MAX_STREAM_KEY_CHARS
from pipeline.rtmp.messages import MessageType, RtmpMessage, UserControl
from pipeline.rtmp.session import ACK_WINDOW_BYTES, Phase, PublishSession

U32 = 2**32
VIDEO, AUDIO_TYPE = MessageType.VIDEO, MessageType.AUDIO


class Peer:
    """A session, the events it has reported and the messages it has answered with."""

    def __init__(self) -> None:
        self.session = PublishSession()
        self.events: list[object] = []
        self._answers = ChunkReader()
        self.session.receive(greeting())
        assert len(self.session.data_to_send()) == 1 + 2 * 1536

    def send(self, *wanted: RtmpMessage) -> list[RtmpMessage]:
        """Pass messages to the session; return its answers."""
        self.events += self.session.receive(chunks(*wanted))
        return self.answers()

    def answers(self) -> list[RtmpMessage]:
        return self._answers.feed(self.session.data_to_send())

    def published(self) -> Peer:
        self.send(*commands())
        self.session.accept()
        self.answers()
        self.events.clear()
        return self


def answered_commands(answers: list[RtmpMessage]) -> list[tuple[object, ...]]:
    """Return name, transaction and last argument of the commands among the answers."""
    read = [messages.read_command(answer) for answer in answers if answer.type_id == MessageType.COMMAND_AMF0]
    return [(command.name, command.transaction, command.arguments[-1]) for command in read]


def test_a_publish_from_the_greeting_to_the_end():
    peer = Peer()
    answers = peer.send(*commands())
    assert [answer.type_id for answer in answers[:2]] == [
        MessageType.WINDOW_ACK_SIZE,
        MessageType.SET_PEER_BANDWIDTH,
    ]
    (name, transaction, result), *others = answered_commands(answers)
    assert (name, transaction, result["code"]) == ("_result", 1.0, "NetConnection.Connect.Success")
    assert others == [("_result", 2.0, None), ("_result", 3.0, None), ("_result", 4.0, 1.0)]
    assert peer.events == [PublishRequested("live", KEY)]
    assert peer.session.phase is Phase.DECIDING

    peer.session.accept()
    begin, started = peer.answers()
    assert begin.payload == bytes([0, 0, 0, 0, 0, 1])
    assert answered_commands([started])[0][2]["code"] == "NetStream.Publish.Start"

    peer.events.clear()
    metadata = {"width": 1280.0}
    data = messages.amf.encode("@setDataFrame", "onMetaData", metadata)
    peer.send(
        RtmpMessage(4, MessageType.DATA_AMF0, 1, 0, data),
        media(VIDEO, 40, KEYFRAME),
        media(AUDIO_TYPE, 41, AUDIO),
        messages.command("FCUnpublish", 6, None, KEY),
        media(VIDEO, 80, KEYFRAME),
        commands()[-1],
    )
    wanted = [Metadata(metadata), VideoMessage(40, KEYFRAME), AudioMessage(41, AUDIO), Unpublished()]
    assert peer.events == wanted
    assert peer.send(messages.command("deleteStream", 7, None, 1)) == []
    assert peer.events == wanted


def test_the_same_bytes_one_by_one_give_the_same_events():
    peer = Peer()
    for byte in chunks(*commands()):
        peer.events += peer.session.receive(bytes([byte]))
    peer.session.accept()
    for byte in chunks(media(VIDEO, 1, VIDEO_HEADER), media(VIDEO, 2, KEYFRAME)):
        peer.events += peer.session.receive(bytes([byte]))
    assert peer.events == [
        PublishRequested("live", KEY),
        VideoMessage(1, VIDEO_HEADER),
        VideoMessage(2, KEYFRAME),
    ]


def test_media_before_the_yes_is_dropped_and_counted():
    peer = Peer()
    peer.send(media(VIDEO, 0, VIDEO_HEADER))
    peer.send(*commands(), media(VIDEO, 0, KEYFRAME), media(AUDIO_TYPE, 0, AUDIO))
    assert peer.events == [PublishRequested("live", KEY)]
    assert peer.session.dropped_media == 3


def test_a_refusal_tells_the_reason_and_ends_the_session():
    peer = Peer()
    peer.send(*commands())
    peer.session.refuse("not today")
    ((name, _, information),) = answered_commands(peer.answers())
    assert (name, information["level"], information["code"], information["description"]) == (
        "onStatus",
        "error",
        "NetStream.Publish.BadName",
        "not today",
    )
    peer.events.clear()
    assert peer.send(media(VIDEO, 0, KEYFRAME), *commands()) == []
    assert peer.events == []


def test_an_answer_that_nobody_asked_for_is_our_own_mistake():
    with pytest.raises(ValueError, match="no publish request"):
        PublishSession().accept()
    with pytest.raises(ValueError, match="no publish request"):
        Peer().published().session.refuse("too late")


def test_the_key_is_in_no_repr():
    peer = Peer()
    peer.send(*commands())
    assert KEY not in repr(peer.events)


@pytest.mark.parametrize("ending", ["FCUnpublish", "deleteStream", "closeStream"])
def test_each_way_to_end_a_publish(ending):
    peer = Peer().published()
    peer.send(messages.command(ending, 0, None, 1))
    assert peer.events == [Unpublished()]


def test_an_end_before_any_publish_changes_nothing():
    peer = Peer()
    connect, *others = commands()
    peer.send(connect, messages.command("FCUnpublish", 9, None, KEY), *others)
    assert peer.events == [PublishRequested("live", KEY)]


def test_small_talk_is_answered():
    peer = Peer().published()
    asked = [messages.command("getStreamLength", 8, None, KEY), messages.command("_checkbw", 9, None)]
    assert answered_commands(peer.send(*asked)) == [("_result", 8.0, 0.0), ("_result", 9.0, None)]
    ((name, transaction, information),) = answered_commands(peer.send(messages.command("dance", 10, None)))
    assert (name, transaction, information["level"]) == ("_error", 10.0, "error")
    assert peer.send(messages.command("dance", 0, None)) == []


def test_a_ping_is_answered_with_its_own_time():
    peer = Peer().published()
    (pong,) = peer.send(messages.user_control(UserControl.PING_REQUEST, b"time"))
    assert pong.payload == UserControl.PING_RESPONSE.to_bytes(2, "big") + b"time"
    assert peer.send(messages.user_control(UserControl.STREAM_BEGIN, b"time")) == []


@pytest.mark.parametrize("missing_bytes", [0, 1])
def test_a_full_window_is_acknowledged_with_the_bytes_received(missing_bytes):
    peer = Peer().published()
    video = chunks(media(VIDEO, 0, bytes(100)))
    window_size = messages.control_u32(MessageType.WINDOW_ACK_SIZE, 0)  # replaced below; as long as any other
    received = len(greeting()) + len(chunks(*commands())) + len(chunks(window_size)) + len(video)
    assert peer.send(messages.control_u32(MessageType.WINDOW_ACK_SIZE, received + missing_bytes)) == []
    peer.session.receive(video)
    acknowledgement = messages.control_u32(MessageType.ACKNOWLEDGEMENT, received)
    assert peer.answers() == ([] if missing_bytes else [acknowledgement])


def test_the_default_window_holds_until_the_peer_sets_one():
    peer = Peer().published()
    block = chunks(media(VIDEO, 0, bytes(ACK_WINDOW_BYTES // 4)))
    answers = []
    for _ in range(4):
        peer.session.receive(block)
        answers += peer.answers()
    assert [answer.type_id for answer in answers] == [MessageType.ACKNOWLEDGEMENT]


def test_timestamps_are_unwrapped_beyond_32_bits_for_video_and_audio_together():
    peer = Peer().published()
    times = [
        (VIDEO, U32 - 40),
        (AUDIO_TYPE, U32 - 7),
        (VIDEO, 0),
        (AUDIO_TYPE, U32 - 1),
        (VIDEO, 33),
        (VIDEO, 3),
    ]
    peer.send(*(media(kind, timestamp_ms, b"x") for kind, timestamp_ms in times))
    assert [event.timestamp_ms for event in peer.events] == [
        U32 - 40,
        U32 - 7,
        U32,
        U32 - 1,
        U32 + 33,
        U32 + 3,
    ]


def test_a_second_wrap_counts_too():
    peer = Peer().published()
    steps = [2**31 * index % U32 for index in range(1, 6)]
    between = [time_ms for step in steps for time_ms in ((step - 2**30) % U32, step)]
    peer.send(*(media(VIDEO, time_ms, b"x") for time_ms in between))
    assert [event.timestamp_ms for event in peer.events] == [2**30 * index for index in range(1, 11)]


def test_the_amf3_forms_are_read_past_their_format_byte():
    peer = Peer()
    for message in commands():
        as_amf3 = RtmpMessage(3, MessageType.COMMAND_AMF3, message.stream_id, 0, b"\0" + message.payload)
        peer.send(as_amf3)
    assert peer.events == [PublishRequested("live", KEY)]


def breaking() -> dict[str, tuple[list[RtmpMessage], str]]:
    """Return what breaks a fresh session, and the reason it gives."""
    connect, _, _, create, publish = commands()
    long_key = "k" * (MAX_STREAM_KEY_CHARS + 1)
    named = messages.command
    return {
        "publish first": ([publish], "before connect"),
        "no stream": ([connect, publish], "before createStream"),
        "connect twice": ([connect, connect], "second connect"),
        "publish twice": ([connect, create, publish, publish], "second publish"),
        "no app": ([named("connect", 1, {"tcUrl": "x"})], "app name"),
        "long app": ([named("connect", 1, {"app": "a" * (MAX_APP_CHARS + 1)})], "app name"),
        "app of a wrong type": ([named("connect", 1, {"app": 7})], "app name"),
        "no key": ([connect, create, named("publish", 0, None)], "stream key"),
        "long key": (
            [connect, create, named("publish", 0, None, long_key)],
            "characters",
        ),
        "record": ([connect, create, named("publish", 0, None, KEY, "record")], '"live"'),
        "play": ([connect, create, named("play", 0, None, KEY)], "publishers only"),
        "no transaction": ([RtmpMessage(3, 20, 0, 0, messages.amf.encode("connect"))], "transaction"),
        "empty command": ([RtmpMessage(3, 20, 0, 0, b"")], "transaction"),
        "aggregate": ([RtmpMessage(3, 22, 0, 0, b"")], "aggregate"),
        "no window": ([messages.control_u32(MessageType.WINDOW_ACK_SIZE, 0)], "window of 0"),
        "short window": ([messages.control(MessageType.WINDOW_ACK_SIZE, b"\0")], "1 bytes"),
        "short event": ([messages.control(MessageType.USER_CONTROL, b"\0")], "without its event"),
    }


@pytest.mark.parametrize("name", breaking())
def test_what_breaks_the_protocol_is_an_error(name):
    wanted, reason = breaking()[name]
    peer = Peer()
    with pytest.raises(RtmpError, match=reason) as caught:
        peer.send(*wanted)
    assert KEY not in str(caught.value)
    peer.session.fail(str(caught.value))
    ((_, _, information),) = [a for a in answered_commands(peer.answers()) if a[0] == "onStatus"]
    assert information["code"] == "NetStream.Publish.Failed"


def test_the_longest_app_and_key_pass():
    peer = Peer()
    peer.send(*commands(key="k" * MAX_STREAM_KEY_CHARS, app="a" * MAX_APP_CHARS))
    assert peer.events == [PublishRequested("a" * MAX_APP_CHARS, "k" * MAX_STREAM_KEY_CHARS)]


def test_a_flood_of_questions_is_not_answered_without_end():
    peer = Peer().published()
    flood = [messages.command("_checkbw", 9, None)] * MAX_REPLY_BYTES
    with pytest.raises(RtmpError, match="answers"):
        peer.session.receive(chunks(*flood))
    assert len(peer.session.data_to_send()) < MAX_REPLY_BYTES + 1000


def test_nothing_is_said_to_a_peer_that_has_not_shaken_hands():
    session = PublishSession()
    with pytest.raises(RtmpError):
        session.receive(b"GET / HTTP/1.1\r\n\r\n")
    session.fail("not RTMP")
    assert session.data_to_send() == b""
