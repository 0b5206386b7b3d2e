"""What server and workers say to each other: whole messages or a named error, whatever comes."""

from __future__ import annotations

import contextlib
import io
import typing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ladders.backend import LadderCounters, RungPacket, SourcePacket
from pipeline.marks import DecodedMark, DroppedMark, EncodedMark
from pipeline.workers.protocol import (
    MAX_HEADER_BYTES,
    MAX_TEXT,
    MESSAGES,
    PREFIX,
    Ended,
    OpenSession,
    ProtocolError,
    WorkerError,
    encode,
    ended_by,
    error_of,
    messages,
)
from scenarios.errors import EncoderUnavailable

INTEGERS = st.integers(-(2**63), 2**63)
FLOATS = st.floats(allow_nan=False)
BY_TYPE = {int: INTEGERS, float: FLOATS, str: st.text(max_size=20), bool: st.booleans(), bytes: st.binary(max_size=300)}
BY_TYPE[int | None] = st.none() | INTEGERS
BY_TYPE[dict[str, int]] = BY_TYPE[dict[str, typing.Any]] = st.dictionaries(st.text(max_size=5), INTEGERS, max_size=3)


def any_of(kind: type):
    """Return a strategy for messages of a kind, made from its fields' types."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{name: BY_TYPE[hint] for name, hint in hints.items()})


ANY = st.one_of([any_of(kind) for kind in MESSAGES])
SAMPLE = encode(DroppedMark("live", 7)) + encode(
    SourcePacket(index=1, pts=2, dts=1, is_keyframe=True, data=b"picture", avcc=b"config", arrival_s=0.5)
)


def read(data: bytes) -> list:
    return list(messages(io.BytesIO(data)))


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY, max_size=5))
def test_messages_come_out_as_they_went_in(sent):
    assert read(b"".join(map(encode, sent))) == sent


def test_every_kind_is_tried_with_all_its_fields():
    covered = {SourcePacket, RungPacket, LadderCounters, DecodedMark, EncodedMark, DroppedMark, OpenSession, Ended}
    assert set(MESSAGES) == covered
    assert {hint for kind in MESSAGES for hint in typing.get_type_hints(kind).values()} <= BY_TYPE.keys()


@pytest.mark.parametrize("cut", range(1, len(SAMPLE)))
def test_a_cut_at_any_byte_gives_whole_messages_and_then_an_error(cut):
    received = messages(io.BytesIO(SAMPLE[:cut]))
    first = len(encode(DroppedMark("live", 7)))
    if cut >= first:
        assert next(received) == DroppedMark("live", 7)
    if cut == first:
        assert list(received) == []
    else:
        with pytest.raises(ProtocolError, match="cut short"):
            next(received)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_a_protocol_error_and_nothing_else(noise):
    with contextlib.suppress(ProtocolError):
        assert all(isinstance(message, MESSAGES) for message in read(noise))


@settings(max_examples=500, deadline=None)
@given(at=st.integers(0, len(SAMPLE) - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_a_protocol_error_or_another_message(at, value):
    changed = bytearray(SAMPLE)
    changed[at] = value
    try:
        received = read(bytes(changed))
    except ProtocolError:
        return
    for message in received:
        assert isinstance(message, MESSAGES)
        for name, hint in typing.get_type_hints(type(message)).items():
            if hint in (int, str, bytes):
                assert isinstance(getattr(message, name), hint), name


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        (PREFIX.pack(len(MESSAGES), 0, 0), "kind 8"),
        (PREFIX.pack(0, MAX_HEADER_BYTES + 1, 0), "65537"),
        (PREFIX.pack(0, 2, 2**32 - 1), "4294967295"),
        (PREFIX.pack(0, 2, 0) + b"[]", "no OpenSession"),
        (PREFIX.pack(7, 12, 0) + b'[{"x":1},{}]', "no Ended"),
        (PREFIX.pack(7, 15, 0) + b'[{"kind":1},{}]', "kind is of another type"),
        (PREFIX.pack(7, 7, 1) + b"[{},{}]x", "1 bytes too many"),
        (PREFIX.pack(7, 15, 0) + b'[{},{"kind":9}]', "kind is cut short"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(prefix, words):
    with pytest.raises(ProtocolError, match=words):
        read(prefix)


def test_an_error_for_the_user_arrives_as_what_it_was():
    sentence = "no further NVENC session: the driver's cap on sessions is reached"
    (ended,) = read(encode(ended_by(EncoderUnavailable(sentence))))
    error = error_of(ended)
    assert isinstance(error, EncoderUnavailable)
    assert str(error) == sentence
    assert error_of(ended_by(None)) is None


def test_any_other_error_arrives_with_its_traceback():
    def broken() -> None:
        raise LookupError("planted")

    try:
        broken()
    except LookupError as planted:
        error = error_of(ended_by(planted))
    assert isinstance(error, WorkerError)
    assert str(error) == "LookupError: planted"
    assert "in broken" in error.__notes__[0]


def test_an_errors_text_is_bounded():
    ended = ended_by(ValueError("x" * 10**6))
    assert len(ended.text) == MAX_TEXT
    assert len(encode(ended)) < 2 * MAX_HEADER_BYTES
