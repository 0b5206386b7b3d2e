"""Fuzzed connections: whatever arrives becomes events or an RtmpError, in bounded memory."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rtmp_samples import (
    AUDIO,
    AUDIO_HEADER,
    INTERFRAME,
    KEYFRAME,
    VIDEO_HEADER,
    chunks,
    commands,
    greeting,
    media,
)

from pipeline.rtmp import messages
from pipeline.rtmp.amf import EcmaArray
from pipeline.rtmp.chunks import ChunkWriter
from pipeline.rtmp.errors import RtmpError
from pipeline.rtmp.events import AudioMessage, PublishRequested, VideoMessage
from pipeline.rtmp.frames import FrameAssembler
from pipeline.rtmp.limits import MAX_BUFFERED_BYTES
from pipeline.rtmp.messages import MessageType, RtmpMessage, UserControl
from pipeline.rtmp.session import PublishSession

FUZZED_INPUTS = 20_000
FUZZED_INPUTS_LONG = 1_000_000
RSS_GROWTH_BYTES = 20 * 2**20
SEED = 20_240_607

FILL = bytes(1528)
HANDSHAKE_BYTES = len(greeting())
METADATA = messages.amf.encode("@setDataFrame", "onMetaData", EcmaArray(width=1280.0, tags=["a", None, {"b": True}]))
TALK = [
    *commands(),
    messages.command("getStreamLength", 6, None, "key"),
    messages.user_control(UserControl.PING_REQUEST, b"time"),
    messages.control_u32(MessageType.WINDOW_ACK_SIZE, 500),
]
BROADCAST = [
    RtmpMessage(4, MessageType.DATA_AMF0, 1, 0, METADATA),
    media(MessageType.VIDEO, 0, VIDEO_HEADER),
    media(MessageType.AUDIO, 0, AUDIO_HEADER),
    media(MessageType.VIDEO, 0, KEYFRAME + bytes(300)),
    media(MessageType.AUDIO, 2**24, AUDIO),
    media(MessageType.VIDEO, 2**32 - 1, INTERFRAME),
    messages.control_u32(MessageType.ABORT, 6),
    messages.command("FCUnpublish", 7, None, "key"),
]
NUMBERS = [
    bytes(4),
    b"\xff" * 4,
    b"\x00\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x00\x40\x00\x01",
    b"\x7f\xff\xff\xff",
]


def recordings() -> list[tuple[bytes, bytes]]:
    """Return what three publishers say and then broadcast, after the handshake."""
    large = ChunkWriter()
    talk = large.set_chunk_size(4096) + b"".join(map(large.write, TALK))
    return [
        (chunks(*TALK), chunks(*BROADCAST)),
        (talk, b"".join(map(large.write, BROADCAST))),
        (chunks(*commands()), chunks(*BROADCAST[1:4])),
    ]


class Player:
    """Drives sessions with bytes, accepting every publish, and counts what came of it."""

    def __init__(self) -> None:
        self.frames = 0
        self.errors: set[str] = set()

    def play(self, wire: bytes, piece_bytes: int) -> None:
        """Play one connection up to its end or its first RtmpError; anything else raised is a bug."""
        session, frames = PublishSession(FILL), FrameAssembler()
        try:
            for at in [0, *range(HANDSHAKE_BYTES, len(wire), piece_bytes)]:
                self._receive(session, frames, wire[at : at + (piece_bytes if at else HANDSHAKE_BYTES)])
        except RtmpError as error:
            session.fail(str(error))
            self.errors.add(re.sub(r"0x[0-9a-f]+|\d+", "N", str(error)))

    def _receive(self, session: PublishSession, frames: FrameAssembler, piece: bytes) -> None:
        for event in session.receive(piece):
            match event:
                case PublishRequested():
                    session.accept()
                case VideoMessage(timestamp_ms, payload):
                    self.frames += frames.video(timestamp_ms, payload) is not None
                case AudioMessage(timestamp_ms, payload):
                    self.frames += frames.audio(timestamp_ms, payload) is not None
        assert session.buffered_bytes <= MAX_BUFFERED_BYTES
        session.data_to_send()


def damaged(rng: np.random.Generator, recording: bytes) -> bytes:
    """Return the recording with up to four small damages."""
    data = bytearray(recording)
    for _ in range(rng.integers(1, 5)):
        at, size = int(rng.integers(0, len(data))), int(rng.integers(1, 20))
        match rng.integers(0, 6):
            case 0:
                data[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                data[at : at + size] = rng.bytes(size)
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size * 4]
            case 4:
                data[at : at + 4] = NUMBERS[rng.integers(0, len(NUMBERS))]
            case 5:
                other = int(rng.integers(0, len(data)))
                data[at : at + size] = data[other : other + size]
    return bytes(data)


def fuzzed(count: int) -> Iterator[tuple[bytes, int]]:
    """Yield inputs and the size they are cut to: noise, recordings cut short, and mostly damaged ones."""
    rng = np.random.default_rng(SEED)
    played = recordings()
    for index in range(count):
        talk, broadcast = played[index % len(played)]
        match index % 10:
            case 0:
                wire = rng.bytes(int(rng.integers(1, 400)))
            case 1:
                wire = greeting() + rng.bytes(int(rng.integers(1, 4000)))
            case 2:
                wire = (greeting() + talk + broadcast)[: int(rng.integers(1, HANDSHAKE_BYTES + len(talk)))]
            case 3 | 4 | 5:
                wire = greeting() + damaged(rng, talk) + broadcast
            case _:
                wire = greeting() + talk + damaged(rng, broadcast)
        yield wire, int(rng.integers(20, 200))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def check_fuzzed(count: int) -> None:
    """Play fuzzed inputs; fail on any bug, on growing memory, and on inputs that reach too little."""
    player, before = Player(), resident_bytes()
    for index, (wire, piece_bytes) in enumerate(fuzzed(count)):
        player.play(wire, piece_bytes)
        if index % 1000 == 0:
            assert resident_bytes() - before < RSS_GROWTH_BYTES
    assert player.frames > count / 4
    assert len(player.errors) > 30, "the inputs break too few rules to prove anything"


def test_the_undamaged_recordings_play_to_their_end():
    for (talk, broadcast), frames in zip(recordings(), (3, 3, 1), strict=True):
        player = Player()
        player.play(greeting() + talk + broadcast, 20)
        assert (player.frames, player.errors) == (frames, set())


def test_recordings_cut_at_every_byte():
    player = Player()
    for talk, broadcast in recordings():
        for length in range(len(talk + broadcast)):
            player.play(greeting() + (talk + broadcast)[:length], 150)
    for length in range(HANDSHAKE_BYTES):
        player.play(greeting()[:length], 150)
    assert player.errors == set(), "a recording that stops is no error: more could follow"


@pytest.mark.parametrize(
    "count",
    [FUZZED_INPUTS, pytest.param(FUZZED_INPUTS_LONG, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
)
def test_fuzzed_inputs(count):
    check_fuzzed(count)
