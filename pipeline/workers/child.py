"""The worker's program: `python -m pipeline.workers.child CONTROL BACKEND OPTIONS BROADCASTS`.

`CONTROL` is the descriptor of a socket from which come more sockets, one per broadcast; its end is the order to
exit, and comes also when the server was killed. `OPTIONS` are the backend's, as JSON; `BROADCASTS` is how many there
may be at a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial

from pipeline.ladders import LADDER_BACKENDS
from pipeline.ladders.backend import LadderBackend, LadderCounters, LadderSession, RungPacket, SourcePacket
from pipeline.marks import NoMarks
from pipeline.workers.limits import forbid_excess
from pipeline.workers.protocol import Message, OpenSession, encode, ended_by, messages
from scenarios.ladder import Ladder

HELD_FRAMES = 32
"""Frames that a decoder may hold for reordering, twice over; H.264 reorders 16 at most."""
ANSWER_S = 0.5
"""Longest silence of a session that lives and is fed."""
LONG_S = 3600.0


class Speaker(NoMarks):
    """What one broadcast's threads have to say to the server; as marks, it passes them on."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._lock = link, threading.Lock()
        self._progress = (0, 0, 0)
        self._accepted = self._emitted = -1
        self._counted_s = 0.0
        self.counters: LadderCounters | None = None
        self.decoded = self.encoded = self.dropped = self.say

    def say(self, message: Message) -> None:
        """Send; blocks while the server takes nothing from this broadcast, and holds up no other."""
        data = encode(message)
        with self._lock:
            self._link.sendall(data)

    def emit(self, packet: RungPacket) -> None:
        """Send a packet, and before it the count of the frame that it was made from."""
        self._emitted = max(self._emitted, packet.frame_index)
        self._say_progress()
        self.say(packet)

    def answer(self, packet: SourcePacket, *, accepted: bool) -> None:
        """Send the counters after a packet was fed, now and then, as a sign of life.

        A session that refuses packets while many that it took have not come out may be stuck: it is only vouched for
        if frames got anywhere. (One that refuses while nothing waits has to, up to the next keyframe.)
        """
        if accepted:
            self._accepted = packet.index
        if not accepted and self._accepted - self._emitted > HELD_FRAMES:
            self._say_progress()
        elif time.monotonic() - self._counted_s > ANSWER_S:
            self._say_counters()

    def _say_progress(self) -> None:
        if self.counters is not None and self._progress_of(self.counters) != self._progress:
            self._say_counters()

    def _say_counters(self) -> None:
        if self.counters is not None:
            self._progress, self._counted_s = self._progress_of(self.counters), time.monotonic()
            self.say(self.counters)

    @staticmethod
    def _progress_of(counters: LadderCounters) -> tuple[int, int, int]:
        return counters.decoded, counters.undecodable, counters.out_of_order

    def end(self, error: BaseException | None) -> None:
        """Send the last counters and the last word, if anyone listens."""
        with contextlib.suppress(OSError):
            self._say_counters()
            self.say(ended_by(error))


def encode_broadcast(make_backend: Callable[[], LadderBackend], link: socket.socket) -> None:
    """Encode what comes over the socket until it ends; what goes wrong is the last word of the answer."""
    with link, link.makefile("rb") as file:
        received = messages(file)
        opening = next(received, None)
        if not isinstance(opening, OpenSession):
            return  # the server has changed its mind
        speaker = Speaker(link)
        try:
            session = _open(make_backend(), opening, speaker)
        except Exception as error:  # the server raises it
            speaker.end(error)
            return
        try:
            for packet in _packets(received, opening.avcc):
                dropped = session.counters.dropped
                session.feed(packet)
                speaker.answer(packet, accepted=session.counters.dropped == dropped)
        except ConnectionError:
            pass  # the server wants no more of it
        finally:
            session.close()
            while not session.join(LONG_S):
                pass


def _open(backend: LadderBackend, opening: OpenSession, speaker: Speaker) -> LadderSession:
    session = backend.open(
        opening.avcc,
        Ladder.model_validate_json(json.dumps(opening.ladder)),
        speaker.emit,
        ended=speaker.end,
        stream=opening.stream,
        marks=speaker if opening.with_marks else None,
    )
    speaker.counters = session.counters
    return session


def _packets(received: Iterator[Message], avcc: bytes) -> Iterator[SourcePacket]:
    for packet in received:
        assert isinstance(packet, SourcePacket)
        avcc = packet.avcc or avcc
        yield replace(packet, avcc=avcc)


def main() -> None:
    """Serve broadcasts until the control socket ends."""
    control, name, options, broadcasts = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal and an init system signal whole groups: the server wants its frames flushed before we go.
        signal.signal(number, signal.SIG_IGN)
    forbid_excess(name, int(broadcasts))
    # Made when it is needed, so that a GPU that is gone is said to the broadcast that wanted it.
    make_backend = cache(partial(LADDER_BACKENDS[name], **json.loads(options)))
    with socket.socket(fileno=int(control)) as links:
        while True:
            _, descriptors, _, _ = socket.recv_fds(links, 1, 1, socket.MSG_CMSG_CLOEXEC)
            if not descriptors:
                break
            link = socket.socket(fileno=descriptors[0])
            threading.Thread(target=encode_broadcast, args=(make_backend, link), daemon=True).start()
    # Not sys.exit: threads inside a codec must not meet a dying interpreter.
    os._exit(0)


if __name__ == "__main__":
    main()
